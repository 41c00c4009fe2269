"""What a person is told where nobody answers: whose fault it is, what mends it, and why no other model was asked."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runtime import Failure
from runtime.models import messages
from runtime.models.messages import Answer
from tests.hands.doubles import hand_module
from tests.hands.model.calls import ASKED, Asking, ask, hand_of
from tests.runtime.models.stage import HOLD, stage, whole
from wire.amounts import Cost

WRONG_KEY = (
    "openai answered 401 (invalid_api_key): its key is wrong, expired or not allowed this: set it anew, "
    "`maniple settings model --secret openai_key`"
)


def test_a_route_of_which_nobody_answers_tells_why_of_each(tmp_path: Path) -> None:
    script = (
        '{"error": {"code": "unknown_model", "text": "none such"}}',
        '{"error": {"code": "too_long", "text": "of eight tokens"}}',
    )
    hand = hand_of(tmp_path, *script, routes={"default": ["scripted/first", "xai/grok-4", "scripted/second"]})
    with pytest.raises(Failure) as failed:
        ask(hand, Asking("default"))
    assert failed.value.code == "too_long"
    assert failed.value.text == (
        "of eight tokens: `maniple models list` shows models with larger windows; before it scripted/first: none such; "
        "left out xai/grok-4: no key of xAI is set: `maniple settings model --secret xai_key`"
    )


def test_a_wrong_key_is_told_as_that_and_with_what_mends_it_whatever_else_the_route_has(tmp_path: Path) -> None:
    refused = whole(401, {"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}})
    routes = {"default": ["openai/gpt-5", "openai/gpt-4.1"]}

    async def asked() -> tuple[list[Failure], int]:
        async with stage([refused]) as server:
            addresses = {"openai": f"{server.url}/v1"}
            hand: Any = hand_of(tmp_path, openai_key="sk-0123456789", addresses=addresses, routes=routes)
            await hand.start()
            found = []
            for _ in range(2):
                with pytest.raises(Failure) as failed:
                    await hand.complete(Asking("default"), **ASKED)
                found.append(failed.value)
            await hand.stop()
            return found, len(server.asked)

    (first, second), times = asyncio.run(asked())
    assert times == 1
    assert first.code == "key"
    assert first.text.startswith(f"{WRONG_KEY}; left out openai/gpt-4.1: openai is left alone for ")
    assert second.code == "paused"
    assert second.text.count(WRONG_KEY) == 2


def test_a_model_that_a_provider_does_not_have_is_told_with_what_lists_those_that_it_has(tmp_path: Path) -> None:
    absent = whole(404, {"error": {"message": "The model `gpt-55` does not exist", "code": "model_not_found"}})

    async def asked() -> Failure:
        async with stage([absent]) as server:
            hand: Any = hand_of(tmp_path, openai_key="sk-0123456789", addresses={"openai": f"{server.url}/v1"})
            await hand.start()
            with pytest.raises(Failure) as failed:
                await hand.complete(Asking("openai/gpt-55"), **ASKED)
            await hand.stop()
            return failed.value

    failed = asyncio.run(asked())
    assert failed.code == "unknown_model"
    assert failed.text.endswith("does not exist: `maniple models list --ask` lists those that it has")


def test_a_route_goes_on_where_a_model_could_cost_more_than_the_call_may(tmp_path: Path) -> None:
    routes = {"default": ["scripted/script", "offline/classical"]}
    hand = hand_of(tmp_path, '{"text": "dear", "times": 0}', routes=routes)
    found = ask(hand, Asking("default", Cost(tokens=5, micro_dollars=0)))
    assert (found.model, found.tried) == ("offline/classical", ("scripted/script: over_most",))


def test_a_model_that_a_key_may_not_use_leaves_the_others_of_its_provider(tmp_path: Path) -> None:
    forbidden = whole(403, {"error": {"message": "not for you", "type": "permission_error"}})
    routes = {"default": ["openai/gpt-5", "openai/gpt-4.1"]}

    async def asked() -> tuple[Failure, int]:
        async with stage([forbidden]) as server:
            hand: Any = hand_of(
                tmp_path, openai_key="sk-0123456789", addresses={"openai": f"{server.url}/v1"}, routes=routes
            )
            await hand.start()
            with pytest.raises(Failure) as failed:
                await hand.complete(Asking("default"), **ASKED)
            await hand.stop()
            return failed.value, len(server.asked)

    failure, times = asyncio.run(asked())
    assert times == 2
    assert failure.code == "forbidden"
    assert failure.text.count("openai answered 403 (permission_error): not for you") == 2


def test_a_provider_that_stays_silent_takes_its_part_of_the_calls_time_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_module("model", "main"), "MARGIN_S", 0.0)
    routes = {"default": ["openai/gpt-5", "scripted/script"]}

    async def asked() -> tuple[Answer, Failure, bool]:
        async with stage([HOLD]) as server:
            addresses = {"openai": f"{server.url}/v1"}
            hand: Any = hand_of(
                tmp_path, '{"text": "ok"}', openai_key="sk-0123456789", addresses=addresses, routes=routes
            )
            await hand.start()
            await hand.desk.driver("openai")
            found: Answer = await hand.complete(Asking("default", deadline=2_000), **ASKED)
            with pytest.raises(Failure, match="openai/gpt-5 did not begin to answer") as failed:
                await hand.complete(Asking("openai/gpt-5", deadline=200), **ASKED)
            is_asked = bool(hand.desk.plan("openai/gpt-5", messages.parse_request(dict(ASKED))).names)
            await hand.stop()
            return found, failed.value, is_asked

    found, failure, is_asked = asyncio.run(asked())
    assert (found.model, found.tried) == ("scripted/script", ("openai/gpt-5: slow",))
    assert failure.code == "slow"
    assert is_asked, "the time was short, which is no fault of the provider's"
