"""The drivers against a fake that we did not write: aimock speaks both protocols, and breaks them (docs/peers.md).

It is not part of the test environment: where `llmock` is neither on the path nor named by MANIPLE_AIMOCK, these are skipped.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from runtime.models.failures import ModelFailed
from runtime.models.messages import Message, Stop, Text, TextPiece, Thinking, ToolCall, ToolResult
from tests.runtime.models.plays import MODELS, TOOLS, asking, checked, made

LONG: Final = "Grüße 🌍 from elsewhere, and so long that it comes in several pieces."
MATCHES: Final[tuple[tuple[dict[str, object], dict[str, object], dict[str, object]], ...]] = (
    ({"userMessage": "hello"}, {"content": LONG}, {}),
    ({"userMessage": "think"}, {"content": "yes", "reasoning": "let me see"}, {}),
    (
        {"userMessage": "tools", "hasToolResult": False},
        {
            "content": "I look.",
            "toolCalls": [{"name": "read", "arguments": {"path": "ä.csv"}}, {"name": "now", "arguments": {}}],
        },
        {},
    ),
    ({"userMessage": "tools", "hasToolResult": True}, {"content": "It was 7."}, {}),
    ({"userMessage": "limited"}, {"error": {"message": "Rate limited", "type": "rate_limit_error"}, "status": 429}, {}),
    ({"userMessage": "over"}, {"error": {"message": "Overloaded", "type": "overloaded_error"}, "status": 529}, {}),
    ({"userMessage": "wrong"}, {"error": {"message": "Boom", "type": "api_error"}, "status": 500}, {}),
    ({"userMessage": "cut"}, {"content": LONG}, {"latency": 20, "truncateAfterChunks": 4}),
    ({"userMessage": "interrupted"}, {"content": LONG}, {"latency": 100, "disconnectAfterMs": 250}),
    ({"userMessage": "stuck"}, {"content": LONG}, {"latency": 3000}),
    ({"userMessage": "garbled"}, {"content": "x"}, {"chaos": {"malformedRate": 1.0}}),
    ({"userMessage": "gone"}, {"content": "x"}, {"chaos": {"disconnectRate": 1.0}}),
    ({"userMessage": "dropped"}, {"content": "x"}, {"chaos": {"dropRate": 1.0}}),
    ({"inputText": "a text"}, {"embedding": [0.5, -0.25]}, {}),
)


def _command() -> list[str] | None:
    told = os.environ.get("MANIPLE_AIMOCK", "")
    if told:
        return ["node", told]
    found = shutil.which("llmock")
    return [found] if found else None


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = _command()
    if command is None:
        pytest.skip("aimock is not here: docs/peers.md says how to get it")
    file = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    file.write_text(
        json.dumps({"fixtures": [{"match": match, "response": says, **how} for match, says, how in MATCHES]})
    )
    process = subprocess.Popen(
        [*command, "-p", "0", "-f", str(file), "--strict", "--validate-on-load"],
        cwd=file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while not (found := re.search(r"listening on (http://\S+)", said)):
            line = process.stdout.readline()
            assert line, f"aimock did not start:\n{said}"
            said += line
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=10)


BOTH: Final = pytest.mark.parametrize("name", ["anthropic", "openai"])


@BOTH
def test_text_thinking_and_tools_are_understood(name: str, address: str) -> None:
    async def answers() -> None:
        asked = made(name, address)
        pieces, answer = await checked(asked, name, asking("hello"))
        assert (answer.text, answer.stop) == (LONG, Stop.END)
        assert len(pieces) > 3
        _, answer = await checked(asked, name, asking("think"))
        assert isinstance(answer.parts[0], Thinking)
        assert (answer.parts[0].text, answer.text) == ("let me see", "yes")
        request = asking("tools", tools=TOOLS)
        _, answer = await checked(asked, name, request)
        assert [(call.name, call.arguments) for call in answer.calls] == [("read", {"path": "ä.csv"}), ("now", {})]
        assert (answer.text, answer.stop) == ("I look.", Stop.TOOL)
        results = tuple(ToolResult(id=call.id, content=(Text(text="7"),)) for call in answer.calls)
        more = (Message(role="assistant", parts=answer.parts), Message(role="user", parts=results))
        again = asking("tools", tools=TOOLS).messages + more
        _, answer = await checked(asked, name, type(request)(messages=again, tools=TOOLS))
        assert answer.text == "It was 7."
        assert not any(isinstance(part, ToolCall) for part in answer.parts)
        await asked.close()

    asyncio.run(answers())


@BOTH
@pytest.mark.parametrize(
    ("text", "codes", "may_show"),
    [
        ("limited", {"limited"}, False),
        ("over", {"overloaded"}, False),
        ("wrong", {"server"}, False),
        ("cut", {"cut"}, True),
        ("interrupted", {"cut"}, True),
        ("stuck", {"slow", "silent"}, False),
        ("garbled", {"malformed"}, False),
        ("gone", {"cut"}, False),
        ("dropped", {"server"}, False),
    ],
)
def test_what_it_breaks_is_told_by_its_code(
    name: str, text: str, codes: set[str], may_show: bool, address: str
) -> None:
    async def failed() -> tuple[str, ModelFailed]:
        asked = made(name, address, first=1.0, silence=1.0)
        shown = ""
        with pytest.raises(ModelFailed) as caught:
            async for piece in asked.stream(MODELS[name], asking(text)):
                assert isinstance(piece, TextPiece)
                shown += piece.text
        await asked.close()
        return shown, caught.value

    shown, failure = asyncio.run(failed())
    assert failure.code in codes, failure
    assert LONG.startswith(shown)
    assert may_show or not shown
    assert failure.after == (1.0 if text == "limited" else None)


def test_its_vectors_and_its_models_are_read(address: str) -> None:
    async def found() -> None:
        asked = made("openai", address)
        assert (await asked.embed("text-embedding-3-small", ["a text"])).vectors == ((0.5, -0.25),)
        assert "gpt-4o" in {one.id for one in await asked.list_models()}
        await asked.close()

    asyncio.run(found())


def test_its_command_is_a_file_that_is_there() -> None:
    command = _command()
    if command is None:
        pytest.skip("aimock is not here: docs/peers.md says how to get it")
    assert Path(command[-1]).is_file()
