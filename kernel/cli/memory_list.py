"""`maniple memory list` (acts)."""

import shlex

import click
from msgspec import Struct

from kernel.cli import memories, replies, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions
from kernel.cli.usage_errors import WholeNumber


class _Key(Struct, frozen=True, kw_only=True):
    """A row of memory.list."""

    key: str
    version: int
    changed: str
    expires: str | None
    size: int


class _Keys(Struct, frozen=True, kw_only=True):
    """The reply of memory.list."""

    keys: tuple[_Key, ...]
    more: bool


class _Fragment(Struct, frozen=True, kw_only=True):
    """A row of memory.fragments."""

    fragment: int
    text: str
    kind: str
    time: str
    importance: float
    labels: tuple[str, ...]
    state: str
    successor: int | None


class _Fragments(Struct, frozen=True, kw_only=True):
    """The reply of memory.fragments."""

    fragments: tuple[_Fragment, ...]
    more: bool


@command()
@click.argument("prefix", metavar="[PREFIX]", default="")
@click.option("--texts", is_flag=True, help="List texts by number instead; with PREFIX, those of that kind.")
@click.option("--history", is_flag=True, help="With --texts: also those that were superseded or archived.")
@click.option(
    "-n", "--most", metavar="N", type=WholeNumber(1, 1_000_000), default=1_000, help="At most N; default 1000."
)
@memories.whose_options()
def memory_list(session: Session, prefix: str, texts: bool, history: bool, most: int, whose: MemoryOptions) -> None:
    """List the keys of a memory that begin with PREFIX, in order; or its texts."""
    if history and not texts:
        raise Ended("keys have no history: give --texts too", Exit.USAGE)
    with session.client() as client:
        space = memories.resolve_namespace(client, whose)
        if texts:
            kept, more = _fetch_texts(client, space, prefix, history=history, most=most)
            session.result(
                {"fragments": kept, "more": more}, lambda: _drawn_texts(kept), nothing="There is no such text."
            )
        else:
            found, more = _fetch_keys(client, space, prefix, most)
            none = "No key begins so." if prefix else f"No key is set here; {_other_place(whose)}."
            session.result({"keys": found, "more": more}, lambda: _drawn(found), nothing=none)
    if more and not session.json:
        which = ("--texts" if texts else "", "--history" if history else "")
        again = _command(prefix, *which, f"--most {most * 10}", whose.words())
        session.say(f"There are more: `{again}`")


def _other_place(whose: MemoryOptions) -> str:
    """A clause on where else to look, with the command."""
    if whose.session is not None:
        return f"messages are in `maniple memory export {whose.words()}`"
    return f"texts are in `{_command('', '--texts', whose.words())}`"


def _command(prefix: str, *options: str) -> str:
    return " ".join(filter(None, ("maniple memory list", prefix and shlex.quote(prefix), *options)))


def _fetch_keys(client: Client, space: str, prefix: str, most: int) -> tuple[list[_Key], bool]:
    found: list[_Key] = []
    more = True
    while more and len(found) < most:
        asked = {"prefix": prefix, "after": found[-1].key if found else "", "most": min(1_000, most - len(found))}
        page = replies.read(client.call("memory.list", space, asked).value, _Keys)
        found += page.keys
        more = page.more
    return found, more


def _fetch_texts(
    client: Client, space: str, kind: str, *, history: bool, most: int
) -> tuple[list[_Fragment], bool]:  # fmt: skip
    found: list[_Fragment] = []
    more = True
    filters = {"kind": kind} if kind else {}
    while more and len(found) < most:
        asked = {
            "filters": filters, "history": history, "after": found[-1].fragment if found else 0,
            "most": min(1_000, most - len(found)),
        }  # fmt: skip
        page = replies.read(client.call("memory.fragments", space, asked).value, _Fragments)
        found += page.fragments
        more = page.more
    return found, more


def _drawn_texts(found: list[_Fragment]) -> str:
    if not found:
        return ""
    return screen.table(
        ("NUMBER", "OF", "KIND", "STATE", "TEXT"),
        (
            (str(one.fragment), screen.moment(one.time), one.kind, one.state, memories.first_line(one.text))
            for one in found
        ),
        right=("NUMBER",),
    )


def _drawn(found: list[_Key]) -> str:
    if not found:
        return ""
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
