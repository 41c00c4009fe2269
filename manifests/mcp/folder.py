"""The files of the Hand that an MCP server becomes (pure).

Every tool has effect external unless the operator says otherwise, whatever the server claims. The server's connections
are made in its own name, since it is unknown for which call a connection is made; so its hosts are granted to the Hand
itself (`own`), not to its callers, and `maniple install` shows that.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from manifests import schemas
from manifests.check import LONGEST
from manifests.mcp.shapes import ALL_LOOKS, ALL_MOST, LOOKS, MOST, shapes_of
from manifests.mcp.tools import Agreed, Agreement, Login, Offer, OfferInvalid, Tool
from manifests.mcp.words import methods_of, params_of, summary_of, visible
from manifests.readers import LONGEST_TEXT
from manifests.schema import Provided

PREFIX: Final = "mcp-"
ENTRY: Final = "main:Server"
"""The entry of the Hand of a server that is reached over HTTP."""

MAIN: Final = '''"""The Hand of a server that is reached over HTTP; mcp.json names it."""

from runtime.mcp.hand import Server

__all__ = ["Server"]
'''
"""main.py of a Hand without a program."""

RETURNS: Final = {"text": "string?", "structured": "any?", "parts": "list?", "cut": "bool?"}
EFFECTS: Final = ("read", "write", "external")


class Wanted(Struct, frozen=True, kw_only=True):
    """The operator's choices. name: without PREFIX. command or url: the server. only: the tools to take, () for all.

    effects: of tools by the server's names, and of `resources.read` and `prompts.get`. hosts: `host:port` that the server
    may connect to. code, readable: folders of this machine with its program, and others. plain: environment variables of
    the program, in which STATE stands for its persistent folder. environment: secret variables, or headers of requests to
    the url. certificates: the system's file of certificate authorities for the url. may_ask: it may ask people, each time
    as they allow. login: how it logs in at the url. is_temporary: a temporary Hand for a look, not restarted after a failure.
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
    is_temporary: bool = False
    memory: str = "1GiB"

    @property
    def hand(self) -> str:
        """The name of its Hand."""
        return f"{PREFIX}{self.name}"


def make_agreement(wanted: Wanted, offer: Offer) -> Agreement:
    """Return the content of the Hand's mcp.json."""
    tools = {
        f"{wanted.hand}.{word}": Agreed(tool=tool.name, digest=tool.digest, params=params_of(tool).theirs)
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
    """Return the tables of the Hand's HAND.toml. Raises OfferInvalid for an unknown effect or tool."""
    chosen = _chosen(wanted, offer)
    _check_names(wanted, chosen)
    code = {"command": list(wanted.command), "speaks": "mcp"} if wanted.command else {"entry": ENTRY}
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
        "provides": {**_tool_methods(wanted, chosen), **_fixed_methods(wanted, offer)},
        "limits": {"memory": wanted.memory, "processes": 128, "open_files": 256, "in_flight": 64},
        "settings": settings,
        **({"restart": {"when": "never"}} if wanted.is_temporary else {}),
        **confinement,
    }


def lacks_schemas(provides: Mapping[str, Provided], offer: Offer) -> bool:
    """Whether to_toml left out the params' schemas for lack of space."""
    return not any(one.schemas for one in provides.values()) and any(
        _schemas_by_word(methods_of(offer.tools), MOST).values()
    )


def with_earlier_methods(tables: Mapping[str, object], provides: Mapping[str, Provided]) -> dict[str, object]:
    """Return the tables with the methods that the Hand provided before, beside the fixed ones."""
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


def to_toml(tables: Mapping[str, object], dumps: Callable[[Mapping[str, object]], str]) -> str:
    """Return the tables as TOML, without `schemas` if it would be too long with them: only models need those.

    dumps: writes tables as TOML. Each schema is written on one line, since a table for each would take three times the space.
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
    """Write a value of a schema on one line. A text without control characters is the same in TOML and JSON."""
    match value:
        case dict():
            return f"{{ {', '.join(f'{_inline(key)} = {_inline(row)}' for key, row in value.items())} }}"
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def setting_of(variable: str) -> str:
    """Return the name of the setting for a variable of the program, or for a header."""
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
    """Return the labels of the server's answers: with `web` if it can connect to hosts."""
    return ["mcp", *(["web"] if wanted.hosts else [])]


def _tool_methods(wanted: Wanted, chosen: tuple[Tool, ...]) -> dict[str, object]:
    methods = methods_of(chosen)
    rows: dict[str, dict[str, object]] = {}
    room = LONGEST
    for word, tool in methods.items():
        row = rows[f"{wanted.hand}.{word}"] = {
            "summary": summary_of(tool),
            "resource": "none",
            "effect": _effect(wanted, tool.name),
            "labels": _labels(wanted),
            "params": params_of(tool).types,
            "schemas": {},
            "returns": RETURNS,
        }
        room -= len(json.dumps(row, ensure_ascii=False))
        if room < 0:  # before more tools are processed
            raise too_large(len(methods))
    told = _schemas_by_word(methods, MOST)
    if sum(map(schemas.size, told.values())) > ALL_MOST:
        told = _schemas_by_word(methods, min(MOST, ALL_MOST // len(methods)))
    return {
        method: {**row, "schemas": shapes} for (method, row), shapes in zip(rows.items(), told.values(), strict=True)
    }


def too_large(tools: int) -> OfferInvalid:
    """Return the error for more tools than a HAND.toml can hold."""
    many = "1 tool" if tools == 1 else f"{tools} tools"
    much = f"the HAND.toml for {many} would be larger than {LONGEST // 1024} KiB"
    return OfferInvalid(f"{much}: take some of its tools with --only TOOL, which may be repeated")


def _schemas_by_word(methods: Mapping[str, Tool], room: int) -> dict[str, dict[str, dict[str, object]]]:
    looks = min(LOOKS, ALL_LOOKS // max(len(methods), 1))
    return {word: shapes_of(tool, params_of(tool), room, looks) for word, tool in methods.items()}


def _fixed_methods(wanted: Wanted, offer: Offer) -> dict[str, object]:
    """Return the methods other than tools. Lists have effect read, since they pass nothing of the caller to the server."""

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
