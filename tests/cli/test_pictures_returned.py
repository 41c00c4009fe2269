"""A picture that an MCP server's tool returns: it comes to the provider as its protocol has it, and is there after a kill.

The server is written with the protocol's own package, the provider is asked by its own SDK, and everything between them is
what people run.
"""

import base64
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import pytest

from tests.cli.providers import Provider, furnished_with, serving
from tests.cli.shell import Shell
from tests.cli.test_mcp import pytestmark  # noqa: F401  where there is no Python for the server, none is tested
from tests.living import Source
from tests.runtime.models.plays import begun, block, calls, chunk, ended, texts, written
from tests.runtime.models.stage import named, unnamed
from tests.spread import spread
from tests.system import fates

PNG: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300
EASEL: Final = """
import asyncio, sys

sys.path.append(sys.argv[1])
from mcp.server.mcpserver import Image, MCPServer

server = MCPServer("easel", version="1.0.0", log_level="CRITICAL")


@server.tool()
def paint(what: str) -> list[str | Image]:
    "Paint something."
    return [f"This is {what}.", Image(data=b"\\x89PNG\\r\\n\\x1a\\n" + bytes(range(256)) * 300, format="png")]


@server.tool()
async def dry(seconds: float) -> str:
    "Let it dry."
    await asyncio.sleep(seconds)
    return "It is dry."


server.run("stdio")
"""
ARTIST: Final = Source(
    """
[hand]
name = "artist"
version = "1.0.0"
description = "Looks at what is painted."
kind = "task"
autonomy = "full"

[agent]
model = "default"

[capabilities]
"model.complete" = ["default"]
"mcp-easel.paint" = ["*"]
"mcp-easel.dry" = ["*"]
""",
    "",
)
CALLED: Final = (("mcp-easel_paint", {"what": "a cat"}), ("mcp-easel_dry", {"seconds": 1.0}))
"""What the model asks for in its first answers; then it has seen a cat."""

ANTHROPIC, OPENAI = "anthropic/claude-sonnet-4-5", "openai/gpt-5"


def _answer(path: str, messages: list[Any]) -> bytes:
    """By how many results a request has."""
    answer = _of_anthropic if path == "/v1/messages" else _of_openai
    return answer(sum(one["role"] == "assistant" for one in messages))


def _of_anthropic(number: int) -> bytes:
    if number >= len(CALLED):
        return named(begun(), *block(0, "text", *texts("A cat."), text=""), *ended())
    name, arguments = CALLED[number]
    called = block(0, "tool_use", *written(json.dumps(arguments)), id=f"toolu_{number}", name=name, input={})
    return named(begun(), *called, *ended("tool_use"))


def _of_openai(number: int) -> bytes:
    if number >= len(CALLED):
        return unnamed(chunk({"content": "A cat."}), chunk({}, "stop"), "[DONE]")
    name, arguments = CALLED[number]
    function = {"name": name, "arguments": json.dumps(arguments)}
    called = calls({"index": 0, "id": f"call_{number}", "type": "function", "function": function})
    return unnamed(called, chunk(finish="tool_calls"), "[DONE]")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(_answer) as provider:
        yield provider


@pytest.fixture(scope="module")
def shell(furnished: Shell, tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Shell]:
    """A home with the server, the agent, and that provider."""
    folder = tmp_path_factory.mktemp("returned")
    with furnished_with(furnished, folder, ("easel", EASEL), ("artist", ARTIST)) as shell:
        provider.use_for(shell, "anthropic", "openai")
        yield shell


@pytest.fixture
def asked(provider: Provider) -> list[list[Any]]:
    """The requests of one test."""
    provider.asked.clear()
    return provider.asked


def _begin(shell: Shell, model: str) -> str:
    shell.good("settings", "model", f'routes:={{"default": ["{model}"]}}')
    told: Any = shell.result("start", "artist", "task=What is painted?")
    return str(told["run"])


def _seen(messages: list[Any]) -> list[bytes]:
    """The pictures of a request's results, each where its protocol has it."""
    found = []
    parts = [
        part
        for one in messages
        if one["role"] == "user" and isinstance(one["content"], list)
        for part in one["content"]
    ]
    for part in parts:
        for inner in part["content"] if part["type"] == "tool_result" else [part]:
            if inner["type"] == "image":
                assert (part["type"], part["tool_use_id"]) == ("tool_result", "toolu_0")
                assert (inner["source"]["type"], inner["source"]["media_type"]) == ("base64", "image/png")
                found.append(inner["source"]["data"])
            elif inner["type"] == "image_url":
                before = parts[parts.index(part) - 1]
                assert before == {"type": "text", "text": "Pictures of the result call_0:"}
                media, _, data = inner["image_url"]["url"].partition(",")
                assert media == "data:image/png;base64"
                found.append(data)
    return [base64.b64decode(data, validate=True) for data in found]


@pytest.mark.wide
@pytest.mark.parametrize("model", spread([ANTHROPIC, OPENAI], 1))
def test_a_picture_that_an_mcp_server_returns_is_seen_by_the_model(
    shell: Shell, asked: list[list[Any]], model: str
) -> None:
    run = _begin(shell, model)
    told: Any = json.loads(shell.good("wait", run))
    assert (told["answer"], told["models"]) == ("A cat.", [model])
    assert [_seen(messages) for messages in asked] == [[], [PNG], [PNG]]
    assert "This is a cat." in json.dumps(asked[1])
    assert "(a picture, image/png, 76,808 bytes)" in json.dumps(asked[1])
    assert "The pictures in this result are content from outside" in json.dumps(asked[1])
    tape = shell.home / "journal" / "runs" / f"{run}.tape"
    assert len(PNG) < tape.stat().st_size < 2 * len(PNG), "it has the reply once; of the requests a digest"


def _plain(value: Any) -> Any:
    """A request but for what tells Anthropic where it is to be kept, which moves on with it."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if name != "cache_control"}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _kill(shell: Shell, run: str, victim: str) -> None:
    kernel = int(str(shell.result("status")["pid"]))
    rows: Any = shell.result("ps")["runs"]
    pids = {"kernel": [kernel], "template": fates.children(kernel)}.get(
        victim, [row["pid"] for row in rows if row["run"] == run and row["pid"]]
    )
    for pid in pids:
        with suppress(ProcessLookupError):  # what dies with another
            os.kill(pid, signal.SIGKILL)
    if victim == "kernel":
        fates.until(lambda: shell.run("up").code == 0, "another kernel serves")


@pytest.mark.wide
@pytest.mark.parametrize(("victim", "model"), spread([("kernel", ANTHROPIC), ("template", OPENAI), ("run", OPENAI)], 1))
def test_an_agent_that_is_killed_with_a_picture_in_its_history_goes_on_with_the_same(
    shell: Shell, asked: list[list[Any]], victim: str, model: str
) -> None:
    run = _begin(shell, model)
    dries = ("audit", "search", "--kind", "call", "--method", "mcp-easel.dry", "--run", run)
    fates.until(lambda: len(asked) == 2 and shell.good(*dries), "it has seen it, and works on")
    _kill(shell, run, victim)
    told: Any = json.loads(shell.good("wait", run))
    assert told["answer"] == "A cat."
    assert [_seen(messages) for messages in asked] == [[], [PNG], [PNG]], "no answer was asked for twice"
    assert _plain(asked[2][: len(asked[1])]) == _plain(asked[1]), "what it had read it reads again"
    began = shell.good("audit", "search", "--kind", "run.confined", "--run", run, "--json").splitlines()
    assert len(began) == 2, "it went on in another process"
    painted = shell.good("audit", "search", "--kind", "call", "--method", "mcp-easel.paint", "--run", run, "--json")
    assert len(painted.splitlines()) == 1
