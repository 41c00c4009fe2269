"""Vectors of a provider are bounded, paid for and take turns as answers do."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from runtime import Failure
from runtime.models.messages import Embedded
from tests.hands.model.calls import Asking, hand_of
from tests.runtime.models.stage import Stage, stage, whole
from wire.amounts import Cost

MODEL: Final = "openai/text-embedding-3-small"
TEXTS: Final = ["a cat", "a kitten"]
ROOM: Final = Cost(tokens=1000, micro_dollars=1000)


def _made(tokens: int) -> bytes:
    """A provider's answer, which says that it took so many tokens."""
    vectors = [{"index": at, "embedding": [at, 0.5]} for at in range(len(TEXTS))]
    return whole(200, {"data": vectors, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


def _embedded(folder: Path, said: bytes, *calls: Asking, **settings: object) -> tuple[list[Embedded | Failure], Stage]:
    """What becomes of each call, one after the other, and the provider that they came to."""

    async def asked() -> tuple[list[Embedded | Failure], Stage]:
        async with stage([said]) as server:
            addresses = {"openai": f"{server.url}/v1"}
            hand: Any = hand_of(folder, openai_key="sk-0123456789", addresses=addresses, **settings)
            await hand.start()
            found: list[Embedded | Failure] = []
            for call in calls:
                try:
                    found.append(await hand.embed(call, texts=TEXTS))
                except Failure as failure:
                    found.append(failure)
            await hand.stop()
            return found, server

    return asyncio.run(asked())


def test_vectors_cost_what_their_model_does(tmp_path: Path) -> None:
    bounded, free = Asking(MODEL, ROOM), Asking("openai/of-no-list")
    (found, _), _ = _embedded(tmp_path, _made(900), bounded, free)
    assert isinstance(found, Embedded)
    assert found.vectors == ((0.0, 0.5), (1.0, 0.5))
    assert bounded.spent == Cost(tokens=900, micro_dollars=18), "$0.02 for a million tokens"
    assert free.spent == Cost(tokens=900, micro_dollars=0), "a price that is not known is none"


@pytest.mark.parametrize("most", [Cost(tokens=1, micro_dollars=1000), Cost(tokens=1000, micro_dollars=0)])
def test_vectors_that_could_cost_more_than_the_calls_most_are_not_asked_for(tmp_path: Path, most: Cost) -> None:
    call = Asking(MODEL, most)
    (failed,), server = _embedded(tmp_path, _made(9), call)
    assert isinstance(failed, Failure)
    assert failed.code == "over_most"
    assert server.asked == []
    assert call.spent == Cost(tokens=0, micro_dollars=0)


def test_vectors_never_settle_more_than_the_calls_most_whatever_their_provider_says(tmp_path: Path) -> None:
    call = Asking(MODEL, Cost(tokens=20, micro_dollars=1))
    _embedded(tmp_path, _made(100_000), call)
    assert call.spent == Cost(tokens=20, micro_dollars=1)


def test_a_provider_that_refuses_the_key_is_not_asked_for_vectors_again(tmp_path: Path) -> None:
    refused = whole(401, {"error": {"message": "no", "type": "invalid_request_error"}})
    found, server = _embedded(tmp_path, refused, Asking(MODEL), Asking(MODEL))
    assert [one.code for one in found if isinstance(one, Failure)] == ["key", "paused"]
    assert len(server.asked) == 1


def test_requests_for_vectors_are_as_many_a_minute_as_the_settings_say(tmp_path: Path) -> None:
    calls = [Asking(MODEL, deadline=10_000) for _ in range(2)]
    found, server = _embedded(tmp_path, _made(9), *calls, per_minute={"openai": 1})
    assert isinstance(found[0], Embedded)
    assert isinstance(found[1], Failure)
    assert found[1].code == "limited"
    assert len(server.asked) == 1
