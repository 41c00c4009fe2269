"""A request's turn with its provider: its place, its part of a minute, and the breaker, which hears how it ends."""

import asyncio
from pathlib import Path

import pytest

from runtime import Failure
from runtime.models import breaker
from runtime.models.messages import Answer
from tests.hands.model.calls import ASKED, RAIN, Asking, hand_of

BAD = '{"text": "It rains."}'
GOOD = '{"when": "not of the JSON Schema", "text": "{\\"rain\\": true}"}'


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
