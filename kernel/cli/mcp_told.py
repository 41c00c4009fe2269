"""What a server tells of itself, said to the person who adds it (acts); its words are data, and shown as such.

What models read of its tools is shown with the methods that these become, by install.py. Here stands what is not in those:
who it says it is, which of its tools are not taken or not as it tells them, and what has changed since it was added.
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

_NAME: Final = 200
"""Characters of a server's name, of its version, of a tool's name and of what one says of itself, that are shown."""

_ROWS: Final = 12
"""Tools of which the same is said."""


def say(session: Session, offer: Offer, hand: Folder, old: Agreement | None) -> None:
    """On stderr. hand: what it becomes. old: what was agreed before, None for a server that is new."""
    who = f"{shorten(offer.server, _NAME) or 'a server without a name'} {shorten(offer.version, _NAME)}".rstrip()
    protocol = shorten(offer.protocol, _NAME)
    session.say(f"The server says that it is {who}, and speaks MCP {protocol}. It offers {_counted(offer)}.")
    _rows(session, "What its tools say of themselves, which nobody believes:", _hints(offer.tools))
    _rows(session, "Some are called by other words than their names:", _renamed(hand.name, offer.tools))
    _rows(
        session,
        "Of these, some are not taken:",
        (f"{visible(name)}: {why}" for name, why in unusable_tools(offer.tools).items()),
    )
    _rows(session, "Some take all their arguments at once, as the server wants them:", _whole(offer.tools))
    if folder.lacks_schemas(hand.manifest.provides, offer):
        session.say(
            "What its tools take is told to models by types alone: there is no room for more. --only takes fewer."
        )
    if old is not None:
        now = {tool.name: tool for tool in offer.tools}
        known = {one.tool for one in old.tools.values()}
        rows = [f"{_named(old.tools[method].tool)}: {why}" for method, why in changed_tools(old, now).items()]
        rows += [f"{_named(name)}: new" for name, tool in now.items() if name not in known and not tool.is_task_only]
        if rows:
            _rows(session, "Since it was added:", rows)
        else:
            session.say("Nothing has changed since it was added.")


def _rows(session: Session, head: str, rows: Iterable[str]) -> None:
    """At most _ROWS of them under their head; nothing where there is none."""
    every = list(rows)
    if every:
        session.say(head)
    for row in every[:_ROWS]:
        session.say(f"  {row}")
    if len(every) > _ROWS:
        session.say(f"  … and {len(every) - _ROWS:,} more")


def _named(name: str) -> str:
    return shorten(name, _NAME)


def _hints(tools: Iterable[Tool]) -> Iterable[str]:
    for tool in tools:
        said = ", ".join(f"{_named(name)} {shorten(str(value), _NAME)}" for name, value in tool.hints.items())
        if said:
            yield f"{_named(tool.name)}: {shorten(said, 2 * _NAME)}"


def _renamed(hand: str, tools: Sequence[Tool]) -> Iterable[str]:
    for word, tool in methods_of(tools).items():
        if _letters(word) != _letters(tool.name):
            yield f"{hand}.{word} is {quoted(_named(tool.name))}"


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _whole(tools: Iterable[Tool]) -> Iterable[str]:
    return (f"{_named(tool.name)}: {why}" for tool in tools if (why := why_one_argument(tool)))


def _counted(offer: Offer) -> str:
    more = [word for word, has in (("resources", offer.resources), ("prompts", offer.prompts)) if has]
    return ", ".join([screen.count(len(offer.tools), "tool"), *more])
