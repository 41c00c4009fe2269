"""Who stops reading stops the request: the connection is closed, whether the provider speaks, is silent, or has not begun."""

import asyncio
from typing import Final

import psutil
import pytest

from runtime.models.drivers import Driver
from runtime.models.messages import Answer, Stop
from tests.runtime.models.plays import GOOD, MODELS, asking, begun, block, checked, chunk, collect_answer, made, texts
from tests.runtime.models.stage import HOLD, Play, Stage, head, named, stage, unnamed

BOTH: Final = ("anthropic", "openai")
FIRST: Final = {
    "anthropic": named(begun(), *block(0, "text", *texts("one"), text="")[:2]),
    "openai": unnamed(chunk({"content": "one"})),
}
HELD: Final[dict[str, dict[str, Play]]] = {
    "before the head": {name: [HOLD] for name in BOTH},
    "after the head": {name: [head(), HOLD] for name in BOTH},
    "after the first piece": {name: [head(), FIRST[name], HOLD] for name in BOTH},
    "within an event": {name: [head(), FIRST[name], b"event: x\nda", HOLD] for name in BOTH},
}


async def _is_left(server: Stage) -> None:
    """Raises TimeoutError unless the server saw its one connection close."""
    async with asyncio.timeout(1):
        assert len(server.asked) == 1
        await server.asked[0].left.wait()


def _is_open(server: Stage) -> bool:
    """Whether this process has a connection to the server, at this moment."""
    found = psutil.Process().net_connections("tcp")
    return any(getattr(one.raddr, "port", 0) == server.port and one.status == psutil.CONN_ESTABLISHED for one in found)


async def _read(asked: Driver, name: str, seen: asyncio.Event) -> None:
    async for _ in asked.stream(MODELS[name], asking()):
        seen.set()


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("where", HELD)
def test_cancelling_who_reads_closes_the_connection(name: str, where: str) -> None:
    async def cancelled() -> None:
        async with stage(HELD[where][name]) as server:
            asked = made(name, server.url)
            seen = asyncio.Event()
            reading = asyncio.create_task(_read(asked, name, seen))
            async with asyncio.timeout(5):
                await server.came.wait()
                if FIRST[name] in HELD[where][name]:
                    await seen.wait()
            assert not server.asked[0].left.is_set()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert not _is_open(server), "closed by then"
            await _is_left(server)
            await asked.close()

    asyncio.run(cancelled())


@pytest.mark.parametrize("name", BOTH)
def test_closing_the_stream_closes_the_connection(name: str) -> None:
    async def closed() -> None:
        async with stage([head(), FIRST[name], HOLD]) as server:
            asked = made(name, server.url)
            stream = asked.stream(MODELS[name], asking())
            await anext(stream)
            assert _is_open(server)
            await stream.aclose()  # type: ignore[attr-defined]
            assert not _is_open(server), "closed by then"
            await _is_left(server)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
            await asked.close()

    asyncio.run(closed())


@pytest.mark.parametrize("name", BOTH)
def test_a_time_that_is_over_closes_the_connection(name: str) -> None:
    async def late() -> None:
        async with stage([head(), FIRST[name], HOLD]) as server:
            asked = made(name, server.url, silence=0.2)
            with pytest.raises(Exception, match="silent"):
                await collect_answer(asked.stream(MODELS[name], asking()))
            await _is_left(server)
            await asked.close()

    asyncio.run(late())


@pytest.mark.parametrize("name", BOTH)
def test_cancelling_a_list_closes_the_connection(name: str) -> None:
    async def cancelled() -> None:
        async with stage([HOLD]) as server:
            asked = made(name, server.url)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asked.list_models()
            await _is_left(server)
            await asked.close()

    asyncio.run(cancelled())


@pytest.mark.parametrize("name", BOTH)
def test_a_driver_goes_on_after_a_stream_was_closed(name: str) -> None:
    good = next(good for good in GOOD if good.driver == name and good.stop is Stop.END)

    async def twice() -> Answer:
        async with stage([head(), FIRST[name], HOLD], [head(), good.body]) as server:
            asked = made(name, server.url)
            stream = asked.stream(MODELS[name], asking())
            await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
            _, answer = await checked(asked, name)
            await asked.close()
            return answer

    assert asyncio.run(twice()).parts == good.parts


@pytest.mark.parametrize("name", BOTH)
def test_many_streams_of_one_driver_run_side_by_side_and_a_stuck_one_harms_nobody(name: str) -> None:
    goods = [good for good in GOOD if good.driver == name]

    async def all_of() -> list[Answer]:
        plays: list[Play] = [[HOLD]]
        plays += [[head(), 0.3, good.body] for good in goods for _ in range(15)]
        async with stage(*plays) as server:
            asked = made(name, server.url, first=60.0, whole=60.0)
            stuck = asyncio.create_task(collect_answer(asked.stream(MODELS[name], asking())))
            await server.came.wait()
            found = await asyncio.gather(*(checked(asked, name) for _ in plays[1:]))
            assert server.together > 3, "one after the other"
            assert not stuck.done()
            stuck.cancel()
            await asked.close()
            return [answer for _, answer in found]

    answers = asyncio.run(all_of())
    assert len(answers) == 15 * len(goods)
    for good in goods:
        assert sum(answer.parts == good.parts for answer in answers) >= 15
