"""Whose memory a command is about (acts): its options, and the namespace that they mean.

The operator may ask for a Hand's memory by the Hand's immutable id; a name is looked up, the id of a Hand that was removed is
given as it is.
"""

import shlex
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Final, TypeVar

import click
from msgspec import Struct

from kernel.cli import installed, replies, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, hand_names
from kernel.cli.progress import waiting
from manifests.capabilities import namespace
from manifests.errors import ResourceInvalid

T = TypeVar("T")

LINE_MOST: Final = 160
EVERY: Final = "default: every memory"
NOTHING: Final = "Nothing is remembered yet."
LONG_S: Final = 24 * 3600.0
"""Seconds that going through a whole memory may take."""


class Whose(Struct, frozen=True, kw_only=True):
    """The options as they were given."""

    hand: str | None
    shared: str | None
    session: str | None

    def is_given(self) -> bool:
        """Whether any of them was."""
        return any(one is not None for one in (self.hand, self.shared, self.session))

    def words(self) -> str:
        """As one types them."""
        given = (("--hand", self.hand), ("--shared", self.shared), ("--session", self.session))
        return " ".join(f"{option} {shlex.quote(value)}" for option, value in given if value is not None)


class Owner(Struct, frozen=True, kw_only=True):
    """A row of memory.owners."""

    namespace: str
    bytes: int


class Owners(Struct, frozen=True, kw_only=True):
    """memory.owners."""

    owners: tuple[Owner, ...]
    more: bool


class Checked(Struct, frozen=True, kw_only=True):
    """memory.verify."""

    ok: bool
    problems: tuple[str, ...]
    mended: tuple[str, ...]


def whose_memory(
    *, sessions: bool = True, without: str = "default: your own"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options --hand, --shared and, where a session may be meant, --session: a command gets them as one, `whose`.

    without: whose memory is meant where none is named.
    """

    def added(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def given(
            session: Session, *, hand: str | None, shared: str | None, conversation: str | None = None, **rest: object
        ) -> None:
            function(session, whose=Whose(hand=hand, shared=shared, session=conversation), **rest)

        if sessions:
            about = "A conversation in it: AGENT/CHANNEL/CHAT/USER, with - for a part it lacks."
            given = click.option("--session", "conversation", metavar="KEY", help=about)(given)
        given = click.option("--shared", metavar="NAME", help="The shared space of this name.")(given)
        about = f"A Hand's memory, by name or id, or `operator` for yours; {without}."
        return click.option("--hand", metavar="HAND", help=about, shell_complete=hand_names)(given)

    return added


def namespace_of(client: Client, whose: Whose) -> str:
    """The namespace that is meant, in its normal form. Raises Ended for none."""
    if whose.shared is not None:
        if whose.hand is not None or whose.session is not None:
            raise Ended(
                "a shared space belongs to no Hand, and has no sessions: leave out --shared, or --hand and --session",
                Exit.USAGE,
            )
        return _normal(f"shared/{whose.shared}")
    owner = f"own/{id_of(client, whose.hand)}" if whose.hand is not None else "own"
    if whose.session is None:
        return _normal(owner)
    session = whose.session.removeprefix("session/")
    return _normal(f"{owner}/session/{session}" if whose.hand is not None else f"session/{session}")


def id_of(client: Client, hand: str) -> str:
    """The id of a Hand by its name; an id itself, also of one that was removed."""
    try:
        namespace.normalise(f"own/{hand}")
    except ResourceInvalid:
        return installed.fetch_details(client, hand).hand.id
    return hand


def owners(client: Client) -> list[Owner]:
    """Every memory that there is."""
    found: list[Owner] = []
    more = True
    while more:
        after = found[-1].namespace if found else ""
        page = replies.read(client.call("memory.owners", "own", {"after": after}, seconds=LONG_S).value, Owners)
        found += page.owners
        more = page.more
    return found


def chosen(client: Client, whose: Whose) -> list[str]:
    """The namespace of the memory that was named, or those of all."""
    return [namespace_of(client, whose)] if whose.is_given() else [one.namespace for one in owners(client)]


def each(session: Session, client: Client, whose: Whose, method: str, doing: str, of: type[T]) -> dict[str, T]:
    """What a method that takes long answers on the memory that was named, or on each of all. doing: what is waited for."""
    found: dict[str, T] = {}
    for space in chosen(client, whose):
        with waiting(session, f"{space} {doing}") as tick:
            found[space] = replies.read(client.call(method, space, seconds=LONG_S, tick=tick).value, of)
    return found


def names(client: Client) -> dict[str, str]:
    """The names of the installed Hands by the namespaces of their memories."""
    found = {f"own/{hand}": name for hand, name in installed.names_by_id(client).items()}
    return {**found, "own/operator": "you, the operator"}


def kept_of(home: str, hand: str) -> str:
    """The file in which a Hand's memory lies, by the Hand's id; "" when there is none."""
    return next((str(path) for path in Path(home, "state").glob(f"h-*/own/{hand}.db")), "")


def in_words(namespaced: str, known: dict[str, str]) -> str:
    """A memory as people are shown it."""
    return known.get(namespaced, f"{namespaced} (removed)" if namespaced.startswith("own/") else namespaced)


def in_one_line(text: str) -> str:
    """The beginning of a text, as a row of a table has it."""
    return screen.cut(" ".join(text[: LINE_MOST * 4].split()), LINE_MOST)


def _normal(text: str) -> str:
    try:
        return namespace.normalise(text)
    except ResourceInvalid as error:
        raise Ended(f"{text!r} is not the name of a memory: {error}", Exit.USAGE) from None
