"""`maniple show` (acts)."""

import shlex

from msgspec.structs import replace

from kernel.cli import agreement, screen, spending, told
from kernel.cli.frame import Session, command, hand_argument
from kernel.cli.installed import Shown
from manifests.grants import GrantSet, as_text, asked, exceeding
from manifests.installed import Artefact
from manifests.schedule_words import in_words
from manifests.schema import Capability, Manifest, Schedule
from manifests.seal import signers
from manifests.values import format_limit


@command()
@hand_argument
def show(session: Session, hand: str) -> None:
    """One Hand in full: what it is, its seal, what it may do, offers and is limited to, and how it is confined now."""
    with session.client() as client:
        reply = client.call("kernel.show", hand).value
    session.result(reply, lambda: session.hinted(_drawn(told.read(reply, Shown))))


def _what_runs(manifest: Manifest, artefact: Artefact | None) -> str:
    section = manifest.hand
    if artefact is not None:
        return f"{section.wasm}, compiled as {artefact.key[:16]}"
    if manifest.agent is not None:
        return f"the model {manifest.agent.model}"
    return section.entry or section.pipeline or " ".join(section.command)


def scheduled(schedule: Schedule | None) -> str:
    """When a Hand starts by itself, and with what, in words; "" if it does not."""
    if schedule is None:
        return ""
    lines = [in_words(schedule), f"while it works: {schedule.overlap}"]
    if not schedule.on:
        lines[1] += f"; missed: {schedule.missed}"
    return "\n".join(lines + [f"{name} = {value!r}" for name, value in schedule.inputs.items()])


def _parted(held: tuple[Capability, ...], manifest: Manifest) -> tuple[list[Capability], list[Capability]]:
    """What a Hand holds as what its HAND.toml asks for, and what it does not: a call needs both. Who is asked is aside."""
    asks = GrantSet.of(asked(manifest))
    least = [replace(one, approval=True) for one in held]
    beyond = [frozenset(pattern for each in exceeding((one,), asks) for pattern in each.allow) for one in least]
    parted = list(zip(held, beyond, strict=True))
    may = [replace(one, allow=tuple(each for each in one.allow if each not in over)) for one, over in parted]
    return may, [replace(one, allow=tuple(each for each in one.allow if each in over)) for one, over in parted if over]


def _left_over(hand: str, one: Capability) -> str:
    typed = shlex.join(["revoke", hand, one.method, *one.allow])
    return f"{as_text(one)}: its HAND.toml does not ask for that any more; `maniple {typed}`"


def _drawn(shown: Shown) -> str:
    manifest, hand = shown.hand.package.manifest, shown.hand
    section, limits, restart = manifest.hand, manifest.limits, manifest.restart
    given = {
        "memory": limits.memory,
        "cpu": limits.cpu_ms,
        "wall": limits.wall_ms,
        "processes": limits.processes,
        "open_files": limits.open_files,
        "file_size": limits.file_size,
        "disk": limits.disk,
        "calls_per_minute": limits.calls_per_minute,
        "in_flight": limits.in_flight,
    } | ({"fuel": limits.fuel} if section.wasm else {})
    may, over = _parted(shown.grants, manifest)
    return screen.fields(
        (
            ("hand", f"{hand.name} {hand.version}"),
            ("does", section.description),
            ("kind", agreement.KINDS[section.kind]),
            ("autonomy", f"{section.autonomy}: {agreement.AUTONOMY[section.autonomy]}"),
            ("state", screen.coloured(shown.state, screen.STATE_COLOURS.get(shown.state, ""))),
            ("sealed by", "\n".join(f"{name}+{key}" for name, key in signers(hand.package.seal))),
            ("id", hand.id),
            ("folder", f"hands/{hand.folder}"),
            ("runs", _what_runs(hand.package.manifest, hand.artefact)),
            ("needs", ", ".join(section.needs)),
            ("may", "\n".join(as_text(one) for one in may if one.allow) or "nothing"),
            ("left over", "\n".join(_left_over(hand.name, one) for one in over)),
            ("offers", "\n".join(f"{one.method}  {one.effect}: {one.summary}" for one in hand.offered.values())),
            ("publishes", ", ".join(manifest.events.publishes)),
            ("hears", ", ".join(manifest.events.subscribes)),
            ("scheduled", scheduled(manifest.schedule)),
            ("settings", "\n".join(f"{name} = {value}" for name, value in shown.settings.items())),
            (
                "limits",
                "\n".join(f"{name} {format_limit(name, value).strip(chr(34))}" for name, value in given.items()),
            ),
            ("budget", "\n".join(room.told() for room in shown.budget)),
            ("has spent", spending.spent(shown.spent)),
            ("restart", f"{restart.when}, at most {restart.times} times within {restart.within_ms / 1000:g}s"),
            ("confined by", ", ".join(shown.confinement) or "nothing runs now"),
            ("but not by", screen.lacking(shown.lacking)),
        )
    )
