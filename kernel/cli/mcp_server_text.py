"""Prints what an MCP server says about itself to the person who adds it (acts); its words are shown as untrusted data.

install.py shows what models read about its tools, with the methods that these become. This module shows the rest: who the
server says it is, which tools are left out or renamed, and what has changed since it was added.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from kernel.cli import screen
from kernel.cli.frame import Session
from kernel.cli.package import Folder
from kernel.cli.read_by_models import quoted
from manifests.mcp import folder
from manifests.mcp.tools import Agreement, Offer, Tool, changed_tools
from manifests.mcp.words import methods_of, shorten, unusable_tools, visible, why_one_argument

_NAME_MAX: Final = 200
"""Most characters shown of a server's name or version, of a tool's name, and of a tool's hint."""

_ROWS_MAX: Final = 12
"""Most tools listed under one head."""


def say_offer(session: Session, offer: Offer, hand: Folder, old: Agreement | None) -> None:
    """Print it on stderr. hand: the Hand that the server becomes. old: what was agreed before; None for a new server."""
    who = (
        f"{shorten(offer.server, _NAME_MAX) or 'a server without a name'} {shorten(offer.version, _NAME_MAX)}".rstrip()
    )
    protocol = shorten(offer.protocol, _NAME_MAX)
    session.say(f"The server says that it is {who}, and speaks MCP {protocol}. It offers {_count(offer)}.")
    _say_rows(session, "What its tools say of themselves, which nobody believes:", _hints(offer.tools))
    _say_rows(session, "Some are called by other words than their names:", _renamed(hand.name, offer.tools))
    _say_rows(
        session,
        "Of these, some are not taken:",
        (f"{visible(name)}: {why}" for name, why in unusable_tools(offer.tools).items()),
    )
    _say_rows(
        session, "Some take all their arguments at once, as the server wants them:", _whole_argument_tools(offer.tools)
    )
    if folder.lacks_schemas(hand.manifest.provides, offer):
        session.say(
            "What its tools take is told to models by types alone: there is no room for more. --only takes fewer."
        )
    if old is not None:
        now = {tool.name: tool for tool in offer.tools}
        known = {one.tool for one in old.tools.values()}
        rows = [f"{_shown_name(old.tools[method].tool)}: {why}" for method, why in changed_tools(old, now).items()]
        rows += [
            f"{_shown_name(name)}: new" for name, tool in now.items() if name not in known and not tool.is_task_only
        ]
        if rows:
            _say_rows(session, "Since it was added:", rows)
        else:
            session.say("Nothing has changed since it was added.")


def _say_rows(session: Session, head: str, rows: Iterable[str]) -> None:
    """Print at most _ROWS_MAX rows under a head; nothing if there are none."""
    all_rows = list(rows)
    if all_rows:
        session.say(head)
    for row in all_rows[:_ROWS_MAX]:
        session.say(f"  {row}")
    if len(all_rows) > _ROWS_MAX:
        session.say(f"  … and {len(all_rows) - _ROWS_MAX:,} more")


def _shown_name(name: str) -> str:
    return shorten(name, _NAME_MAX)


def _hints(tools: Iterable[Tool]) -> Iterable[str]:
    for tool in tools:
        hints = ", ".join(f"{_shown_name(name)} {shorten(str(value), _NAME_MAX)}" for name, value in tool.hints.items())
        if hints:
            yield f"{_shown_name(tool.name)}: {shorten(hints, 2 * _NAME_MAX)}"


def _renamed(hand: str, tools: Sequence[Tool]) -> Iterable[str]:
    for word, tool in methods_of(tools).items():
        if _letters(word) != _letters(tool.name):
            yield f"{hand}.{word} is {quoted(_shown_name(tool.name))}"


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _whole_argument_tools(tools: Iterable[Tool]) -> Iterable[str]:
    return (f"{_shown_name(tool.name)}: {why}" for tool in tools if (why := why_one_argument(tool)))


def _count(offer: Offer) -> str:
    more = [word for word, has in (("resources", offer.resources), ("prompts", offer.prompts)) if has]
    return ", ".join([screen.count(len(offer.tools), "tool"), *more])
