"""The options that select a memory, and the namespace that they stand for (acts).

A memory belongs to a Hand's immutable id. A Hand's name is looked up; an id, also of a removed Hand, is used as it is.
"""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Final, TypeVar

import click
from msgspec import Struct

from kernel.cli import installed, replies, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session, hand_names
from kernel.cli.progress import waiting
from manifests.capabilities import namespace
from manifests.errors import ResourceInvalid

T = TypeVar("T")

LINE_WIDTH: Final = 160
EVERY_MEMORY: Final = "default: every memory"
CALL_S: Final = 24 * 3600.0
"""Deadline in seconds of calls that go through a whole memory."""


class MemoryOptions(Struct, frozen=True, kw_only=True):
    """The values of --hand, --shared and --session; None if not given."""

    hand: str | None
    shared: str | None
    session: str | None

    def is_given(self) -> bool:
        """Whether any of them was given."""
        return any(one is not None for one in (self.hand, self.shared, self.session))

    def words(self) -> str:
        """The options as typed."""
        given = (("--hand", self.hand), ("--shared", self.shared), ("--session", self.session))
        return " ".join(f"{option} {shlex.quote(value)}" for option, value in given if value is not None)


class Owner(Struct, frozen=True, kw_only=True):
    """A row of memory.owners."""

    namespace: str
    bytes: int


class Owners(Struct, frozen=True, kw_only=True):
    """The reply of memory.owners."""

    owners: tuple[Owner, ...]
    more: bool


class VerifyReply(Struct, frozen=True, kw_only=True):
    """The reply of memory.verify."""

    ok: bool
    problems: tuple[str, ...]
    mended: tuple[str, ...]


def whose_options(
    *, sessions: bool = True, without: str = "default: your own"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: add --hand, --shared and, if `sessions`, --session; the command gets them as one argument, `whose`.

    without: the help text on which memory is used if none is named.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def with_options(
            session: Session, *, hand: str | None, shared: str | None, conversation: str | None = None, **rest: object
        ) -> None:
            function(session, whose=MemoryOptions(hand=hand, shared=shared, session=conversation), **rest)

        if sessions:
            help_text = "A conversation in it: AGENT/CHANNEL/CHAT/USER, with - for a part it lacks."
            with_options = click.option("--session", "conversation", metavar="KEY", help=help_text)(with_options)
        with_options = click.option("--shared", metavar="NAME", help="The shared space of this name.")(with_options)
        help_text = f"A Hand's memory, by name or id, or `operator` for yours; {without}."
        return click.option("--hand", metavar="HAND", help=help_text, shell_complete=hand_names)(with_options)

    return decorate


def resolve_namespace(client: Client, whose: MemoryOptions) -> str:
    """The normalised namespace that the options select. Raises Ended (usage) for an impossible combination."""
    if whose.shared is not None:
        if whose.hand is not None or whose.session is not None:
            raise Ended(
                "a shared space belongs to no Hand, and has no sessions: leave out --shared, or --hand and --session",
                Exit.USAGE,
            )
        return _normalise(f"shared/{whose.shared}")
    owner = f"own/{resolve_id(client, whose.hand)}" if whose.hand is not None else "own"
    if whose.session is None:
        return _normalise(owner)
    session = whose.session.removeprefix("session/")
    return _normalise(f"{owner}/session/{session}" if whose.hand is not None else f"session/{session}")


def resolve_id(client: Client, hand: str) -> str:
    """Look up a Hand's id by name; an id, also of a removed Hand, is returned as it is."""
    try:
        namespace.normalise(f"own/{hand}")
    except ResourceInvalid:
        return installed.fetch_details(client, hand).hand.id
    return hand


def fetch_owners(client: Client) -> list[Owner]:
    """Fetch all memories that exist."""
    found: list[Owner] = []
    more = True
    while more:
        after = found[-1].namespace if found else ""
        page = replies.read(client.call("memory.owners", "own", {"after": after}, seconds=CALL_S).value, Owners)
        found += page.owners
        more = page.more
    return found


def chosen_namespaces(client: Client, whose: MemoryOptions) -> list[str]:
    """The namespace that the options select; without options, those of all memories."""
    return [resolve_namespace(client, whose)] if whose.is_given() else [one.namespace for one in fetch_owners(client)]


def call_each(
    session: Session, whose: MemoryOptions, method: str, doing: str, of: type[T],
    drawn: Callable[[dict[str, T], dict[str, str]], str], *, json: Callable[[dict[str, T]], object] = dict,
    code: Exit = Exit.FAILED,
) -> dict[str, T]:  # fmt: skip
    """Call a method on each selected memory; print and return the replies, by namespace.

    doing: what the status line says of one memory. drawn: draws replies and names_by_namespace(); json: what --json prints.
    Raises Ended with this code if a memory is damaged, which keeps nothing of the others back.
    """
    found: dict[str, T] = {}
    damaged: list[str] = []
    with session.client() as client:
        for space in chosen_namespaces(client, whose):
            with waiting(session, f"{space} {doing}") as tick:
                try:
                    found[space] = replies.read(client.call(method, space, seconds=CALL_S, tick=tick).value, of)
                except NotDone as error:
                    if error.reason != "damaged":
                        raise
                    damaged.append(f"{space}: {error}")
        known = {} if session.json else names_by_namespace(client)
    nothing = "" if damaged else "Nothing is remembered yet."
    session.result({"memories": json(found)}, lambda: drawn(found, known) if found else "", nothing=nothing)
    if damaged:
        raise Ended("; ".join(damaged), code)
    return found


def names_by_namespace(client: Client) -> dict[str, str]:
    """Fetch the names of installed Hands by the namespaces of their memories."""
    found = {f"own/{hand}": name for hand, name in installed.names_by_id(client).items()}
    return {**found, "own/operator": "you, the operator"}


@contextmanager
def told_where_to_look(whose: MemoryOptions, option: str = "") -> Iterator[None]:
    """Within the block, the error for what is not in the memory names `maniple memory list`, with this option of it."""
    try:
        yield
    except NotDone as error:
        if error.reason != "absent":
            raise
        text = str(error).removesuffix(" (absent)")
        listing = " ".join(filter(None, ("maniple memory list", option, whose.words())))
        raise NotDone(f"{text}: see `{listing}`", error.reason, error.code) from None


def database_of(home: str, hand: str) -> str:
    """The database file of a Hand's memory, by the Hand's id; "" if it has none."""
    return next((str(path) for path in Path(home, "state").glob(f"h-*/own/{hand}.db")), "")


def describe(space: str, known: dict[str, str]) -> str:
    """A memory's name for people."""
    return known.get(space, f"{space} (removed)" if space.startswith("own/") else space)


def first_line(text: str) -> str:
    """Shorten a text to one line of a table."""
    return screen.cut(" ".join(text[: LINE_WIDTH * 4].split()), LINE_WIDTH)


def _normalise(text: str) -> str:
    try:
        return namespace.normalise(text)
    except ResourceInvalid as error:
        raise Ended(f"{text!r} is not the name of a memory: {error}", Exit.USAGE) from None
