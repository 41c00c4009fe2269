"""`maniple install` (acts)."""

import shlex
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import click
import msgspec
from msgspec import Struct

from kernel.cli import (
    agreement,
    compiling,
    confirming,
    entry,
    installed,
    installing,
    named_files,
    package,
    replies,
    rights,
    screen,
)
from kernel.cli import read_by_models as reading
from kernel.cli.call import MethodRow, fetch_methods
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.installed import Installed
from manifests.errors import ManifestInvalid, SealMalformed, SealRefused
from manifests.grants import requested
from manifests.installed import effective_provides
from manifests.pipeline import signature
from manifests.schema import Capability
from manifests.seal import compare
from manifests.settings import missing_required
from manifests.trust import TrustStore


class _Done(Struct, frozen=True):
    """The reply of kernel.install. waiting: number of unfinished runs that now wait for a decision."""

    folder: str
    waiting: int


@command()
@click.argument("folder", metavar="[DIR]", type=named_files.PATH, required=False)
@click.option("--yes", is_flag=True, help="Grant all it asks for, without a question.")
@click.option("--clean", is_flag=True, help="First remove the __pycache__ folders that Python left behind.")
@click.option("--effects-as-declared", is_flag=True, help="Trust what a program (command = …) declares of its methods.")
@click.option("--full", is_flag=True, help="Show all that models read of its methods, however much that is.")
@click.option("--bundled", is_flag=True, help="Upgrade the installed Hands that come with Maniple to this version.")
def install(
    session: Session, folder: str | None, yes: bool, clean: bool, effects_as_declared: bool, full: bool, bundled: bool
) -> None:
    """Install or upgrade a Hand: checks it, shows what it asks for, asks you, copies it, and grants it that.

    A Hand without a seal is sealed with the home's own key. One with a seal must be unchanged since, and sealed by a
    trusted key (`maniple keys`). An upgrade shows only what is new, and keeps grants and settings.

    The methods of a Hand that is a program (command = [...]) count as acting beyond this machine, whatever it declares,
    unless --effects-as-declared is given.

    All that models will read of its methods is shown. If that is more than a screen, `l` at the question shows it.

    To grant less than it asks for: install it, then `maniple revoke HAND METHOD`.

    After an update of Maniple, `maniple install --bundled` upgrades all bundled Hands that are installed by another
    version, or sealed by a key that is no longer this home's own. It asks once. What you removed stays removed.
    """
    if bundled:
        if folder is not None or clean or effects_as_declared:
            raise Ended("--bundled goes with no DIR, and with no other options than --yes and --full", Exit.USAGE)
        from kernel.cli import renewing

        renewing.upgrade_bundled(session, yes=yes, full=full)
        return
    if folder is None:
        raise Ended("DIR is missing", Exit.USAGE)
    if clean:
        package.remove_caches(folder)
    found = package.read(folder)
    if problem := package.entry_problem(found):
        raise Ended(f"{folder}: {problem}; see `maniple check {shlex.quote(folder)}`")
    if found.manifest.hand.entry and (problems := entry.problems(folder, found.manifest, found.files)):
        raise ManifestInvalid(tuple(problems))
    with session.client() as client:
        more = ["--effects-as-declared"] if effects_as_declared else []
        again = shlex.join(["maniple", "install", folder, *more, "--yes"])
        confirm_and_install(session, client, found, yes=yes, as_declared=effects_as_declared, next_=again, full=full)
        next_ = _next_hint(client, found)
    session.say(f"Next: {next_}")


class Proposal(Struct, frozen=True, kw_only=True):
    """A Hand that has been shown to the operator, and is installed after a yes. before: the version installed now.
    sealed_by: names and ids of keys.

    wanted: the capabilities it newly asks for. unread: what models read of it, if that is too much to have been shown.
    """

    found: package.Folder
    before: Installed | None
    seal: str
    sealed_by: tuple[str, ...]
    wanted: tuple[Capability, ...]
    as_declared: bool = False
    unread: str = ""


def confirm_and_install(
    session: Session,
    client: Client,
    found: package.Folder,
    *,
    yes: bool,
    next_: str,
    as_declared: bool = False,
    full: bool = False,
) -> None:
    """Show what a Hand asks for, ask for consent unless `yes`, and install it.

    next_: the command to type where there is no terminal to ask at. full: show all that models read of its methods,
    however much, and even if nobody is asked.
    """
    shown = propose(session, client, found, fetch_methods(client), yes=yes, as_declared=as_declared, full=full)
    if not yes:
        question = "Install it, and grant that?" if shown.wanted else "Install it?"
        ask_consent(session, question, next_, shown.unread)
    row = install_proposal(session, client, shown)
    compiling.remove_unused(client)
    session.result(row, lambda: summary(shown))


def propose(
    session: Session,
    client: Client,
    found: package.Folder,
    methods: tuple[MethodRow, ...],
    *,
    yes: bool,
    as_declared: bool = False,
    full: bool = False,
) -> Proposal:
    """Check the seal and print on stderr what is to be decided. methods: all that exist. Ended for an invalid seal."""
    before = installed.find(client, found.name)
    seal, sealed_by = _judge_seal(client, found)
    wanted = agreement.new_requests(found.manifest, before.package.manifest if before else None)
    is_asked = not yes and screen.is_terminal(sys.stdin)
    most = None if full or not (yes or is_asked) else 0 if yes else reading.LINES_SHOWN
    unread = _print_proposal(session, methods, found, before, sealed_by, as_declared=as_declared, most=most)
    if unread and (is_asked or any(one.schemas for one in found.manifest.provides.values())):
        how = "`l` below shows them" if is_asked else "`maniple methods METHOD` shows those of one"
        session.say(
            f"Of that, models read {screen.count(unread.count(chr(10)) + 1, 'line')} more than are shown: {how}."
        )
    return Proposal(
        found=found,
        before=before,
        seal=seal,
        sealed_by=sealed_by,
        wanted=wanted,
        as_declared=as_declared,
        unread=unread,
    )


def install_proposal(session: Session, client: Client, shown: Proposal) -> dict[str, object]:
    """Install a proposal and grant it what is new; returns the JSON row for it."""
    found, before = shown.found, shown.before
    grants = requested(found.manifest) if before is None else shown.wanted
    instead = before.id if before else ""
    done = replies.read(
        installing.install(client, found, shown.seal, grants, as_declared=shown.as_declared, instead=instead), _Done
    )
    if done.waiting:
        runs = "1 unfinished run waits" if done.waiting == 1 else f"{done.waiting} unfinished runs wait"
        session.say(f"{runs} for your decision: `maniple decide {found.name} finish`, or `… restart`; see `maniple ps`")
    return {
        "name": found.name,
        "version": found.version,
        "upgraded_from": before.package.manifest.hand.version if before else None,
        "sealed_by": shown.sealed_by,
        "granted": [msgspec.to_builtins(one) for one in shown.wanted],
        "folder": done.folder,
        "waiting": done.waiting,
    }


def summary(shown: Proposal) -> str:
    """A sentence on what was installed or upgraded."""
    found = shown.found
    return f"{found.name} {found.version} is {'upgraded' if shown.before else 'installed'}."


def _judge_seal(client: Client, found: package.Folder) -> tuple[str, tuple[str, ...]]:
    """The seal's text and the keys that signed it; seals an unsealed Hand. Ended (refused) if untrusted or not matching."""
    if not found.seal:
        key = installing.sealing_key(client)
        return package.make_seal(found, key), (f"{key.name}+{key.verify_key.id}",)
    trust = TrustStore(keys=replies.read(client.call("kernel.home").value, rights.Home).keys)
    try:
        verdict = trust.judge(
            found.seal,
            name=found.name,
            version=found.version,
            last_version=None,
            now=time.time_ns() // 1000,
            manifest=found.manifest,
        )
    except (SealRefused, SealMalformed) as refused:
        raise Ended(f"refused: {refused}", Exit.REFUSED) from None
    differences = compare(verdict, found.digests())
    if differences:
        what = "; ".join(map(str, differences[:5]))
        raise Ended(f"refused: {what}; look at it, then `maniple seal {shlex.quote(found.path)}`", Exit.REFUSED)
    return found.seal, tuple(f"{trust.find(key).name}+{key}" for key in verdict.by)


def _print_proposal(
    session: Session,
    rows: tuple[MethodRow, ...],
    found: package.Folder,
    before: Installed | None,
    sealed_by: tuple[str, ...],
    *,
    as_declared: bool,
    most: int | None,
) -> str:
    """Print on stderr what is to be decided. If models read more than `most` lines, they are returned instead of printed."""
    manifest, old = found.manifest, before.package.manifest if before else None
    offers = effective_provides(manifest, as_declared=as_declared)
    effects = {row.method: row.effect for row in rows} | {name: one.effect for name, one in offers.items()}
    for line in agreement.describe_hand(manifest, old, time.time_ns() // 1_000_000):
        session.say(screen.visible(line))
    for line in _skill_lines(found):
        session.say(screen.visible(line))
    own = "" if found.seal else ", this home's own key"
    session.say(f"Sealed by {screen.visible(', '.join(sealed_by))}{own}.")
    wanted = agreement.request_rows(agreement.new_requests(manifest, old), effects, manifest.hand.autonomy)
    also, nothing = ("also ", "nothing more") if before else ("", "nothing")
    session.say(f"It {also}asks for:" if wanted else f"It asks for {nothing}.")
    _print_rows(session, wanted)
    known = before.offered if before else {}
    offered = agreement.offer_rows(offers, known)
    read = {name: reading.lines_for(offers[name], known.get(name)) for name, *_ in offered}
    is_unread = most is not None and sum(map(len, read.values())) > most
    if offered:
        session.say("It offers:" if before is None else "It offers, new or changed:")
        _print_rows(session, offered, {} if is_unread else read)
    if withdrawn := [name for name in before.offered if name not in offers] if before else []:
        session.say(f"It no longer offers: {screen.visible(', '.join(withdrawn))}.")
    if manifest.hand.needs and before is None:
        session.say(f"It needs {', '.join(manifest.hand.needs)}.")
    return "\n".join("\n".join((name, *_wrapped(lines))) for name, lines in read.items() if lines) if is_unread else ""


def _skill_lines(found: package.Folder) -> list[str]:
    """Lines on the skills in an agent's folder, and what checking them found."""
    if found.manifest.agent is None:
        return []
    from kernel.cli import skill_folders
    from manifests.skills.reading import read_all

    skills, _ = read_all(found.files, found.path)
    lines = [line for one in skills for line in skill_folders.describe(one)]
    return ["It has these skills of its own, which it trusts like its playbook:", *lines] if lines else []


def _print_rows(
    session: Session, rows: list[tuple[str, str, str]], read: Mapping[str, list[str]] = MappingProxyType({})
) -> None:
    """Print rows in columns. read: lines to print below a row, by its first cell: what models read of that method."""
    widths = [max((screen.width_of(row[at]) for row in rows), default=0) for at in (0, 1)]
    for row in rows:
        cells = [screen.visible(cell) for cell in row]
        session.say(
            "  " + "  ".join((cells[0].ljust(widths[0]), cells[1].ljust(min(widths[1], 40)), cells[2])).rstrip()
        )
        for line in _wrapped(read.get(row[0], [])):
            session.say(line)


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Indent lines, and wrap them to the width of the terminal, if there is one."""
    width = screen.terminal_width() if screen.is_terminal(sys.stderr) else 0
    for line in map(screen.visible, lines):
        folded = textwrap.wrap(line, width, initial_indent=" " * 6, subsequent_indent=" " * 10) if width else []
        yield from folded or [f"      {line}"]


def ask_consent(session: Session, question: str, next_: str, unread: str = "") -> None:
    """Ask a question, and raise Ended unless the answer is yes. next_: see confirm_and_install(); unread: the text that
    the answer `l` shows."""
    if not screen.is_terminal(sys.stdin):
        raise Ended(
            f"nothing was installed: there is no terminal to ask at; look at what is shown, then `{next_}`", Exit.USAGE
        )
    refused = "nothing was installed"
    answer = "l" if unread else ""
    with confirming.broken_off(refused):
        while unread and answer == "l":
            answer = click.prompt(question, type=click.Choice(["y", "n", "l"], False), default="n", err=True)
            if answer == "l":
                _show_unread(session, unread)
        if not (answer == "y" or (not unread and click.confirm(question, default=False, err=True))):
            raise Ended(refused)


def _show_unread(session: Session, text: str) -> None:
    """Show a text in a pager on a terminal, else print it on stderr."""
    if screen.is_terminal(sys.stdout):
        click.echo_via_pager(screen.safe(text))
    else:
        session.say(text)


def _next_hint(client: Client, found: package.Folder) -> str:
    """The next command to type: one that sets what the Hand cannot start without, else one that uses it."""
    name, manifest = found.name, found.manifest
    if needed := _missing_settings(client, found):
        return f"`maniple settings {name} {needed}`, without which it does not start"
    if manifest.agent is not None:
        return f'`maniple ask --hand {name} "…"`'
    work = signature.of_entry(manifest.hand.entry, found.files)
    if manifest.hand.kind == "service" or not work.found or f"{name}.run" in manifest.provides:
        return f"`maniple methods {name}`"
    inputs = [f"{each}=…" for each, of in (work.params or {}).items() if not of.endswith("?")]
    return f"`{' '.join(['maniple start', name, *inputs, '--wait'])}`"


def _missing_settings(client: Client, found: package.Folder) -> str:
    """Required settings that have no value, as arguments of `maniple settings`; "" if none."""
    if not missing_required(found.manifest.settings, {}):
        return ""
    return missing_required(found.manifest.settings, installed.fetch_details(client, found.name).settings)
