"""Whatever a server offers is looked at within seconds: the work is bounded, not the patience of who waits for it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import tomli_w

from manifests.check import LONGEST, check
from manifests.mcp.folder import Wanted, make_agreement, manifest_of, to_toml
from manifests.mcp.tools import (
    LARGEST,
    MOST_TOOLS,
    Agreed,
    Agreement,
    Offer,
    OfferInvalid,
    Tool,
    changed_tools,
    encode,
    read_offer,
)
from manifests.mcp.words import NAME_MOST, PARAMS_MOST, methods_of, params_of, unusable_tools, why_one_argument
from manifests.schema import Manifest

WANTED: Final = Wanted(name="clock", command=("python3", "server.py"))
SECONDS: Final = 10.0
"""Of processor time, for what takes three at most, and would take minutes if one thing were looked at for each other."""

Table = dict[str, Any]


class _TooLong(Exception):
    """You get this one when a look has taken longer than any may."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    def end(_number: int, _frame: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _looked_at(*tools: Tool) -> Manifest | str:
    """The Hand that they become, or why they become none."""
    offer = Offer(server="s", version="1", tools=tools)
    assert len(encode(offer)) <= LARGEST, "what is more is told by no server"
    with _within(SECONDS):
        try:
            toml = to_toml(manifest_of(WANTED, offer), tomli_w.dumps)
            make_agreement(WANTED, offer)
        except OfferInvalid as error:
            return str(error)
        assert len(toml) <= LONGEST
        return check(toml)


def _params(number: int, row: object, name: Callable[[int], str] = "p{}".format) -> Table:
    return {"type": "object", "properties": {name(at): row for at in range(number)}}


def _many(number: int, schema: Table) -> tuple[Tool, ...]:
    return tuple(Tool(name=f"do{at}", input_schema=schema) for at in range(number))


def _han(at: int) -> str:
    """Names that all come to the same word of ours."""
    return chr(0x4E00 + at % 20_000) + chr(0x4E00 + at // 20_000)


def _each(row: Table, **more: Table) -> Table:
    """400 params, and a reference leads from each to the same."""
    return _params(400, {"$ref": "#/$defs/row"}) | {"$defs": {"row": row, **more}}


def _by_reference(row: Table) -> Table:
    """The same row 600 times."""
    inner = _params(60, {"$ref": "#/$defs/row"})
    return _params(10, {"$ref": "#/$defs/inner"}) | {"$defs": {"row": row, "inner": inner}}


def _bomb() -> Table:
    levels = {f"a{at}": _params(3, {"$ref": f"#/$defs/a{at + 1}"}) for at in range(20)}
    return _params(10, {"$ref": "#/$defs/a0"}) | {"$defs": levels}


def _nulls(more: Table) -> list[Table]:
    return [{"type": "null"}] * 100_000 + [more]


ONE: Final[dict[str, Callable[[], Table]]] = {
    "params": lambda: _params(300_000, {"type": "string"}),
    "params that all must be given": lambda: (
        _params(100_000, {}) | {"required": [f"p{at}" for at in reversed(range(100_000))]}
    ),
    "params that come to the same": lambda: _params(60_000, {}, _han),
    "required, of what is no param": lambda: _params(400, {}) | {"required": ["other"] * 600_000},
    "required, of what is no name": lambda: _params(400, {}) | {"required": [[]] * 600_000},
    "a param's name": lambda: _params(1, {"description": "d"}, lambda _: "A1" * 3_000_000),
    "texts": lambda: _params(400, {"description": "\u202e" * 5_000}),
    "a reference": lambda: _params(1, {"$ref": "#/" + "properties/p0/" * 400_000}),
    "references to much": lambda: _each({f"k{at}": at for at in range(200_000)}),
    "an enum": lambda: _each({"enum": [f"v{at}" for at in range(300_000)]}),
    "kinds": lambda: _each({"anyOf": _nulls({"$ref": "#/$defs/b"})}, b={"oneOf": _nulls({"type": "string"})}),
    "types": lambda: _each({"type": ["string"] * 300_000}),
}  # fmt: skip
MANY: Final[dict[str, Callable[[], Table]]] = {
    "references to references": _bomb,
    "texts": lambda: _by_reference({"description": "é" * 300 + "\u202e" * 900, "pattern": "\u202e" * 400}),
    "enums": lambda: _by_reference({"enum": ["é" * 98 + chr(0xE0 + at) for at in range(100)]}),
    "fields": lambda: _by_reference(_params(400, {}, f"{'x' * 60} {{}}".format)),
    "wide enums": lambda: _by_reference({"enum": ["é"] * 3_000}),
}  # fmt: skip


@pytest.mark.parametrize("what", ONE)
def test_one_tool_of_whatever_is_huge_is_looked_at_within_seconds(what: str) -> None:
    hand = _looked_at(Tool(name="do", input_schema=ONE[what]()))
    assert isinstance(hand, Manifest)
    assert "mcp-clock.do" in hand.provides


@pytest.mark.wide
@pytest.mark.parametrize("what", MANY)
def test_as_many_tools_as_a_hand_holds_of_whatever_is_huge_are_looked_at_within_seconds(what: str) -> None:
    assert isinstance(_looked_at(*_many(240, MANY[what]())), Manifest)


def test_tools_whose_names_come_to_the_same_are_numbered_within_seconds() -> None:
    with _within(SECONDS):
        methods = methods_of([Tool(name=_han(at)) for at in range(60_000)])
    assert list(methods)[:3] == ["tool", "tool-2", "tool-3"]
    assert (len(methods), methods["tool-60000"].name) == (60_000, _han(59_999))


def test_more_tools_than_a_hand_holds_are_refused_before_they_are_looked_at() -> None:
    assert "for 2000 tools would be larger than 128 KiB" in str(_looked_at(*_many(MOST_TOOLS, _bomb())))


def test_texts_of_a_tool_are_read_as_far_as_they_are_told() -> None:
    tool = Tool(name="\u202e" * 900, description="\u202e" * 500_000, input_schema=ONE["texts"]())
    hand = _looked_at(tool)
    assert isinstance(hand, Manifest)
    summary = hand.provides["mcp-clock.tool"].summary
    assert (summary[:8], len(summary)) == ("\\u{202e}", 500)


def test_a_tool_with_more_params_than_a_method_has_takes_them_as_one_and_it_is_said() -> None:
    for schema, why in (
        (_params(PARAMS_MOST + 1, {}), "it takes 501 params, and 500 are the most"),
        (
            _params(1, {}, lambda _: "x" * (NAME_MOST + 1)),
            "the name of one of its params has more than 1000 characters",
        ),
    ):
        tool = Tool(name="do", input_schema=schema)
        assert params_of(tool).types == {"arguments": "dict?"}
        assert params_of(tool).theirs == {"arguments": ""}
        assert why_one_argument(tool) == why
    most = Tool(name="do", input_schema=_params(PARAMS_MOST, {}))
    assert (len(params_of(most).types), why_one_argument(most)) == (PARAMS_MOST, "")


def test_tools_that_become_no_method_are_told_with_why() -> None:
    tools = [
        Tool(name=name)
        for name in ("read", "Read", "ｒｅａｄ", "re\u0301ad", "réad", "read\u200b", "read", "x" * 2_000)
    ]
    assert [tool.name for tool in methods_of(tools).values()] == [tool.name for tool in tools[:6]]
    assert len(set(methods_of(tools))) == 6
    assert unusable_tools(tools) == {
        "read": "another of its tools has the same name, and was told before",
        "x" * 56 + "…": "its name has 2,000 characters, and 1000 are the most",
    }  # fmt: skip


def test_a_tool_that_the_server_runs_only_as_a_task_becomes_no_method() -> None:
    tools = (Tool(name="dig", is_task_only=True), Tool(name="read"))
    assert list(methods_of(tools)) == ["read"]
    assert unusable_tools(tools) == {"dig": "the server runs it only as a task, which Maniple does not support"}


def test_an_agreed_tool_that_now_runs_only_as_a_task_is_not_called() -> None:
    before = Tool(name="dig")
    agreed = Agreement(tools={"mcp-x.dig": Agreed(tool="dig", digest=before.digest)})
    assert changed_tools(agreed, {"dig": before}) == {}
    assert "only as a task" in changed_tools(agreed, {"dig": Tool(name="dig", is_task_only=True)})["mcp-x.dig"]


def test_an_offer_of_more_tools_than_are_read_is_none() -> None:
    with pytest.raises(OfferInvalid, match="2,001 tools, and 2,000 are the most"):
        read_offer(encode(Offer(tools=_many(MOST_TOOLS + 1, {}))))
