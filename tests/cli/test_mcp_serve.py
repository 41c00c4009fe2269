"""`maniple mcp offer` and `maniple mcp serve`, with the protocol's own package as the client, over real processes."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from mcp import Client
from mcp_types import EmbeddedResource, TextContent

from tests.cli.clients import LAB, ToolChanges, printed, talk_through, text, until
from tests.cli.shell import Shell, installed_versions
from tests.living import Source, write_hand
from tests.spread import spread

OFFERED = ("echo.say", "time.now", "lab.count", "lab.raw", "lab.shout", "lab.wait=a*")


@pytest.fixture(scope="module")
def desk(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home with a Hand `lab`, and a door `desk` to it."""
    shell.good("install", write_hand(tmp_path_factory.mktemp("lab") / "lab", LAB), "--yes")
    shell.result("mcp", "offer", "desk", *OFFERED, "--hand", "greeter", "--yes")
    yield shell
    shell.good("remove", "door-desk", "--purge", "--yes")
    shell.good("remove", "lab", "--purge", "--yes")


def test_a_client_lists_and_calls_what_was_offered_and_nothing_else(desk: Shell) -> None:
    async def talk(client: Client) -> None:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(listed) == ["echo_say", "lab_count", "lab_raw", "lab_shout", "lab_wait", "run_greeter", "time_now"]
        assert listed["echo_say"].input_schema == {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        }
        assert listed["lab_wait"].input_schema["properties"]["name"]["description"] == "a name; allowed: a*"
        said_to_return = {"type": "object", "properties": {"lines": {"type": "integer"}}, "required": ["lines"]}
        assert (listed["lab_count"].output_schema, listed["lab_raw"].output_schema) == (said_to_return, None)
        hints = [listed[name].annotations for name in ("echo_say", "lab_shout")]
        assert [(one.read_only_hint, one.open_world_hint) for one in hints if one] == [(True, False), (False, True)]
        said = await client.call_tool("echo_say", {"text": "Grüße"})
        assert said.structured_content == {"text": "Grüße"}
        assert (said.is_error, text(said)) == (False, '{"text":"Grüße"}')
        other = await client.call_tool("files_read", {"path": "data/x"})
        assert other.is_error
        assert text(other).startswith("there is no tool 'files_read'")

    talk_through(desk, "desk", talk)
    rows = desk.good("audit", "search", "--method", "echo.say", "--kind", "call", "--hand", "door-desk")
    assert "allowed" in rows


def test_a_stream_is_told_as_it_comes_and_bytes_labels_and_cost_are_not_lost(desk: Shell) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async def talk(client: Client) -> None:
        counted = await client.call_tool("lab_count", {"lines": 3}, progress_callback=hear)
        streamed, _ = counted.content
        assert isinstance(streamed, TextContent)
        assert streamed.text == "line 0\nline 1\nline 2\n"
        assert counted.structured_content == {"lines": 3}
        assert (counted.meta or {})["maniple/cost"] == {"tokens": 7, "micro_dollars": 11}
        raw = await client.call_tool("lab_raw", {"raw": "AAH/"})
        assert raw.structured_content == {"again": "AAH/"}
        assert isinstance(raw.content[0], EmbeddedResource)
        assert raw.content[0].resource.model_dump()["blob"] == "/wAB/w=="
        assert (raw.meta or {})["maniple/labels"] == ["mcp", "web"]

    talk_through(desk, "desk", talk)
    assert heard == [7.0, 14.0, 21.0]


@pytest.mark.wide
def test_what_does_not_answer_as_it_said_is_an_error_that_says_so_and_a_client_goes_on(
    desk: Shell, tmp_path: Path
) -> None:
    liar = Source(
        LAB.toml.replace('"lab', '"liar'), LAB.main.replace('return {"lines": lines}', 'return {"lines": str(lines)}')
    )
    desk.good("install", write_hand(tmp_path / "liar", liar), "--yes")
    desk.good("mcp", "offer", "lies", "liar.count", "--yes")

    async def talk(client: Client) -> None:
        told = await client.call_tool("liar_count", {"lines": 1})
        assert (told.is_error, told.structured_content) == (True, None)
        assert (told.meta or {})["maniple/code"] == "returns"
        assert "`lines`: it is a text, not an int" in "".join(map(str, told.content))

    talk_through(desk, "lies", talk)
    desk.good("remove", "door-lies", "--purge", "--yes")
    desk.good("remove", "liar", "--purge", "--yes")


def test_what_does_not_end_well_is_a_result_that_says_why(desk: Shell) -> None:
    async def talk(client: Client) -> None:
        refused = await client.call_tool("lab_wait", {"name": "other"})
        assert refused.is_error
        assert text(refused).startswith("refused: door-desk holds no grant for lab.wait on 'other'")
        assert (refused.meta or {})["maniple/code"] == "capability"
        wrong = await client.call_tool("lab_count", {"lines": "many"})
        assert text(wrong) == "the arguments do not fit: `lines`: it is a text, not an int; give a whole number"
        failed = await client.call_tool("run_greeter", {"fail": True})
        assert text(failed) == "failed: it does not greet today (unkind)"
        assert failed.is_error

    talk_through(desk, "desk", talk)
    assert "refused" in desk.good("audit", "search", "--method", "lab.wait", "--verdict", "refused")


def test_a_hand_is_started_and_its_result_is_the_tools(desk: Shell) -> None:
    async def talk(client: Client) -> None:
        done = await client.call_tool("run_greeter", {"who": "client"})
        assert done.structured_content == {"text": "Hello, client!"}
        assert str((done.meta or {})["maniple/run"]).startswith("r-")

    talk_through(desk, "desk", talk)


def _calls(desk: Shell, method: str) -> int:
    """How often a method was called."""
    return desk.good("audit", "search", "--method", method, "--kind", "call").count(method)


def test_a_call_that_a_client_gives_up_is_given_up_at_its_provider(desk: Shell) -> None:
    async def talk(client: Client) -> None:
        waiting = asyncio.ensure_future(client.call_tool("lab_wait", {"name": "apple"}))
        await asyncio.to_thread(until, lambda: "waiting for apple" in printed(desk))
        waiting.cancel()
        await asyncio.to_thread(until, lambda: "no longer waiting for apple" in printed(desk))
        waits = _calls(desk, "kernel.wait")
        started = asyncio.ensure_future(client.call_tool("run_greeter", {"wait": True}))
        await asyncio.to_thread(until, lambda: _calls(desk, "kernel.wait") > waits)
        assert "greeter" in desk.good("ps")
        started.cancel()
        await asyncio.to_thread(until, lambda: "greeter" not in desk.good("ps"))

    talk_through(desk, "desk", talk)


def test_a_run_that_begins_as_its_client_gives_it_up_is_stopped(desk: Shell) -> None:
    """The door hears first that it is given up, and then that it has begun."""

    async def talk(client: Client) -> None:
        door, spawns = _pid(desk, "door-desk"), _calls(desk, "kernel.spawn")
        (template,) = psutil.Process(int(str(desk.result("status")["pid"]))).children()
        template.suspend()
        try:
            started = asyncio.ensure_future(client.call_tool("run_greeter", {"wait": True}))
            await asyncio.to_thread(until, lambda: _calls(desk, "kernel.spawn") > spawns)
            os.kill(door, signal.SIGSTOP)
            started.cancel()
            await asyncio.sleep(0.5)  # this goes to the door
        finally:
            template.resume()
        await asyncio.to_thread(until, lambda: _pid(desk, "greeter", "working") > 0)
        os.kill(door, signal.SIGCONT)
        await asyncio.to_thread(until, lambda: not _pid(desk, "greeter"))

    talk_through(desk, "desk", talk)


def _pid(desk: Shell, hand: str, *states: str) -> int:
    """The process of the run of a Hand, if it has one, in one of these states or any; otherwise 0."""
    rows: Any = desk.result("ps")["runs"]
    return next((row["pid"] for row in rows if row["hand"] == hand and row["state"] in (states or row["state"])), 0)


def test_what_acts_beyond_this_machine_waits_for_the_operator_and_the_client_hears_so(desk: Shell) -> None:
    heard: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async def talk(client: Client) -> None:
        shouting = asyncio.ensure_future(client.call_tool("lab_shout", {"text": "hey"}, progress_callback=hear))
        await asyncio.to_thread(until, lambda: bool(heard))
        (row,) = json.loads(desk.good("approvals", "--json"))["approvals"]
        assert not shouting.done()
        desk.good("approve", str(row["call"]))
        assert text(await shouting) == "HEY"

    talk_through(desk, "desk", talk)
    assert set(heard) == {"lab.shout needs the operator's yes, and waits until then: `maniple approvals`"}


def test_a_grant_that_is_taken_back_is_gone_from_the_next_list_on(desk: Shell) -> None:
    async def talk(client: Client) -> None:
        assert "time_now" in [tool.name for tool in (await client.list_tools()).tools]
        desk.good("revoke", "door-desk", "time.now")
        assert "time_now" not in [tool.name for tool in (await client.list_tools()).tools]
        gone = await client.call_tool("time_now", {})
        assert gone.is_error

    talk_through(desk, "desk", talk)
    desk.good("mcp", "offer", "desk", *OFFERED, "--hand", "greeter", "--yes")


@pytest.mark.wide
@pytest.mark.parametrize("mode", spread(["auto", "legacy"], 1))
def test_a_client_hears_when_its_tools_change_and_of_no_other_change(
    desk: Shell, tmp_path: Path, mode: Literal["auto", "legacy"]
) -> None:
    """A grant that is taken back, a grant that is given, and a new version that offers something else."""
    major = ["auto", "legacy"].index(mode) + 1
    old = _shop(f"{major}.0.0", "shop.buy", "shop.sell")
    desk.good("install", write_hand(tmp_path / "a", old), "--yes")
    desk.good("mcp", "offer", "market", "shop.*", "--yes")
    changes = ToolChanges(mode)

    async def changed(times: int, *words: str | Path) -> None:
        await asyncio.to_thread(desk.good, *words)
        await asyncio.to_thread(until, lambda: len(changes.received) >= times)

    async def talk(client: Client) -> None:
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.tools.list_changed
        async with changes.listening(client):
            assert await _names(client) == ["shop_buy", "shop_sell"]
            await changed(1, "revoke", "door-market", "shop.sell")
            assert await _names(client) == ["shop_buy"]
            await changed(2, "grant", "door-market", "shop.sell", "*")
            await asyncio.to_thread(desk.good, "revoke", "door-desk", "echo.say")
            await asyncio.to_thread(desk.good, "grant", "door-desk", "echo.say", "*")
            new = _shop(f"{major}.0.1", "shop.buy", "shop.sell", summary="Trade")
            await changed(3, "install", write_hand(tmp_path / "b", new), "--yes")
            tools = (await client.list_tools()).tools
            assert {str(tool.description).partition(".")[0] for tool in tools} == {"Trade"}
            assert len(changes.received) == 3

    talk_through(desk, "market", talk, mode=mode, on_message=changes.on_message)
    desk.good("remove", "door-market", "--purge", "--yes")
    desk.good("remove", "shop", "--purge", "--yes")


async def _names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


def _shop(version: str, *methods: str, summary: str = "Do it") -> Source:
    rows = [f'[provides."{one}"]\nsummary = "{summary}"\nresource = "none"\neffect = "read"\n' for one in methods]
    head = '[hand]\nname = "shop"\ndescription = "Trades."\nentry = "main:Shop"\nkind = "service"\nautonomy = "full"\n'
    does = "".join(f"    async def {one.partition('.')[2]}(self, call): return None\n" for one in methods)
    main = f"from runtime import Hand\n\n\nclass Shop(Hand):\n{does}"
    return Source(f'{head}version = "{version}"\n' + "".join(rows), main)


def test_a_door_that_was_removed_can_be_offered_again(shell: Shell) -> None:
    shell.good("mcp", "offer", "attic", "time.now", "--yes")
    shell.good("mcp", "offer", "attic", "time.now", "--autonomy", "full", "--yes")
    shell.good("remove", "door-attic")
    shell.good("mcp", "offer", "attic", "time.now", "--yes")
    assert ("door-attic", "1.0.2") in installed_versions(shell)
    shell.good("remove", "door-attic")


def test_what_is_offered_no_more_is_taken_back(shell: Shell) -> None:
    for methods in (("time.*", "files.read=a/**", "files.read=b/**"), ("time.now", "files.read=b/**")):
        shell.good("mcp", "offer", "less", *methods, "--yes")
    rows = shell.result("grants", "door-less")["grants"]
    assert isinstance(rows, dict)
    held = {row["method"]: row["allow"] for row in rows["door-less"]}
    assert held == {"time.now": ["*"], "files.read": ["b/**"], "kernel.subscribe": ["kernel.methods"]}
    shell.good("remove", "door-less", "--purge", "--yes")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nothing.there",), "nothing provides 'nothing.there': see `maniple methods`"),
        (("kernel.freeze",), "nothing provides 'kernel.freeze': see `maniple methods`"),
        (("files.read",), "files.read acts on a path: say on which, as in files.read=PATTERN"),
        (("time.now=x",), "time.now acts on no resource"),
        ((), "name a method, as in time.now, or a --hand"),
        (("--hand", "memory"), "memory is a service: offer its methods instead"),
        (("--hand", "greeter", "--autonomy", "readonly"), "a door that may only read starts no Hand"),
    ],
)
def test_an_offer_that_is_none_is_told_and_makes_nothing(shell: Shell, words: tuple[str, ...], says: str) -> None:
    ran = shell.run("mcp", "offer", "other", *words, "--yes")
    assert (ran.code, ran.out) == (1 if says.startswith("nothing provides") else 2, "")
    assert says in ran.err


def test_a_door_that_is_not_there_is_told_with_what_makes_it(shell: Shell) -> None:
    ran = shell.run("mcp", "serve", "other")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("maniple: there is no door other: `maniple mcp offer other METHOD...` makes one")
