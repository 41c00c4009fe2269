"""A route in the order that `prefer` says, requests to one provider at a time, and where a local server is found."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runtime import Failure
from runtime.models import catalogue
from runtime.models.messages import Answer, parse_request
from tests.hands.doubles import hand_module
from tests.hands.model.calls import ASKED, Asking, ask, hand_of
from tests.runtime.models.stage import HOLD, Play, stage, whole
from wire import codec, limits

SLOW, QUICK, LOCAL = "openai/gpt-5.4", "scripted/script", "ollama/llama3:8b"
OK = '{"text": "ok", "times": 0}'


def test_by_latency_one_that_did_not_begin_to_answer_is_asked_first_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_module("model", "main"), "MARGIN_S", 0.0)

    async def asked() -> list[Answer]:
        async with stage([HOLD]) as server:
            hand: Any = hand_of(
                tmp_path, OK, openai_key="sk-0123456789", addresses={"openai": f"{server.url}/v1"},
                routes={"default": [SLOW, QUICK]}, prefer="latency",
            )  # fmt: skip
            await hand.start()
            await hand.desk.driver("openai")
            found = [await hand.complete(Asking("default", deadline=1_000), **ASKED) for _ in range(3)]
            await hand.stop()
            return found

    first, second, third = asyncio.run(asked())
    assert first.tried == (f"{SLOW}: slow",), "it was never measured, so it comes first"
    assert (second.model, second.tried) == (QUICK, ())
    assert (third.model, third.tried) == (QUICK, ())


FORBIDDEN = whole(403, {"error": {"message": "not this model", "type": "forbidden"}})


@pytest.mark.parametrize("again", [60.0, 0.0], ids=["within a minute", "later"])
def test_by_latency_one_that_failed_before_it_was_ever_measured_stands_last_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: float
) -> None:
    """A key that may not use a model speaks against no provider, so no breaker takes it out of the way."""
    monkeypatch.setattr(hand_module("model", "model_desk"), "ASIDE_S", again)

    async def asked() -> tuple[list[Answer], int]:
        async with stage([FORBIDDEN]) as server:
            hand: Any = hand_of(
                tmp_path, OK, openai_key="sk-0123456789", addresses={"openai": f"{server.url}/v1"},
                routes={"default": [SLOW, QUICK]}, prefer="latency",
            )  # fmt: skip
            await hand.start()
            found = [await hand.complete(Asking("default"), **ASKED) for _ in range(3)]
            await hand.stop()
            return found, len(server.asked)

    answers, times = asyncio.run(asked())
    assert answers[0].tried == (f"{SLOW}: forbidden",), "it was never asked, so it comes first"
    assert [one.tried == () for one in answers[1:]] == [again > 0] * 2
    assert times == (1 if again else 3)


def test_by_latency_one_that_was_measured_keeps_its_place_when_it_fails(tmp_path: Path) -> None:
    failure = json.dumps({"times": 0, "error": {"code": "forbidden", "text": "no"}})
    hand: Any = hand_of(
        tmp_path, failure, routes={"default": [QUICK, "offline/classical"]}, prefer="latency"
    )  # fmt: skip

    async def asked() -> Answer:
        await hand.start()
        hand.desk.note_first_byte(QUICK, 0.001)
        hand.desk.note_first_byte("offline/classical", 5.0)
        await hand.complete(Asking("default"), **ASKED)
        again: Answer = await hand.complete(Asking("default"), **ASKED)
        return again

    assert asyncio.run(asked()).tried == (f"{QUICK}: forbidden",)


def test_by_latency_one_whose_call_was_taken_back_before_it_began_to_answer_stands_last(tmp_path: Path) -> None:
    hand: Any = hand_of(
        tmp_path, '{"text": "ok", "times": 0, "delay": 60}', routes={"default": [QUICK, "offline/classical"]},
        prefer="latency",
    )  # fmt: skip

    async def asked() -> Answer:
        await hand.start()
        hand.desk.note_first_byte("offline/classical", 0.001)
        call = asyncio.create_task(hand.complete(Asking("default"), **ASKED))
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.wait([call])
        async with asyncio.timeout(5):
            return await hand.complete(Asking("default"), **ASKED)  # type: ignore[no-any-return]

    assert asyncio.run(asked()).model == "offline/classical"


def test_an_answer_that_comes_whole_is_measured_too(tmp_path: Path) -> None:
    hand: Any = hand_of(tmp_path, '{"text": "", "times": 0}')

    async def asked() -> None:
        await hand.start()
        await hand.complete(Asking(QUICK), **ASKED)

    asyncio.run(asked())
    assert QUICK in hand.desk._first_bytes


@pytest.mark.parametrize(
    ("prefer", "names"),
    [
        ("listed", (SLOW, "openai/gpt-5.4-nano", "openai/none-knows", LOCAL)),
        ("price", (LOCAL, "openai/gpt-5.4-nano", SLOW, "openai/none-knows")),
        ("window", (SLOW, "openai/gpt-5.4-nano", "openai/none-knows", LOCAL)),
    ],
)
def test_the_setting_prefer_is_the_order_and_a_server_of_ones_own_costs_nothing(
    tmp_path: Path, prefer: str, names: tuple[str, ...]
) -> None:
    route = [SLOW, "openai/gpt-5.4-nano", "openai/none-knows", LOCAL]
    hand: Any = hand_of(tmp_path, OK, openai_key="sk-0123456789", routes={"default": route}, prefer=prefer)
    asyncio.run(hand.start())
    assert hand.desk.plan("default", parse_request(dict(ASKED))).names == names


@pytest.mark.parametrize(
    ("given", "most"), [({}, 2), ({"scripted": 1}, 1), ({"scripted": 3, "openai": 1}, 3), ({"scripted": 64}, 4)]
)
def test_how_many_are_asked_at_a_time_can_be_said_of_one_provider(
    tmp_path: Path, given: dict[str, object], most: int
) -> None:
    hand: Any = hand_of(tmp_path, '{"text": "ok", "times": 0, "delay": 60}', at_once=2, at_once_of=given)

    async def asked() -> int:
        await hand.start()
        calls = [asyncio.create_task(hand.complete(Asking("scripted/script"), **ASKED)) for _ in range(4)]
        while played() < most:  # noqa: ASYNC110  it is the script that tells
            await asyncio.sleep(0)
        for _ in range(20):  # in which one more would be asked
            await asyncio.sleep(0)
        seen = played()
        for one in calls:
            one.cancel()
        await asyncio.wait(calls)
        return seen

    def played() -> int:
        return sum(sum(driver._played.values()) for driver in hand.desk._drivers.values())

    assert asyncio.run(asked()) == most


@pytest.mark.parametrize("told", [0, -1, "2", True, None, 65, 1 << 62])
def test_a_number_of_places_that_is_none_is_told(tmp_path: Path, told: object) -> None:
    hand: Any = hand_of(tmp_path, OK, at_once_of={"scripted": told})

    async def asked() -> None:
        await hand.start()
        await hand.complete(Asking("scripted/script"), **ASKED)

    with pytest.raises(
        Failure, match="is not a number of requests to scripted at a time, from 1 to 64: `maniple settings model"
    ) as failed:
        asyncio.run(asked())
    assert failed.value.code == "unconfigured"


MODELS = whole(200, {"data": [{"id": "own"}]})
ELSE = whole(404, "<html>another server</html>", kind="text/html")


def _unused() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/v1"


@pytest.mark.parametrize("first", ["nobody", "another", "it"])
def test_a_local_server_is_asked_at_the_first_address_where_one_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """As a row of the catalogue says, whose server newer versions of have another port."""

    async def asked() -> tuple[object, list[int]]:
        async with stage([ELSE] if first == "another" else [MODELS]) as one, stage([MODELS]) as other:
            row = replace(
                catalogue.providers()["llamacpp"],
                base_url=_unused() if first == "nobody" else f"{one.url}/v1", also=(f"{other.url}/v1",),
            )  # fmt: skip
            monkeypatch.setattr(catalogue, "providers", lambda: {"llamacpp": row})
            hand: Any = hand_of(tmp_path, OK)
            await hand.start()
            plain = await hand.list(Asking(""))
            assert (plain["providers"][0]["models"], one.asked, other.asked) == (None, [], []), "nobody wanted that"
            found = [await hand.list(Asking(""), ask=True) for _ in range(2)]
            await hand.stop()
            assert found[1]["providers"][0]["trouble"] == ""
            return found[1]["providers"][0]["models"], [len(one.asked), len(other.asked)]

    models, times = asyncio.run(asked())
    assert models == ["own"]
    assert times == {"nobody": [0, 3], "another": [1, 3], "it": [3, 0]}[first], "it is looked for once"


def test_where_no_local_server_answers_it_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked() -> list[object]:
        async with stage([ELSE], [MODELS]) as other:
            row = replace(catalogue.providers()["llamacpp"], base_url=_unused(), also=(f"{other.url}/v1",))
            monkeypatch.setattr(catalogue, "providers", lambda: {"llamacpp": row})
            hand: Any = hand_of(tmp_path, OK)
            await hand.start()
            found = [(await hand.list(Asking(""), ask=True))["providers"][0] for _ in range(2)]
            await hand.stop()
            return [one["models"] or one["trouble"] for one in found]

    first, second = asyncio.run(asked())
    assert "cannot be reached" in str(first)
    assert second == ["own"]


def test_a_server_that_lists_very_many_models_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = whole(200, {"data": [{"id": f"m{number}"} for number in range(200_000)]})

    async def asked() -> list[object]:
        odd = whole(200, {"data": [{"id": "own"}, {"id": "half \ud83d"}]})
        async with stage([many]) as one, stage([odd]) as other:
            row = catalogue.providers()["llamacpp"]
            rows = {
                "llamacpp": replace(row, base_url=f"{one.url}/v1"),
                "vllm": replace(row, base_url=f"{other.url}/v1"),
            }
            monkeypatch.setattr(catalogue, "providers", lambda: rows)
            hand: Any = hand_of(tmp_path, OK)
            await hand.start()
            reply = await hand.list(Asking(""), ask=True)
            await hand.stop()
            assert len(codec.encode_body(reply)) < limits.BODY_MAX
            return [provider["models"] for provider in reply["providers"]]

    listed, own = asyncio.run(asked())
    assert isinstance(listed, list)
    assert listed[:2] == ["m0", "m1"]
    assert 10_000 < len(listed) < 200_000
    assert own == ["own", "half \ufffd"]


def test_one_that_fails_as_slow_in_no_time_is_no_quick_one_for_that(tmp_path: Path) -> None:
    """As a gateway does that knows of the server behind it."""
    failure = json.dumps({"times": 0, "error": {"code": "slow", "text": "the server behind it is slow"}})
    hand: Any = hand_of(tmp_path, failure)

    async def asked() -> None:
        await hand.start()
        hand.desk.note_first_byte("scripted/script", 5.0)
        with pytest.raises(Failure, match="behind it"):
            await hand.complete(Asking("scripted/script", deadline=1_500), **ASKED)

    asyncio.run(asked())
    assert hand.desk._first_bytes["scripted/script"] == 5.0


def test_a_local_server_that_has_gone_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked() -> list[object]:
        async with stage([ELSE], [MODELS]) as one:
            async with stage([MODELS]) as other:
                row = replace(catalogue.providers()["llamacpp"], base_url=f"{one.url}/v1", also=(f"{other.url}/v1",))
                monkeypatch.setattr(catalogue, "providers", lambda: {"llamacpp": row})
                hand: Any = hand_of(tmp_path, OK)
                await hand.start()
                found = [(await hand.list(Asking(""), ask=True))["providers"][0]]
            found += [(await hand.list(Asking(""), ask=True))["providers"][0] for _ in range(2)]
            await hand.stop()
            return [one["models"] or one["trouble"] for one in found]

    before, gone, after = asyncio.run(asked())
    assert "cannot be reached" in str(gone)
    assert before == after == ["own"]


@pytest.mark.parametrize(
    ("setting", "value"), [("at_once_of", 1), ("per_minute", 50), ("addresses", "http://127.0.0.1:9/v1")]
)
def test_a_setting_for_a_provider_that_there_is_not_is_told_before_anything_is_asked(
    tmp_path: Path, setting: str, value: object
) -> None:
    hand: Any = hand_of(tmp_path, OK, **{setting: {"opnai": value, "openai": value}})
    ask(hand, Asking("offline/classical"))  # which is no provider's
    for resource in ("scripted/script", "openai/gpt-5.4"):
        with pytest.raises(Failure, match=f"`{setting}` names ") as failed:
            ask(hand, Asking(resource))
        assert failed.value.code == "unconfigured"
        assert '"opnai", and no provider is called so; did you mean "openai"?' in failed.value.text
        assert f"`maniple settings model {setting}=…`" in failed.value.text
    assert all("opnai" in row["why"] for row in asyncio.run(hand.list(Asking("")))["providers"])


def test_which_providers_there_are_is_told_where_none_is_called_nearly_so(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="there are alibaba, anthropic, .* and [0-9]+ more") as failed:
        ask(hand_of(tmp_path, OK, at_once_of={"zzzzz": 1}), Asking("scripted/script"))
    assert "`maniple models list --all` has them all" in failed.value.text
    with pytest.raises(Failure, match='there is no provider antropic, did you mean "anthropic": `maniple models'):
        ask(hand_of(tmp_path, OK), Asking("antropic/claude"))


COUNTED = whole(200, {"input_tokens": 99})
REFUSED = whole(401, {"type": "error", "error": {"type": "authentication_error"}})


@pytest.mark.parametrize(
    ("plays", "more", "told"),
    [
        ([[REFUSED]], {"then": "offline/classical"}, ("estimated", "estimated", 1)),
        ([[COUNTED], [HOLD]], {"then": "offline/classical"}, ("exact", "estimated", 2)),
        ([[COUNTED]], {"per_minute": {"anthropic": 1}}, ("exact", "limited", 1)),
    ],
)
def test_tokens_are_counted_along_a_route_within_the_limits_of_each_provider(
    tmp_path: Path, plays: list[Play], more: dict[str, str], told: tuple[str, str, int]
) -> None:
    names = ["anthropic/claude-sonnet-4-5", *filter(None, [more.pop("then", "")])]

    async def counted() -> tuple[str, str, int]:
        async with stage(*plays) as server:
            places = {"addresses": {"anthropic": server.url}, "routes": {"default": names}}
            hand: Any = hand_of(tmp_path, anthropic_key="sk-0123456789", **places, **more)
            await hand.start()

            async def count(deadline: int) -> str:
                try:
                    found = await hand.count(Asking("default", deadline=deadline), **ASKED)
                except Failure as failure:
                    return failure.code
                assert (found["tokens"] == 99) == found["exact"]
                return "exact" if found["exact"] else "estimated"

            first, second = await count(60_000), await count(1_500)
            await hand.stop()
            return first, second, len(server.asked)

    assert asyncio.run(counted()) == told
