"""What a driver sends, seen by the server that it was sent to (acts: asks)."""

import asyncio

import pytest

from runtime.models.failures import ModelFailed
from runtime.models.messages import Image, Message, Request, Text, Thinking, ToolCall, ToolResult
from tests.runtime.models.plays import GOOD, TOOLS, checked, made
from tests.runtime.models.stage import Asked, head, stage


def talk(provider: str, **more: object) -> Request:
    """A conversation with everything in it."""
    picture = Image(media="image/png", content=b"\x89PNG")
    first = Message(role="user", parts=(Text(text="look"), picture))
    other = Thinking(text="theirs", seal="x", provider="another")
    thought = Thinking(text="hm", seal="c2ln", provider=provider)
    hidden = Thinking(seal="redacted:aGlk", provider=provider)
    call, second = ToolCall(id="a:1", name="read", arguments={"path": "ä"}), ToolCall(id="b", name="now", malformed="[")
    answer = Message(role="assistant", parts=(other, thought, hidden, Text(text="I look."), call, second))
    results = (
        Text(text="and go on"),
        ToolResult(id="a:1", content=(Text(text="1,2"), picture)),
        ToolResult(id="b", content=(Text(text="no"),), failed=True),
    )
    last = Message(role="user", parts=results)
    return Request(messages=(first, answer, last), system="Be brief.", tools=TOOLS, **more)  # type: ignore[arg-type]


def sent(name: str, request: Request, model: str = "", **more: object) -> Asked:
    """What a driver sends for a request. model: another than the one that answers."""
    good = next(good for good in GOOD if good.driver == name)

    async def played() -> Asked:
        async with stage([head(), good.body]) as server:
            asked = made(name, server.url, **more)
            if model:
                with pytest.raises(ModelFailed, match="answered"):
                    async for _ in asked.stream(model, request):
                        pass
            else:
                await checked(asked, name, request)
            await asked.close()
            return server.asked[0]

    return asyncio.run(played())


def body(name: str, request: Request, model: str = "", **more: object) -> dict[str, object]:
    """Its body."""
    return sent(name, request, model, **more).json
