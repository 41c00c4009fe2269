"""`maniple memory list` (acts)."""

import click
from msgspec import Struct

from kernel.cli import memories, screen, told
from kernel.cli.client import Client
from kernel.cli.frame import Session, command
from kernel.cli.memories import Whose


class _Key(Struct, frozen=True, kw_only=True):
    """A row of memory.list."""

    key: str
    version: int
    changed: str
    expires: str | None
    size: int


class _Keys(Struct, frozen=True, kw_only=True):
    """memory.list."""

    keys: tuple[_Key, ...]
    more: bool


@command()
@click.argument("prefix", metavar="[PREFIX]", default="")
@click.option(
    "--most", metavar="N", type=click.IntRange(1, 1_000_000), default=1_000, help="At most so many; 1000 without."
)
@memories.whose_memory()
def memory_list(
    session: Session, prefix: str, most: int, hand: str | None, shared: str | None, conversation: str | None
) -> None:
    """The keys of a memory, those that begin with PREFIX, in order."""
    with session.client() as client:
        space = memories.namespace_of(client, Whose(hand=hand, shared=shared, session=conversation))
        found, more = _listed(client, space, prefix, most)
    session.result({"keys": found, "more": more}, lambda: _drawn(found))
    if more and not session.json:
        session.say(f"There are more: `maniple memory list --most {most * 10}`")


def _listed(client: Client, space: str, prefix: str, most: int) -> tuple[list[_Key], bool]:
    found: list[_Key] = []
    more = True
    while more and len(found) < most:
        asked = {"prefix": prefix, "after": found[-1].key if found else "", "most": min(1_000, most - len(found))}
        page = told.read(client.call("memory.list", space, asked).value, _Keys)
        found += page.keys
        more = page.more
    return found, more


def _drawn(found: list[_Key]) -> str:
    if not found:
        return "There is no such key."
    return screen.table(
        ("KEY", "VERSION", "CHANGED", "EXPIRES", "SIZE"),
        (
            (
                one.key,
                str(one.version),
                screen.moment(one.changed),
                screen.moment(one.expires) if one.expires else "",
                screen.size(one.size),
            )
            for one in found
        ),
        right=("VERSION", "SIZE"),
    )
