"""`maniple show` (acts)."""

import shlex

from msgspec.structs import replace

from kernel.cli import agreement, replies, screen, spending
from kernel.cli.frame import Session, command, hand_argument
from kernel.cli.installed import HandDetails
from manifests.capabilities import includes
from manifests.grants import GrantSet, as_text, exceeding, reaches, requested
from manifests.installed import Artefact
from manifests.schedule_words import describe
from manifests.schema import Capability, Confinement, Manifest, Schedule
from manifests.seal import signers
from manifests.values import format_limit


@command()
@hand_argument
def show(session: Session, hand: str) -> None:
    """Show one Hand in full: its seal, what it may do, what it offers, its limits, and how it is confined now."""
    with session.client() as client:
        reply = client.call("kernel.show", hand).value
    session.result(reply, lambda: session.hinted(_drawn(replies.read(reply, HandDetails))))


def _what_runs(manifest: Manifest, artefact: Artefact | None) -> str:
    section = manifest.hand
    if artefact is not None:
        return f"{section.wasm}, compiled as {artefact.key[:16]}"
    if manifest.agent is not None:
        return f"the model {manifest.agent.model}"
    return section.entry or section.pipeline or " ".join(section.command)


def schedule_lines(schedule: Schedule | None) -> str:
    """Lines on when a Hand starts by itself, and with which inputs; "" if it has no schedule."""
    if schedule is None:
        return ""
    lines = [describe(schedule), f"while it works: {schedule.overlap}"]
    if not schedule.on:
        lines[1] += f"; missed: {schedule.missed}"
    return "\n".join(lines + [f"{name} = {value!r}" for name, value in schedule.inputs.items()])


def _split_grants(held: tuple[Capability, ...], manifest: Manifest) -> tuple[list[str], list[str]]:
    """Split grants into those in force, and those that HAND.toml no longer asks for, or not so widely: a call needs both.

    Approval settings are ignored here.
    """
    asks = requested(manifest)
    may, left_over = list[Capability](), list[str]()
    for one in held:
        not_asked = {each for row in exceeding((replace(one, approval=True),), GrantSet.of(asks)) for each in row.allow}
        may.append(replace(one, allow=tuple(each for each in one.allow if each not in not_asked)))
        too_wide = {each: found for each in one.allow if each in not_asked and (found := _asked_part(one, each, asks))}
        may += [narrow for found in too_wide.values() for narrow in found]
        obsolete = tuple(each for each in one.allow if each in not_asked and each not in too_wide)
        left_over += [_left_over_line(manifest.hand.name, replace(one, allow=obsolete))] if obsolete else []
        left_over += (
            [f"{as_text(replace(one, allow=tuple(too_wide)))}: its HAND.toml asks for less of that now"]
            if too_wide
            else []
        )
    return list(dict.fromkeys(as_text(one) for one in may if one.allow)), left_over


def _asked_part(one: Capability, pattern: str, asks: tuple[Capability, ...]) -> list[Capability]:
    """The capabilities asked for that lie within one pattern of a grant."""
    return [
        replace(one, allow=allow, own=one.own and ask.own, lent=one.lent or ask.lent)
        for ask in asks
        if reaches(ask.method, one.method) and (allow := tuple(each for each in ask.allow if includes(pattern, each)))
    ]


def _left_over_line(hand: str, one: Capability) -> str:
    typed = shlex.join(["revoke", hand, one.method, *one.allow])
    return f"{as_text(one)}: its HAND.toml does not ask for that any more; `maniple {typed}`"


def _required(manifest: Manifest) -> str:
    """Lines on what must be there before the Hand starts; "" for nothing."""
    needed = {
        "layers": manifest.confinement.require,
        "programs": manifest.requires.binaries,
        "variables": manifest.requires.env,
    }
    return "\n".join(f"{what} {', '.join(names)}" for what, names in needed.items() if names)


def _drawn(shown: HandDetails) -> str:
    manifest, hand = shown.hand.package.manifest, shown.hand
    section, limits, restart = manifest.hand, manifest.limits, manifest.restart
    times = screen.count(restart.times, "time")
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
    may, left_over = _split_grants(shown.grants, manifest)
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
            ("may", "\n".join(may) or "nothing"),
            ("left over", "\n".join(left_over)),
            ("offers", "\n".join(f"{one.method}  {one.effect}: {one.summary}" for one in hand.offered.values())),
            ("publishes", ", ".join(manifest.events.publishes)),
            ("hears", ", ".join(manifest.events.subscribes)),
            ("scheduled", schedule_lines(manifest.schedule)),
            ("settings", "\n".join(f"{name} = {value}" for name, value in shown.settings.items())),
            (
                "limits",
                "\n".join(f"{name} {format_limit(name, value).strip(chr(34))}" for name, value in given.items()),
            ),
            ("budget", "\n".join(room.describe() for room in shown.budget)),
            ("has spent", spending.spent_text(shown.spent)),
            ("uses", "\n".join(agreement.beyond_others(manifest.confinement, Confinement()))),
            ("requires", _required(manifest)),
            ("restart", f"{restart.when}, at most {times} within {restart.within_ms / 1000:g}s"),
            ("confined by", shown.confinement or "no run is at work now"),
            ("but not by", screen.lacking(shown.lacking)),
        )
    )
