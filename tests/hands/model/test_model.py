"""The Hand by itself: what is asked where, tried again, failed over, priced, bounded, cancelled and checked."""

import asyncio
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from runtime import Failure
from runtime.models import catalogue
from runtime.models.messages import Answer, TextPiece, unpack
from tests.hands.doubles import HANDS, hand_module
from tests.hands.model.calls import ASKED, RAIN, Asking, ask, hand_of
from wire.amounts import Cost


def test_default_is_offline_when_nothing_is_set_up_and_costs_nothing(tmp_path: Path) -> None:
    call = Asking("default", Cost(tokens=1, micro_dollars=0))
    answer = ask(hand_of(tmp_path), call)
    assert answer.model == "offline/classical"
    assert "No language model" in answer.text
    assert call.spent == Cost(tokens=0, micro_dollars=0)


@pytest.mark.parametrize(
    ("resource", "code", "why"),
    [
        ("anthropic/claude-x", "unconfigured", "--secret anthropic_key"),
        ("nobody/model", "unconfigured", "no provider nobody"),
        ("cheap", "unconfigured", "no route cheap"),
        ("scripted/script", "unconfigured", "no script"),
    ],
)
def test_what_is_not_set_up_is_told_with_the_command_that_mends_it(
    tmp_path: Path, resource: str, code: str, why: str
) -> None:
    with pytest.raises(Failure, match=why) as failed:
        ask(hand_of(tmp_path), Asking(resource))
    assert failed.value.code == code


@pytest.mark.parametrize("key", ["sk-0123\n456789", "sk-0123 456789", "sk-0123\x00456789", "sk-0123ü456789"])
def test_a_key_that_is_none_is_told_and_not_sent(tmp_path: Path, key: str) -> None:
    with pytest.raises(Failure, match="set it anew, `maniple settings model --secret anthropic_key`") as failed:
        ask(hand_of(tmp_path, anthropic_key=key), Asking("anthropic/claude-x"))
    assert failed.value.code == "unconfigured"
    assert key not in failed.value.text


@pytest.mark.parametrize(
    "address",
    ["http://[::1", "ftp://example.org", "example.org/v1", "http://x:y", 7]
    + [f"http://c/v1{more}" for more in ("?key=secret", "#secret", "?")]
    + ["http://a:secret@c/"],
)
def test_an_address_that_is_none_is_told_with_the_command_that_mends_it(tmp_path: Path, address: object) -> None:
    hand = hand_of(tmp_path, addresses={"vllm": address})
    with pytest.raises(
        Failure,
        match="the address of vllm is not an http or https URL without user, password and `\\?`: "
        '`maniple settings model \'addresses={"vllm": ',
    ) as failed:
        ask(hand, Asking("vllm/mine"))
    assert failed.value.code == "unconfigured"
    assert "secret" not in failed.value.text, "every Hand that asks a model reads it"


def test_a_route_of_one_name_needs_no_list_and_one_of_no_model_is_told(tmp_path: Path) -> None:
    routes = {"one": "offline/classical", "none": ["claude"], "number": 7, "empty": []}
    hand = hand_of(tmp_path, routes=routes)
    assert ask(hand, Asking("one")).model == "offline/classical"
    whys = {
        "none": "not PROVIDER/MODEL", "number": "not PROVIDER/MODEL", "empty": "the route empty names no model",
        "nowhere": "there is no route nowhere",
    }  # fmt: skip
    for name, why in whys.items():
        with pytest.raises(Failure, match=f"{why}: `maniple settings model '?routes=") as failed:
            ask(hand, Asking(name))
        assert failed.value.code == "unconfigured"
        with pytest.raises(Failure, match=f"{why}: `maniple settings model '?routes=") as failed:
            asyncio.run(_vectors(hand, Asking(name)))
        assert failed.value.code == "unconfigured"


def test_a_key_out_of_a_file_of_another_system_is_taken_without_what_ends_its_line(tmp_path: Path) -> None:
    async def key() -> str:
        hand = hand_of(tmp_path, anthropic_key=" sk-0123456789\r\n")
        await hand.start()
        return str(hand.desk.key("anthropic"))

    assert asyncio.run(key()) == "sk-0123456789"


def test_a_stream_shows_pieces_and_ends_in_the_answer(tmp_path: Path) -> None:
    call = Asking("scripted/script")
    answer = ask(hand_of(tmp_path, '{"text": "It is wet."}'), call, "stream")
    pieces = [piece for chunk in call.sent for piece in unpack(chunk)]
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == answer.text == "It is wet."
    assert call.spent.tokens == answer.usage.total


def test_what_may_be_tried_again_is(tmp_path: Path) -> None:
    script = ('{"error": {"code": "limited", "after": 0.01}, "times": 2}', '{"text": "ok"}')
    assert ask(hand_of(tmp_path, *script), Asking("scripted/script")).text == "ok"


def test_what_was_shown_is_never_shown_again_and_what_was_not_shown_is_tried_again(tmp_path: Path) -> None:
    script = ('{"text": "one two three", "shown": 2, "error": {"code": "cut", "after": 0.01}}', '{"text": "whole"}')
    call = Asking("scripted/script")
    with pytest.raises(Failure, match="says so") as failed:
        ask(hand_of(tmp_path, *script), call, "stream")
    assert failed.value.code == "cut"
    assert b"".join(call.sent).count(b"one") == 1
    assert call.spent.tokens > 0  # what came before the cut was paid for
    again = Asking("scripted/script")
    assert ask(hand_of(tmp_path, *script), again).text == "whole"
    assert again.sent == []


@pytest.mark.parametrize(
    ("failures", "code", "end"),
    [(3, "limited", "ok"), (4, "limited", "limited"), (2, "server", "ok"), (3, "server", "server")],
)
def test_nothing_is_asked_for_more_than_four_times_or_past_its_breaker(
    tmp_path: Path, failures: int, code: str, end: str
) -> None:
    script = (f'{{"error": {{"code": "{code}", "after": 0.0}}, "times": {failures}}}', '{"text": "ok"}')
    try:
        found = ask(hand_of(tmp_path, *script), Asking("scripted/script")).text
    except Failure as failed:
        found = failed.code
    assert found == end


def test_whoever_is_asked_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, '{"error": {"code": "limited", "after": 100}, "times": 0}')
    with pytest.raises(Failure) as failed:
        ask(hand, Asking("scripted/script"))
    assert (failed.value.code, failed.value.detail["after"]) == ("limited", 100)


def test_what_was_shown_of_an_answer_is_not_gone_on_with_by_another_model(tmp_path: Path) -> None:
    script = '{"text": "one two three", "shown": 2, "error": {"code": "cut"}, "times": 0}'
    hand = hand_of(tmp_path, script, routes={"default": ["scripted/script", "offline/classical"]})
    call = Asking("default")
    with pytest.raises(Failure) as failed:
        ask(hand, call, "stream")
    assert failed.value.code == "cut"


def test_a_route_fails_over_and_one_model_never_does(tmp_path: Path) -> None:
    script = '{"error": {"code": "key", "text": "expired"}, "times": 0}'
    hand = hand_of(tmp_path, script, routes={"default": ["scripted/script", "offline/classical"]})
    call = Asking("default")
    answer = ask(hand, call)
    assert (answer.model, answer.tried) == ("offline/classical", ("scripted/script: key",))
    assert call.spent.tokens == 0, "who refuses takes nothing"
    with pytest.raises(Failure, match="expired"):
        ask(hand, Asking("scripted/script"))


def test_a_provider_that_failed_for_good_is_left_alone_for_a_while(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, '{"error": {"code": "key", "text": "expired"}, "times": 0}')

    async def twice() -> list[str]:
        await hand.start()
        codes = []
        for _ in range(2):
            with pytest.raises(Failure) as failed:
                await hand.complete(Asking("scripted/script"), **ASKED)
            codes.append(failed.value.code)
        await hand.on_settings(frozenset({"script"}))
        with pytest.raises(Failure) as failed:
            await hand.complete(Asking("scripted/script"), **ASKED)
        return [*codes, failed.value.code]

    assert asyncio.run(twice()) == ["key", "paused", "key"]


def test_a_call_that_could_cost_more_than_its_most_is_not_made(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, '{"text": "ok", "times": 0}')
    with pytest.raises(Failure, match="`most`") as failed:
        ask(hand, Asking("scripted/script", Cost(tokens=5, micro_dollars=0)))
    assert failed.value.code == "over_most"
    assert ask(hand, Asking("scripted/script", Cost(tokens=500, micro_dollars=0))).text == "ok"


def test_an_answer_is_checked_against_its_schema_and_asked_for_once_more(tmp_path: Path) -> None:
    script = (
        '{"text": "It rains."}',
        '{"when": "does not match the JSON Schema", "text": "```json\\n{\\"rain\\": true,}\\n```"}',
    )
    answer = ask(hand_of(tmp_path, *script), Asking("scripted/script"), schema=RAIN)
    assert answer.value == {"rain": True}
    assert "mended" in answer.notes[-1]
    with pytest.raises(Failure, match="did not answer as the schema says") as failed:
        ask(hand_of(tmp_path, '{"text": "no", "times": 0}'), Asking("scripted/script"), schema=RAIN)
    assert failed.value.code == "schema"


def test_who_asked_once_more_calls_a_tool_first_may_do_so(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, '{"text": "It rains."}', '{"text": "I look.", "calls": [{"name": "look"}]}')
    assert [one.name for one in ask(hand, Asking("scripted/script"), schema=RAIN).calls] == ["look"]


def test_an_answer_of_its_schema_is_asked_for_once_and_one_that_was_shown_too(tmp_path: Path) -> None:
    once = '{"text": "{\\"rain\\": true}"}'
    answer = ask(hand_of(tmp_path, once), Asking("scripted/script"), schema=RAIN)
    assert (answer.value, [note for note in answer.notes if "mended" in note]) == ({"rain": True}, [])
    with pytest.raises(Failure) as failed:
        ask(hand_of(tmp_path, '{"text": "It rains."}', once), Asking("scripted/script"), "stream", schema=RAIN)
    assert failed.value.code == "schema"


def _branching(depth: int) -> dict[str, object]:
    """A schema that has two ways to the next step at each of so many."""
    steps = {str(at): {"anyOf": [{"$ref": f"#/$defs/{at + 1}"}] * 2} for at in range(depth)}
    return {"$ref": "#/$defs/0", "$defs": {**steps, str(depth): {"type": "object"}}}


DROPPED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What is raised while an object is let go is dropped by Python, which says so."""


@DROPPED
@pytest.mark.parametrize(
    "schema", [{"type": "string", "pattern": "^(a+)+$"}, _branching(40)], ids=["expression", "ways"]
)
def test_a_schema_that_takes_for_ever_ends_its_call_and_holds_up_nobody(
    tmp_path: Path, schema: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_module("model", "model_trying"), "CHECK_S", 0.2)
    hand = hand_of(tmp_path, json.dumps({"text": json.dumps("a" * 40 + "b"), "times": 0}))
    with pytest.raises(Failure, match="make it simpler") as failed:
        ask(hand, Asking("scripted/script"), schema=schema)
    assert failed.value.code == "request"
    assert ask(hand, Asking("scripted/script")).text, "and it goes on"


@DROPPED
def test_a_check_that_python_did_not_let_end_is_told_to_end_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = hand_module("model", "model_trying")
    monkeypatch.setattr(module, "CHECK_S", 0.05)
    busy: list[object] = []

    class LetGo:
        def __del__(self) -> None:
            busy.append(self)
            while True:
                pass

    def checks_for_ever(*_: object) -> None:
        LetGo()
        while True:
            pass

    monkeypatch.setattr(module.schemas, "read", checks_for_ever)
    hand = hand_of(tmp_path, '{"text": "1", "times": 0}')
    with pytest.raises(Failure, match="make it simpler"):
        ask(hand, Asking("scripted/script"), schema={"type": "integer"})
    assert busy, "the first time it was told while an object was let go"


@pytest.mark.parametrize("schema", [{"type": 7}, {"$ref": "#"}, {"$ref": "https://example.org/schema.json"}])
def test_a_schema_that_is_none_is_told_before_any_answer_is_paid_for(tmp_path: Path, schema: dict[str, object]) -> None:
    call = Asking("scripted/script")
    with pytest.raises(Failure, match="the schema (itself is wrong|cannot be followed)") as failed:
        ask(hand_of(tmp_path, '{"text": "{}", "times": 0}'), call, schema=schema)
    assert failed.value.code == "request"
    assert call.spent.tokens == 0


def test_an_answer_that_no_reply_holds_is_told_and_paid(tmp_path: Path) -> None:
    """Its text alone would fit; the value of its schema stands beside it."""
    hand = hand_of(tmp_path, json.dumps({"text": json.dumps("a" * 600_000), "times": 0}))
    call = Asking("scripted/script")
    with pytest.raises(Failure, match="more than the 1 MiB that a reply holds") as failed:
        ask(hand, call, schema={"type": "string"})
    assert failed.value.code == "malformed"
    assert call.spent.tokens > 100_000


def test_offline_says_what_the_text_does_not_say(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="The text does not say: rain"):
        ask(hand_of(tmp_path), Asking("default"), schema=RAIN)


def test_a_call_that_is_cancelled_ends_its_request_and_frees_its_place(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, '{"text": "late", "delay": 60}', '{"text": "ok"}', at_once=1)

    async def cancelled() -> Answer:
        await hand.start()
        task = asyncio.create_task(hand.complete(Asking("scripted/script"), **ASKED))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            found: Answer = await hand.complete(Asking("scripted/script"), **ASKED)
        return found

    assert asyncio.run(cancelled()).text == "ok"


def test_every_provider_that_takes_a_key_has_a_secret_setting_for_it() -> None:
    declared = tomllib.loads((HANDS / "model" / "HAND.toml").read_text())["settings"]
    keys = {name.removesuffix("_key"): setting for name, setting in declared.items() if name.endswith("_key")}
    assert set(keys) == {name.replace("-", "_") for name, row in catalogue.providers().items() if row.key}
    assert all(setting["secret"] for setting in keys.values())


def test_a_provider_is_asked_as_its_row_says_that_it_wants_to_be(tmp_path: Path) -> None:
    hand = hand_of(tmp_path)
    asyncio.run(hand.start())
    odd = {name: row.quirks for name, row in catalogue.providers().items() if row.quirks}
    assert {name: hand.desk._endpoint(name, "https://a.example").quirks for name in odd} == odd
    assert hand.desk._endpoint("scripted", "").quirks == ()


def test_a_model_that_a_help_names_is_one_whose_price_is_known() -> None:
    told = (HANDS / "model" / "HAND.toml").read_text()
    names = [
        name for name in re.findall(r'\\"([a-z]+/[\w.-]+)\\"', told) if name.partition("/")[0] in catalogue.providers()
    ]
    assert len(names) > 1
    assert [name for name in names if catalogue.find(name) is None] == []


def test_what_there_is_is_listed_without_a_key_in_it(tmp_path: Path) -> None:
    hand = hand_of(tmp_path, anthropic_key="sk-not-to-be-seen")

    async def listed() -> dict[str, Any]:
        await hand.start()
        found: dict[str, Any] = await hand.list(Asking(""))
        return found

    found = asyncio.run(listed())
    assert "sk-not" not in repr(found)
    assert found["routes"] == {"default": ["offline/classical"]}
    ready = {one["name"] for one in found["providers"] if one["ready"] and not one["local"]}
    assert ready == {"anthropic"}
    assert any(one["name"].startswith("anthropic/") and one["ready"] for one in found["models"])


def test_tokens_are_counted_and_said_to_be_reckoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand = hand_of(tmp_path)

    async def counted() -> dict[str, Any]:
        await hand.start()
        found: dict[str, Any] = await hand.count(Asking("default"), **ASKED)
        return found

    found = asyncio.run(counted())
    assert found["tokens"] > 4
    assert (found["exact"], found["window"]) == (False, 0)
    row = catalogue.models()["openai/gpt-5.4"]
    monkeypatch.setattr(catalogue, "find", lambda name: row)
    assert asyncio.run(counted()) == {**found, "window": row.window}


async def _vectors(hand: Any, call: Asking) -> Any:
    await hand.start()
    return await hand.embed(call, texts=["a cat", "a kitten"])


def test_vectors_are_made_here_or_it_is_said_how(tmp_path: Path) -> None:
    from memory import embedders

    asked = _vectors(hand_of(tmp_path), Asking("default"))
    if embedders.best_name() == "minilm":
        found = asyncio.run(asked)
        assert [len(row) for row in found.vectors] == [384, 384]
    else:
        with pytest.raises(Failure, match=r"embed\.txt"):
            asyncio.run(asked)
