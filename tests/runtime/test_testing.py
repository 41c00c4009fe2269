"""A Hand in a test of its author's, without a kernel: what stands between is the runtime's own."""

import re
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime import CallFailed, CallRefused, Failure
from runtime.testing import NoReply, Streamed, Trial
from tests.living import ROOT, Source, write_hand
from wire.errors import CodecError

DESK = Source(
    """
[hand]
name = "desk"
version = "1.0.0"
description = "Does a bit of everything."
entry = "main:Desk"
kind = "service"
autonomy = "full"

[capabilities]
"shop.*" = ["*"]

[provides."desk.do"]
summary = "Do it"
resource = "name"
effect = "read"
params = { what = "string", times = "int?" }
returns = { done = "string" }

[provides."desk.pass"]
summary = "Pass what comes on, and back"
resource = "none"
effect = "read"

[events]
publishes = ["told"]
subscribes = ["shop.news", "kernel.*"]

[settings.word]
type = "string"
required = true
""",
    """
import asyncio
import desk_words
from runtime import Call, Event, Failure, Hand


class Desk(Hand):
    async def start(self):
        self.heard = []
        await self.kernel.subscribe("shop.news")

    async def stop(self):
        self.log.info("it stops")

    async def on_event(self, event: Event):
        self.heard.append((event.publisher, event.name, event.body))
        await self.publish("told", event.body)

    async def do(self, call: Call, what: str, times: int = 1):
        match what:
            case "word":
                return {"done": desk_words.said(self.settings["word"], call.resource, times)}
            case "lie":
                return {"done": 1}
            case "sleep":
                before = self.now()
                await self.sleep(3600)
                await self.progress(1, 2, "half")
                return {"done": str(self.now() - before)}
            case "many":
                asked = [self.kernel.call("shop.buy", str(at), n=at) for at in range(times)]
                replies = await asyncio.gather(*asked)
                return {"done": " ".join(str(one.value) for one in replies)}
            case "stray":
                await self.kernel.call("bank.rob", "all")
            case "loud":
                self.log.warning("it is loud", what=what)
                raise RuntimeError("loud")
            case "publish":
                await self.publish("untold")
        raise Failure("unknown", "nobody knows", what=what)

    async def pass_(self, call: Call): ...

    async def on_call(self, call, arguments):
        if call.method != "desk.pass":
            return await super().on_call(call, arguments)
        call.add_labels("shop")
        async with self.kernel.stream("shop.through", upload=True) as through:
            async for piece in call.upload:
                await through.send(piece)
            await through.finish()
            async for piece in through:
                await call.send(piece)
        return through.reply.value
""",
)


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Trial]:
    folder = write_hand(tmp_path / "desk", DESK)
    (folder / "desk_words.py").write_text(
        "def said(word, resource, times):\n    return f'{resource}: ' + word * times\n"
    )
    return lambda *given: Trial(folder, *given, settings={"word": "ho"})


def test_the_tests_that_the_page_shows_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (shown,) = (one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "Trial" in one)
    names: dict[str, object] = {}
    exec(textwrap.dedent(shown), names)
    monkeypatch.chdir(ROOT)
    tests = [one for name, one in names.items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        assert callable(test)
        test()


def test_a_method_is_called_as_its_caller_would_and_a_second_trial_is_another_hand(desk: Callable[..., Trial]) -> None:
    for hand in (desk(), desk()):
        with hand:
            assert hand.call("desk.do", "Ada", what="word", times=2) == {"done": "Ada: hoho"}
        assert hand.logged == [{"level": "info", "event": "it stops"}]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ({"what": "word", "times": "x"}, "arguments", "`times`: "),
        ({"what": "lie"}, "returns", "`done`: it is a number"),
        ({"what": "none"}, "unknown", "nobody knows"),
        ({"what": "loud"}, "raised", "RuntimeError: loud"),
        ({"what": "stray"}, "raised", "CallRefused: capability"),
        ({"what": "publish"}, "raised", "CallRefused: capability"),
    ],
)
def test_what_does_not_fit_ends_as_it_would_in_a_home(
    desk: Callable[..., Trial], arguments: dict[str, object], code: str, text: str
) -> None:
    with desk({"bank.rob": 1}) as hand, pytest.raises(CallFailed) as failed:
        hand.call("desk.do", "Ada", arguments)
    assert (failed.value.code, text in failed.value.text) == (code, True)
    if code == "raised":
        assert isinstance(failed.value.__cause__, CallRefused | RuntimeError)
    assert hand.calls == []


def test_its_log_is_kept_and_so_is_what_it_raised(desk: Callable[..., Trial]) -> None:
    with desk() as hand, pytest.raises(CallFailed):
        hand.call("desk.do", "Ada", what="loud")
    first, second, *_ = hand.logged
    assert first == {"level": "warning", "event": "it is loud", "what": "loud"}
    assert second["event"] == "a call raised"


def test_calls_get_what_the_test_gives_and_one_without_a_reply_is_told(desk: Callable[..., Trial]) -> None:
    with desk({"shop.buy": lambda asked: asked.arguments["n"] * 2}) as hand:
        assert hand.call("desk.do", "Ada", what="many", times=100) == {
            "done": " ".join(str(2 * at) for at in range(100))
        }
        assert [call.resource for call in hand.calls] == [str(at) for at in range(100)]
    with desk({"shop.buy": Failure("sold", "there is no more")}) as hand, pytest.raises(CallFailed, match="sold"):
        hand.call("desk.do", "Ada", what="many")
    for replies, fault in (
        ({}, NoReply),
        ({"shop.buy": lambda asked: asked.arguments["no such"]}, KeyError),
        ({"shop.buy": 2**70}, CodecError),
    ):
        with desk(replies) as hand, pytest.raises(fault):
            hand.call("desk.do", "Ada", what="many")


def test_time_passes_only_in_sleep_and_notes_are_kept(desk: Callable[..., Trial], tmp_path: Path) -> None:
    with desk() as hand:
        assert hand.call("desk.do", "Ada", what="sleep") == {"done": "1:00:00"}
        assert hand.notes == [{"done": 1, "total": 2, "text": "half"}]
        assert hand.calls == []
    with Trial(tmp_path / "desk", settings={"word": "x"}, now=datetime(2030, 5, 1, tzinfo=UTC)) as later:
        assert f"{later.hand.now():%Y-%m-%d}" == "2030-05-01"


def test_events_reach_it_and_those_that_it_publishes_are_kept(desk: Callable[..., Trial]) -> None:
    with desk() as hand:
        hand.event("shop.news", {"price": 3})
        assert hand.events == [("told", {"price": 3})]
        hand.event("kernel.budget")  # which a pattern names
        with pytest.raises(ValueError, match="write shop.new under subscribes in"):
            hand.event("shop.new")


def test_streams_go_through_both_ways_whatever_their_size(desk: Callable[..., Trial]) -> None:
    long = bytes(range(256)) * 100_000
    with desk({"shop.through": lambda asked: Streamed(asked.upload[::-1], len(asked.upload))}) as hand:
        assert hand.call("desk.pass", upload=long) == len(long)
        assert hand.streamed == long[::-1]
        assert hand.reply is not None
        assert hand.reply.labels == ("shop",)


def test_a_hand_that_lacks_a_setting_or_is_none_or_not_in_python_is_told(tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "desk", DESK)
    with pytest.raises(ValueError, match="desk/main.py has no HAND.toml"):
        Trial(folder / "main.py")
    with pytest.raises(ValueError, match="give word=…"):
        Trial(folder)
    with pytest.raises(ValueError, match="is not a Hand in Python"):
        Trial(ROOT / "docs" / "examples" / "wasm-wat")
