"""Probes MCP servers, makes Hands of them, and finds those that are installed (acts).

A server is probed by a temporary Hand that has its program and no grant, so its first run is as confined as any other, and
logged; for a server at a URL, that Hand may connect to the one host that the operator has just named.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from msgspec.structs import replace

from kernel.cli import installed, installing, mcp_temporary, named_files, package, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session
from kernel.cli.installed import Installed
from kernel.cli.progress import waiting
from manifests.check import LONGEST, check
from manifests.errors import ManifestInvalid
from manifests.grants import requested
from manifests.mcp import folder, tools
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import Agreement, Offer, OfferInvalid
from manifests.seal import MANIFEST_FILE

OFFER_S: Final = 120.0
"""Seconds within which a server must start and list its tools."""

LOGIN_NEEDED: Final = "login"
"""The code of a call that failed because the server needs a login."""

_LINES_SHOWN: Final = 10  # of what a server printed
_TAIL: Final = 4096
_RECORD: Final = '{"time":'


class LoginWanted(Ended):
    """The server lists its tools only after a login. unasked: why its own Hand, which may be logged in, did not answer."""

    unasked = ""


def make_folder(
    wanted: Wanted, offer: Offer, files: Mapping[str, bytes], before: tuple[Installed, Agreement] | None = None
) -> package.Folder:
    """Make the folder of a server's Hand, not yet sealed. Raises Ended if that is impossible.

    before: the installed Hand, whose tools are kept because the server could not be asked now.
    """
    import tomli_w

    try:
        tables = dict(folder.manifest_of(wanted, offer))  # first, as it checks the offer
        agreed = folder.make_agreement(wanted, offer)
        if before is not None:
            tables = folder.with_earlier_methods(tables, before[0].package.manifest.provides)
            agreed = replace(agreed, tools=before[1].tools)
        toml = folder.to_toml(tables, tomli_w.dumps)
        if len(toml) > LONGEST:
            raise folder.too_large(len(agreed.tools))
        own = {MANIFEST_FILE: toml.encode(), tools.FILE: tools.encode(agreed)}
        own |= {} if wanted.command else {"main.py": folder.MAIN.encode()}
        if clashing := sorted(own.keys() & files.keys()):
            own_files = (
                f"the server's folder holds {', '.join(clashing)}, which is the name of a file that its Hand needs"
            )
            raise Ended(f"{own_files}: rename it there, or name another folder with `--files DIR`")
        return package.Folder(path=wanted.hand, manifest=check(toml), files={**files, **own}, seal="")
    except OfferInvalid as error:
        raise Ended(f"no Hand can be made of {wanted.name}: {error}") from None
    except ManifestInvalid as error:  # of an option, for the rest is written here
        raise Ended("; ".join(f"{one.what}: {one.instead}" for one in error.problems), Exit.USAGE) from None


def read_own_files(path: str) -> dict[str, bytes]:
    """Read a server's own folder, which is sealed with its Hand. Raises Ended if it cannot be."""
    if not named_files.is_folder(path):
        raise Ended(f"{path} is not a folder: name the one that holds the server's files", Exit.USAGE)
    return package.read_files(path)


@contextmanager
def probe(session: Session, wanted: Wanted, files: Mapping[str, bytes], values: Mapping[str, str]) -> Iterator[Offer]:
    """Install a temporary Hand for a server and yield what the server offers. values: its secrets, by setting."""
    temporary = replace(wanted, version="1.0.0", readable=(), only=(), effects={}, may_ask=False, is_temporary=True)
    temporary = temporary if wanted.url else replace(temporary, hosts=())
    with mcp_temporary.temporary_name(session) as name:
        temporary = replace(temporary, name=name)
        hand = make_folder(temporary, Offer(), files)
        with session.client() as client:
            mcp_temporary.remove_abandoned(session, client)
            seal = package.make_seal(hand, installing.sealing_key(client))
            installing.install(client, hand, seal, requested(hand.manifest), as_declared=True)
            if values:
                client.call("kernel.set", temporary.hand, {"values": dict(values)})
            try:
                offer = ask_offer(session, client, temporary.hand, wanted.hand)
            except (NotDone, OfferInvalid) as error:
                why = str(error).removeprefix(f"refused: {temporary.hand} ended: ").replace(temporary.name, wanted.name)
                if isinstance(error, NotDone) and error.reason == LOGIN_NEEDED and not _logs_in_alone(wanted):
                    raise LoginWanted(why) from None
                _print_last_lines(session, temporary)
                what_next = advice(wanted, has_files=bool(files))
                raise Ended(f"the server {_command_or_url(wanted)} could not be asked: {why}; {what_next}") from None
        yield offer


def advice(wanted: Wanted, *, has_files: bool) -> str:
    """What to do about a server that could not be asked."""
    if wanted.url:
        return "see `maniple mcp add --help`"
    lacks = (
        "it had no network" if has_files else "it had no network, and no file of yours: name its folder with --files"
    )
    return f"see whether it starts by itself, `{_command_or_url(wanted)}`; here {lacks}"


def fetch_offer(
    session: Session,
    client: Client,
    wanted: Wanted,
    files: Mapping[str, bytes],
    values: Mapping[str, str],
    old: tuple[Installed, Agreement] | None,
) -> Offer:
    """Fetch what a server offers: through its own Hand if that may be logged in, else through a temporary one.

    old: the Hand installed under its name, and what was agreed. Raises LoginWanted, Ended.
    """
    unasked = ""
    if old is not None and old[1].login is not None and old[1].url == wanted.url and not _logs_in_alone(wanted):
        try:
            return ask_offer(session, client, wanted.hand)
        except (NotDone, OfferInvalid) as error:
            if isinstance(error, NotDone) and error.reason == LOGIN_NEEDED:
                raise LoginWanted(str(error)) from None
            unasked = str(error)  # this update may be the remedy, so the temporary Hand tries
    try:
        with probe(session, wanted, files, values) as offer:
            return offer
    except LoginWanted as error:
        error.unasked = unasked
        raise


def _logs_in_alone(wanted: Wanted) -> bool:
    return wanted.login is not None and wanted.login.is_alone


def ask_offer(session: Session, client: Client, hand: str, name: str = "") -> Offer:
    """Ask the server of an installed Hand what it offers. name: its name in messages. Raises NotDone, OfferInvalid."""
    pieces = bytearray()

    def append(piece: bytes) -> None:
        pieces.extend(piece)
        if len(pieces) > tools.LARGEST:
            raise OfferInvalid(f"it offers more than {tools.LARGEST >> 20} MiB")

    what = f"{name or hand} to start and to tell what it offers, which may take {OFFER_S:.0f} s"
    with waiting(session, what) as tick:
        client.call(f"{hand}.tools.list", seconds=OFFER_S, chunk=append, tick=tick)
    return tools.read_offer(bytes(pieces))


def require_installed(client: Client, name: str) -> tuple[Installed, Agreement]:
    """Fetch a server's Hand, by the server's name or the Hand's, and what was agreed. Raises Ended if there is none."""
    if (found := find(client, hand_of(name))) is None:
        raise Ended(f"there is no MCP server {name}: see `maniple mcp list`")
    return found


def hand_of(name: str) -> str:
    """The name of a server's Hand. name: the server's or the Hand's."""
    return name if name.startswith(folder.PREFIX) else f"{folder.PREFIX}{name}"


def find(client: Client, hand: str) -> tuple[Installed, Agreement] | None:
    """Fetch a server's Hand by its own name, and what was agreed; None if it is not installed."""
    if (found := installed.find(client, hand)) is None:
        return None
    if (agreed := _read_agreement(client, found)) is None:
        mend = f"give the server another name, or `maniple remove {hand}`"
        raise Ended(f"{hand} is not a server that `maniple mcp add` made: {mend}")
    return found, agreed


def _read_agreement(client: Client, hand: Installed) -> Agreement | None:
    """Read what was agreed with a server; None for a Hand that is no server. Raises Ended if the file is damaged."""
    path = os.path.join(client.home, "hands", hand.folder, tools.FILE)
    section = hand.package.manifest.hand
    try:
        with open(path, "rb") as file:
            return tools.read_agreement(file.read(tools.LARGEST))
    except FileNotFoundError:
        if section.speaks != "mcp" and section.entry != folder.ENTRY:
            return None
        why = "is not there"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    except OfferInvalid as error:
        why = f"is damaged, {error}"
    raise Ended(f"{path} {why}; `maniple remove {hand.name}`, then add it again")


def fetch_all(client: Client) -> tuple[list[tuple[Installed, Agreement]], dict[str, str]]:
    """Fetch the Hands of all servers; and the names of those that cannot be read, each with the reason."""
    found, unreadable = list[tuple[Installed, Agreement]](), dict[str, str]()
    for row in installed.list_hands(client):
        if not row.name.startswith(folder.PREFIX):
            continue
        try:
            hand = installed.fetch_details(client, row.name).hand
            if (agreed := _read_agreement(client, hand)) is not None:
                found.append((hand, agreed))
        except Ended as error:
            unreadable[row.name] = str(error)
    return found, unreadable


def command_or_url(hand: Installed, agreed: Agreement) -> str:
    """The server's command line or URL."""
    return agreed.url or shlex.join(hand.package.manifest.hand.command)


def _command_or_url(wanted: Wanted) -> str:
    return wanted.url or shlex.join(wanted.command)


def _print_last_lines(session: Session, temporary: Wanted) -> None:
    """Print the last lines of a server's output, which may show why it failed; the run's own log records are left out."""
    try:
        with open(os.path.join(session.home, "output", f"{temporary.hand}.log"), "rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - _TAIL)
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()[bool(start) :]  # the first is incomplete
    except OSError:
        return
    if lines_printed := [line for line in lines if not line.startswith(_RECORD)][-_LINES_SHOWN:]:
        session.say("The last lines that it printed:")
        for line in lines_printed:
            session.say(f"  {screen.visible(line)}")
