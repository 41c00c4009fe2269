"""The files of the Hand that a server of the Model Context Protocol becomes (pure).

Every tool acts beyond this machine unless the operator says otherwise, whatever the server says of itself. What the
server connects to it does in its own name, since nobody can tell for which of its calls a connection is made; so its
hosts are granted to the Hand and not to its callers, and `maniple install` shows them so.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from manifests import schemas
from manifests.check import LONGEST
from manifests.mcp.shapes import ALL_LOOKS, ALL_MOST, LOOKS, MOST, shapes_of
from manifests.mcp.tools import Agreed, Agreement, Login, Offer, OfferInvalid, Tool
from manifests.mcp.words import methods_of, summary_of, taken_by, visible
from manifests.readers import LONGEST_TEXT
from manifests.schema import Provided

PREFIX: Final = "mcp-"
MAIN: Final = '''"""The Hand of a server that is reached over HTTP; mcp.json names it."""

from runtime.mcp.hand import Server

__all__ = ["Server"]
'''
"""main.py of a Hand without a program."""

RETURNS: Final = {"text": "string?", "structured": "any?", "parts": "list?", "cut": "bool?"}
EFFECTS: Final = ("read", "write", "external")


class Wanted(Struct, frozen=True, kw_only=True):
    """What the operator asks for. name: without PREFIX. command or url: the server. only: the tools, all when empty.

    effects: of tools by their own names, and of `resources.read` and `prompts.get`. hosts: `host:port` that the server may
    connect to. code, readable: folders of this machine, in which its program lies, and others. plain: variables of the
    program, in which STATE stands for the folder that it keeps. environment: its secret ones, or headers of requests to the
    url. certificates: the system's file of those that are trusted at the url. may_ask: it may ask people, as they allow it
    each time. login: how it may log in at the url. is_passing: it is only to be looked at, and not started again when it
    fails.
    """

    name: str
    version: str = "1.0.0"
    command: tuple[str, ...] = ()
    url: str = ""
    only: tuple[str, ...] = ()
    effects: Mapping[str, str] = {}
    hosts: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    plain: Mapping[str, str] = {}
    environment: tuple[str, ...] = ()
    certificates: str = ""
    may_ask: bool = False
    login: Login | None = None
    is_passing: bool = False
    memory: str = "1GiB"

    @property
    def hand(self) -> str:
        """The name of its Hand."""
        return f"{PREFIX}{self.name}"


def agreement(wanted: Wanted, offer: Offer) -> Agreement:
    """What mcp.json of its Hand holds."""
    tools = {
        f"{wanted.hand}.{word}": Agreed(tool=tool.name, digest=tool.digest, params=taken_by(tool).theirs)
        for word, tool in methods_of(_chosen(wanted, offer)).items()
    }
    environment = {one: setting_of(one) for one in wanted.environment}
    return Agreement(
        url=wanted.url,
        certificates=wanted.certificates,
        tools=tools,
        plain=dict(wanted.plain),
        environment=environment,
        login=wanted.login,
    )


def manifest_of(wanted: Wanted, offer: Offer) -> Mapping[str, object]:
    """The tables of its HAND.toml. Raises OfferInvalid for an effect or tool that names nothing."""
    chosen = _chosen(wanted, offer)
    _check_names(wanted, chosen)
    code = {"command": list(wanted.command), "speaks": "mcp"} if wanted.command else {"entry": "main:Server"}
    connect = {"web.connect": {"allow": list(wanted.hosts), "own": True}} if wanted.hosts else {}
    people = {"ask.person": {"allow": ["*"], "own": True}} if wanted.may_ask else {}
    settings = {
        setting_of(one): {"type": "string", "secret": True, "help": f"The server's {one}."}
        for one in wanted.environment
    }
    if wanted.login is not None and wanted.login.proof:
        settings[wanted.login.proof] = {"type": "string", "secret": True, "help": "What proves the client's name."}
    readable = [*dict.fromkeys((*wanted.code, *wanted.readable)), *filter(None, (wanted.certificates,))]
    confinement = {"confinement": {"outside_read": readable}} if readable else {}
    return {
        "hand": {
            "name": wanted.hand,
            "version": wanted.version,
            "description": _description(wanted, offer),
            **code,
            "kind": "service",
            "isolation": "exec",
            "autonomy": "full",
            "idle": "5m",
        },
        "capabilities": {**connect, **people},
        "provides": {**_tools(wanted, chosen), **_fixed(wanted, offer)},
        "limits": {"memory": wanted.memory, "processes": 128, "open_files": 256, "in_flight": 64},
        "settings": settings,
        **({"restart": {"when": "never"}} if wanted.is_passing else {}),
        **confinement,
    }


def is_untold(provides: Mapping[str, Provided], offer: Offer) -> bool:
    """Whether `spelled` left out what is told of params for want of room."""
    return not any(one.schemas for one in provides.values()) and any(_told(methods_of(offer.tools), MOST).values())


def as_before(tables: Mapping[str, object], provides: Mapping[str, Provided]) -> dict[str, object]:
    """The tables, with the methods that its Hand provided before beside those that it always has."""
    fixed = tables["provides"]
    assert isinstance(fixed, dict)
    kept = {
        method: {
            "summary": one.summary, "resource": one.resource, "effect": one.effect, "idempotent": one.idempotent,
            "labels": list(one.labels), "params": one.params, "schemas": one.schemas, "returns": one.returns,
        }
        for method, one in provides.items()
    }  # fmt: skip
    return {**tables, "provides": {**kept, **fixed}}


def spelled(tables: Mapping[str, object], dumps: Callable[[Mapping[str, object]], str]) -> str:
    """The tables as TOML. Where they are too long with `schemas`, these are left out: nothing else needs them.

    dumps: writes tables as TOML. The rows of `schemas` are written on a line each: a table of its own for each schema would
    take three times the room.
    """
    provides = tables["provides"]
    assert isinstance(provides, dict)
    bare = {
        method: {name: value for name, value in row.items() if name != "schemas"} for method, row in provides.items()
    }
    toml = dumps({**tables, "provides": bare})
    told = "".join(
        f"\n[provides.{_inline(method)}.schemas]\n"
        + "".join(f"{_inline(name)} = {_inline(schema)}\n" for name, schema in row["schemas"].items())
        for method, row in provides.items()
        if row.get("schemas")
    )
    return toml + told if len(toml) + len(told) <= LONGEST else toml


def _inline(value: object) -> str:
    """A value of a schema on one line. A text without control characters is in TOML as in JSON."""
    match value:
        case dict():
            return f"{{ {', '.join(f'{_inline(key)} = {_inline(row)}' for key, row in value.items())} }}"
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def setting_of(variable: str) -> str:
    """The setting that holds a variable of the program, or a header."""
    return f"env_{variable.lower().replace('-', '_')}"


def _chosen(wanted: Wanted, offer: Offer) -> tuple[Tool, ...]:
    return tuple(tool for tool in offer.tools if not wanted.only or tool.name in wanted.only)


def _check_names(wanted: Wanted, chosen: tuple[Tool, ...]) -> None:
    offered = {tool.name for tool in chosen}
    if missing := sorted(set(wanted.only) - offered):
        raise OfferInvalid(f"the server offers no tool {', '.join(map(visible, missing))}")
    for name, effect in wanted.effects.items():
        if effect not in EFFECTS:
            raise OfferInvalid(f"{effect!r} is not an effect: write {', '.join(EFFECTS)}")
        if name not in {*offered, "*", "resources.read", "prompts.get"}:
            raise OfferInvalid(f"the server offers no tool {visible(name)} to have an effect")


def _description(wanted: Wanted, offer: Offer) -> str:
    who = visible(offer.server)[:100] or wanted.name
    what = f"of the MCP server {who} {visible(offer.version)[:40]}".rstrip()
    where = f"at {wanted.url}" if wanted.url else f"({' '.join(wanted.command)})"
    return f"Tools {what} {visible(where)}."[:LONGEST_TEXT]


def _effect(wanted: Wanted, name: str) -> str:
    return wanted.effects.get(name) or wanted.effects.get("*") or "external"


def _labels(wanted: Wanted) -> list[str]:
    """What its answers are marked with: they may hold what came over the network, if it has one."""
    return ["mcp", *(["web"] if wanted.hosts else [])]


def _tools(wanted: Wanted, chosen: tuple[Tool, ...]) -> dict[str, object]:
    methods = methods_of(chosen)
    rows: dict[str, dict[str, object]] = {}
    room = LONGEST
    for word, tool in methods.items():
        row = rows[f"{wanted.hand}.{word}"] = {
            "summary": summary_of(tool),
            "resource": "none",
            "effect": _effect(wanted, tool.name),
            "labels": _labels(wanted),
            "params": taken_by(tool).types,
            "schemas": {},
            "returns": RETURNS,
        }
        room -= len(json.dumps(row, ensure_ascii=False))
        if room < 0:  # before more of them is looked at
            raise too_large(len(methods))
    told = _told(methods, MOST)
    if sum(map(schemas.size, told.values())) > ALL_MOST:
        told = _told(methods, min(MOST, ALL_MOST // len(methods)))
    return {
        method: {**row, "schemas": shapes} for (method, row), shapes in zip(rows.items(), told.values(), strict=True)
    }


def too_large(tools: int) -> OfferInvalid:
    """No HAND.toml holds so many tools."""
    many = "1 tool" if tools == 1 else f"{tools} tools"
    much = f"the HAND.toml for {many} would be larger than {LONGEST // 1024} KiB"
    return OfferInvalid(f"{much}: take some of its tools with --only TOOL, which may be repeated")


def _told(methods: Mapping[str, Tool], room: int) -> dict[str, dict[str, dict[str, object]]]:
    looks = min(LOOKS, ALL_LOOKS // max(len(methods), 1))
    return {word: shapes_of(tool, taken_by(tool), room, looks) for word, tool in methods.items()}


def _fixed(wanted: Wanted, offer: Offer) -> dict[str, object]:
    """What is offered besides the tools. Lists tell the server nothing of their caller's, so they change nothing."""

    def row(summary: str, effect: str, params: dict[str, str], returns: dict[str, str]) -> dict[str, object]:
        rest = {"labels": _labels(wanted), "params": params, "returns": returns}
        return {"summary": summary, "resource": "none", "effect": effect, "idempotent": effect == "read", **rest}

    found = {"tools.list": row("What the server offers now, as JSON in chunks", "read", {}, {"tools": "int"})}
    if offer.resources:
        found["resources.list"] = row("The server's resources and templates of them", "read", {}, {"resources": "list"})
        effect, returns = _effect(wanted, "resources.read"), {"parts": "list", "text": "string?", "cut": "bool?"}
        found["resources.read"] = row("Read one of the server's resources", effect, {"uri": "string"}, returns)
    if offer.prompts:
        found["prompts.list"] = row("The server's prompts and what they take", "read", {}, {"prompts": "list"})
        effect, returns = _effect(wanted, "prompts.get"), {"messages": "list", "description": "string?", "cut": "bool?"}
        params = {"name": "string", "arguments": "dict?"}
        found["prompts.get"] = row("Fill one of the server's prompts", effect, params, returns)
    if wanted.login is not None:  # the operator's own: anybody else's call of them waits for him
        returns = {"scope": "string"}
        login = row("Log in to the server, with a person at a page", "external", {"redirect": "string"}, returns)
        found |= {} if wanted.login.is_alone else {"auth.login": {**login, "asks": True}}
        logout = row(
            "Log out: forget the login, and tell where it was made", "external", {}, {"was": "bool", "untold": "string"}
        )
        found["auth.logout"] = {**logout, "asks": True}
    return {f"{wanted.hand}.{name}": one for name, one in found.items()}
