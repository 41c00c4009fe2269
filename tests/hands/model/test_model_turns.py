"""A request's turn with its provider: its place, its part of a minute, and the breaker, which hears how it ends."""

import asyncio
import time
from pathlib import Path

import pytest

from runtime import Failure
from runtime.models import breaker, counting, messages
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer
from tests.hands.doubles import hand_module
from tests.hands.model.calls import ASKED, RAIN, Asking, ask, hand_of

SOON = '{"text": "ok", "times": 0}'
BAD = '{"text": "It rains."}'
GOOD = '{"when": "does not match the JSON Schema", "text": "{\\"rain\\": true}"}'


def test_an_answer_is_asked_for_again_in_the_one_place_that_there_is(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, BAD, GOOD, at_once=1)

    async def asked() -> Answer:
        await hand.start()
        async with asyncio.timeout(10):
            found: Answer = await hand.complete(Asking("scripted/script"), **ASKED, schema=RAIN)
        return found

    assert asyncio.run(asked()).value == {"rain": True}


def test_an_answer_is_asked_for_again_of_a_provider_that_is_just_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "SHORTEST", 0.0)
    hand = hand_of(tmp_path, '{"error": {"code": "key"}}', BAD, GOOD)

    async def asked() -> Answer:
        await hand.start()
        with pytest.raises(Failure, match="says so"):
            await hand.complete(Asking("scripted/script"), **ASKED)
        found: Answer = await hand.complete(Asking("scripted/script"), **ASKED, schema=RAIN)
        return found

    assert asyncio.run(asked()).value == {"rain": True}


@pytest.mark.parametrize("end", ["its answer", "a failure", "a cancel"])
def test_a_request_of_before_a_provider_was_left_alone_decides_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(breaker, "SHORTEST", 0.0)
    hand = hand_of(tmp_path, SOON)

    async def asked() -> None:
        await hand.start()
        desk, until = hand.desk, time.monotonic() + 60
        older = desk.turn("scripted", until)
        await older.__aenter__()
        with pytest.raises(ModelFailed):
            async with desk.turn("scripted", until):
                raise ModelFailed("key", "expired")
        trial = desk.turn("scripted", until)
        await trial.__aenter__()
        trying = desk._turns._breakers["scripted"]
        assert trying.trying
        failure = {
            "its answer": None,
            "a failure": ModelFailed("key", "expired"),
            "a cancel": asyncio.CancelledError(),
        }[end]
        await older.__aexit__(type(failure) if failure else None, failure, None)
        assert desk._turns._breakers["scripted"] == trying
        await trial.__aexit__(None, None, None)
        assert desk._turns._breakers["scripted"] == breaker.State()

    asyncio.run(asked())


def test_who_would_wait_for_the_next_minute_beyond_the_call_hears_it_at_once_and_takes_nobodys_turn(
    tmp_path: Path,
) -> None:
    hand = hand_of(tmp_path, SOON, per_minute={"scripted": 1})

    async def asked() -> list[str]:
        await hand.start()
        await hand.complete(Asking("scripted/script"), **ASKED)
        whys = []
        for _ in range(2):
            with pytest.raises(Failure, match="asked 1 times a minute") as failed:
                await hand.complete(Asking("scripted/script", deadline=10_000), **ASKED)
            assert failed.value.code == "limited"
            after = failed.value.detail["after"]
            assert isinstance(after, float)
            assert 0 < after <= 60, "the second would wait no longer than the first"
            whys.append(failed.value.text)
        return whys

    assert all("`maniple settings model 'per_minute=" in why for why in asyncio.run(asked()))


def test_who_is_cancelled_while_it_waits_for_the_next_minute_gives_its_turn_back(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, SOON, per_minute={"scripted": 1})

    async def after() -> object:
        await hand.start()
        await hand.complete(Asking("scripted/script"), **ASKED)
        waiting = asyncio.create_task(hand.complete(Asking("scripted/script", deadline=200_000), **ASKED))
        for _ in range(9):
            await asyncio.sleep(0)
        assert hand.desk._turns._paces["scripted"].taken > 1.5, "it waits for its turn"
        waiting.cancel()
        await asyncio.wait([waiting])
        with pytest.raises(Failure, match="asked 1 times a minute") as failed:
            await hand.complete(Asking("scripted/script", deadline=10_000), **ASKED)
        return failed.value.detail["after"]

    seconds = asyncio.run(after())
    assert isinstance(seconds, float)
    assert 0 < seconds <= 60


def test_a_route_goes_on_where_a_turn_would_come_too_late(tmp_path: Path) -> None:
    hand = hand_of(
        tmp_path, SOON, per_minute={"scripted": 1}, routes={"default": ["scripted/script", "offline/classical"]}
    )

    async def asked() -> list[Answer]:
        await hand.start()
        return [await hand.complete(Asking("default", deadline=10_000), **ASKED) for _ in range(2)]

    first, second = asyncio.run(asked())
    assert (first.model, second.model, second.tried) == (
        "scripted/script", "offline/classical", ("scripted/script: limited",),
    )  # fmt: skip


def test_a_call_whose_time_ends_before_a_place_is_free_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_module("model", "main"), "MARGIN_S", 0.0)
    hand = hand_of(tmp_path, '{"text": "late", "delay": 60}', SOON, at_once=1)

    async def asked() -> Failure:
        await hand.start()
        await hand.desk.driver("scripted")
        first = asyncio.create_task(hand.complete(Asking("scripted/script"), **ASKED))
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            with pytest.raises(Failure, match="asked 1 at a time.*`maniple settings model at_once=") as failed:
                await hand.complete(Asking("scripted/script", deadline=50), **ASKED)
        first.cancel()
        await asyncio.wait([first])
        await hand.complete(Asking("scripted/script"), **ASKED)
        return failed.value

    assert asyncio.run(asked()).code == "limited"


@pytest.mark.parametrize("rate", ["50", 0.5, -1, True, None])
def test_a_pace_that_is_none_is_told_and_never_taken_for_no_bound(tmp_path: Path, rate: object) -> None:
    hand = hand_of(tmp_path, SOON, per_minute={"scripted": rate})
    with pytest.raises(Failure, match="is not a number of requests a minute to scripted: `maniple settings") as failed:
        ask(hand, Asking("scripted/script"))
    assert failed.value.code == "unconfigured"


def test_a_call_that_is_cancelled_before_anything_came_has_cost_its_prompt(tmp_path: Path) -> None:
    """Else whoever cancels in time could ask for nothing, as often as it likes."""
    hand = hand_of(tmp_path, '{"text": "late", "delay": 60}')
    call = Asking("scripted/script")

    async def cancelled() -> None:
        await hand.start()
        await hand.desk.driver("scripted")
        task = asyncio.create_task(hand.complete(call, **ASKED))
        for _ in range(3):  # its turn comes, and it asks
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(cancelled())
    assert call.spent.tokens == counting.of_request(messages.parse_request(dict(ASKED)))
