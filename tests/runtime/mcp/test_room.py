"""Answers that are made at once share a bound of memory, and none of them waits for ever."""

import asyncio

from runtime.mcp.room import Room


def test_many_answers_take_no_more_than_one_beyond_the_bound_and_all_are_made() -> None:
    async def all_of_them() -> tuple[int, int]:
        room, most, made = Room(100), 0, 0

        async def one(*, hangs: bool) -> None:
            nonlocal most, made
            whose = object()
            try:
                for _ in range(9):
                    await room.take(whose, 10)
                    most = max(most, room.taken)
                    await asyncio.sleep(0)
                if hangs:
                    await asyncio.Event().wait()
                made += 1
            finally:
                room.release(whose)

        given_up = [asyncio.ensure_future(one(hangs=True)) for _ in range(3)]
        others = [asyncio.ensure_future(one(hangs=False)) for _ in range(50)]
        for _ in range(100):
            await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(*others)
        assert room.taken == 0
        return most, made

    most, made = asyncio.run(all_of_them())
    assert made == 50
    assert 100 <= most <= 190


def test_one_answer_alone_is_made_however_large() -> None:
    async def alone() -> int:
        room = Room(100)
        for _ in range(50):
            await room.take("one", 10)
        return room.taken

    assert asyncio.run(alone()) == 500
