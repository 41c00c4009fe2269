"""Servers of the Model Context Protocol as the command line has them (acts): looked at, made a Hand of, and found again.

A server is looked at by a Hand of a passing name, which has its program and no grant, so its first run is as confined as
every other, and in the log; of a server elsewhere it has the one host that the operator just named.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from msgspec.structs import replace

from kernel.cli import installed, installing, mcp_passing, named_files, package, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session
from kernel.cli.installed import Installed
from kernel.cli.progress import waiting
from manifests.check import LONGEST, check
from manifests.grants import requested
from manifests.mcp import folder, tools
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import Agreement, Offer, OfferInvalid
from manifests.seal import MANIFEST_FILE

LOOK_S: Final = 120.0
"""Seconds in which a server must start and tell what it offers."""

LOGIN: Final = "login"
"""The code of a call that failed since the server wants a login."""

_SHOWN: Final = 10  # lines of what a server printed
_TAIL: Final = 4096
_RECORD: Final = '{"time":'


class LoginWanted(Ended):
    """The server tells nothing to whoever has not logged in. unasked: why its own Hand, which may have, was not asked."""

    unasked = ""


def made(
    wanted: Wanted, offer: Offer, files: Mapping[str, bytes], before: tuple[Installed, Agreement] | None = None
) -> package.Folder:
    """The Hand that a server becomes, not yet sealed. Raises Ended when it cannot be one.

    before: the one whose tools it has, if the server could not be asked now.
    """
    import tomli_w

    try:
        tables = dict(folder.manifest_of(wanted, offer))  # first: it is refused before more of it is looked at
        agreed = folder.make_agreement(wanted, offer)
        if before is not None:
            tables = folder.with_earlier_methods(tables, before[0].package.manifest.provides)
            agreed = replace(agreed, tools=before[1].tools)
        toml = folder.to_toml(tables, tomli_w.dumps)
        if len(toml) > LONGEST:
            raise folder.too_large(len(agreed.tools))
        own = {MANIFEST_FILE: toml.encode(), tools.FILE: tools.encode(agreed)}
        own |= {} if wanted.command else {"main.py": folder.MAIN.encode()}
        if taken := sorted(own.keys() & files.keys()):
            own_files = f"the server's folder holds {', '.join(taken)}, which is the name of a file that its Hand needs"
            raise Ended(f"{own_files}: rename it there, or name another folder with `--files DIR`")
        return package.Folder(path=wanted.hand, manifest=check(toml), files={**files, **own}, seal="")
    except OfferInvalid as error:
        raise Ended(f"no Hand can be made of {wanted.name}: {error}") from None


def files_of(path: str) -> dict[str, bytes]:
    """Every file of a server's own folder, which is sealed with its Hand. Raises Ended when it cannot be."""
    if not named_files.is_folder(path):
        raise Ended(f"{path} is not a folder: name the one that holds the server's files", Exit.USAGE)
    return package.read_files(path)


@contextmanager
def looking(session: Session, wanted: Wanted, files: Mapping[str, bytes], values: Mapping[str, str]) -> Iterator[Offer]:
    """What a server offers that is no Hand yet. values: of its secrets, by their settings."""
    passing = replace(wanted, version="1.0.0", readable=(), only=(), effects={}, may_ask=False, is_passing=True)
    passing = passing if wanted.url else replace(passing, hosts=())
    with mcp_passing.name(session) as name:
        passing = replace(passing, name=name)
        hand = made(passing, Offer(), files)
        with session.client() as client:
            mcp_passing.sweep(session, client)
            seal = package.make_seal(hand, installing.sealing_key(client))
            installing.install(client, hand, seal, requested(hand.manifest), as_declared=True)
            if values:
                client.call("kernel.set", passing.hand, {"values": dict(values)})
            try:
                offer = offered(session, client, passing.hand, wanted.hand)
            except (NotDone, OfferInvalid) as error:
                why = str(error).removeprefix(f"refused: {passing.hand} ended: ").replace(passing.name, wanted.name)
                if isinstance(error, NotDone) and error.reason == LOGIN and not _is_alone(wanted):
                    raise LoginWanted(why) from None
                _say_what_it_said(session, passing)
                how = "`maniple mcp add --help`" if wanted.url else f"whether it starts by itself: `{_named(wanted)}`"
                raise Ended(f"the server {_named(wanted)} could not be asked: {why}; see {how}") from None
        yield offer


def look(
    session: Session,
    client: Client,
    wanted: Wanted,
    files: Mapping[str, bytes],
    values: Mapping[str, str],
    old: tuple[Installed, Agreement] | None,
) -> Offer:
    """What a server offers, asked by its own Hand if that may have a login which a passing one has not.

    old: what is installed under its name. Raises LoginWanted, Ended.
    """
    unasked = ""
    if old is not None and old[1].login is not None and old[1].url == wanted.url and not _is_alone(wanted):
        try:
            return offered(session, client, wanted.hand)
        except (NotDone, OfferInvalid) as error:
            if isinstance(error, NotDone) and error.reason == LOGIN:
                raise LoginWanted(str(error)) from None
            unasked = str(error)  # it may be what this adding is to mend: the passing one finds out
    try:
        with looking(session, wanted, files, values) as offer:
            return offer
    except LoginWanted as error:
        error.unasked = unasked
        raise


def _is_alone(wanted: Wanted) -> bool:
    return wanted.login is not None and wanted.login.is_alone


def offered(session: Session, client: Client, hand: str, name: str = "") -> Offer:
    """What the server of a Hand offers now. name: as people are told of it. Raises NotDone, OfferInvalid."""
    pieces = bytearray()

    def take(piece: bytes) -> None:
        pieces.extend(piece)
        if len(pieces) > tools.LARGEST:
            raise OfferInvalid(f"it offers more than {tools.LARGEST >> 20} MiB")

    what = f"{name or hand} to start and to tell what it offers, which may take {LOOK_S:.0f} s"
    with waiting(session, what) as tick:
        client.call(f"{hand}.tools.list", seconds=LOOK_S, chunk=take, tick=tick)
    return tools.read_offer(bytes(pieces))


def added(client: Client, name: str) -> tuple[Installed, Agreement]:
    """The Hand of a server by the server's name or its own, and what was agreed. Raises Ended for what is none."""
    if (found := before(client, hand_of(name))) is None:
        raise Ended(f"there is no MCP server {name}: see `maniple mcp list`")
    return found


def hand_of(name: str) -> str:
    """The name of a server's Hand, by the server's name or its own."""
    return name if name.startswith(folder.PREFIX) else f"{folder.PREFIX}{name}"


def before(client: Client, hand: str) -> tuple[Installed, Agreement] | None:
    """The same, None for what is not installed."""
    if (found := installed.find(client, hand)) is None:
        return None
    path = os.path.join(client.home, "hands", found.folder, tools.FILE)
    try:
        with open(path, "rb") as file:
            return found, tools.read_agreement(file.read(tools.LARGEST))
    except (OSError, OfferInvalid) as error:
        raise Ended(f"{hand} is not an MCP server that `maniple mcp add` made: {error}") from None


def every(client: Client) -> list[tuple[Installed, Agreement]]:
    """Every server that was added, by name."""
    found = [before(client, row.name) for row in installed.list_hands(client) if row.name.startswith(folder.PREFIX)]
    return [one for one in found if one is not None]


def where(hand: Installed, agreed: Agreement) -> str:
    """Its program, or its URL."""
    return agreed.url or shlex.join(hand.package.manifest.hand.command)


def _named(wanted: Wanted) -> str:
    return wanted.url or shlex.join(wanted.command)


def _say_what_it_said(session: Session, passing: Wanted) -> None:
    """The last lines that it printed, for the person who must find out why; the run's own records say no more."""
    try:
        with open(os.path.join(session.home, "output", f"{passing.hand}.log"), "rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - _TAIL)
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()[bool(start) :]  # the first is half a line
    except OSError:
        return
    if said := [line for line in lines if not line.startswith(_RECORD)][-_SHOWN:]:
        session.say("The last lines that it printed:")
        for line in said:
            session.say(f"  {screen.visible(line)}")
