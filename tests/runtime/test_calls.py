"""Calls that a Hand makes: every end, every mistake told at home, cancellation, turns, and the one thread."""

import pytest

from tests.runtime.peer import Peer, provided
from wire import codec, headers, limits
from wire.amounts import Cost

SOURCE = """
    import asyncio
    import threading
    from contextlib import AsyncExitStack
    from runtime import Call, CallCancelled, CallFailed, CallRefused, Cost, Hand

    class Test(Hand):
        async def end(self, call: Call) -> object:
            try:
                reply = await self.kernel.call("far.m")
                return {"value": reply.value, "labels": list(reply.labels), "tokens": reply.cost and reply.cost.tokens}
            except CallFailed as error:
                return ["failed", error.code, error.text, error.detail, error.cost and error.cost.tokens]
            except CallRefused as error:
                return ["refused", error.code, error.why, error.grant]
            except CallCancelled as error:
                return ["cancelled", error.why, error.cost and error.cost.tokens]

        async def options(self, call: Call) -> None:
            most = Cost(tokens=7, micro_dollars=8)
            await self.kernel.call("far.m", "r", {"timeout": "5s"}, timeout=1.5, at_most=most, n=1)

        async def wrong(self, call: Call, what: str) -> None:
            match what:
                case "body":
                    await self.kernel.call("far.m", blob=bytes(1024 * 1024))
                case "no await":
                    await self.kernel.call("x.y", value=self.stop())
                case "value":
                    await self.kernel.call("far.m", thing=object())
                case "surrogate":
                    await self.kernel.call("far.m", chr(0xD800))
                case "resource":
                    await self.kernel.call("far.m", "ä" * 600)
                case "method":
                    await self.kernel.call("m" * 129)
                case "timeout":
                    await self.kernel.call("far.m", timeout=0)
                case "reply":
                    return bytes(1024 * 1024)
                case "labels":
                    call.add_labels("x" * 65)

        async def from_thread(self, call: Call) -> object:
            told = []
            def work():
                for make in (
                    lambda: self.kernel.call("far.m"),
                    lambda: self.kernel.publish("alert"),
                    lambda: call.send(b""),
                    lambda: self.enter(),
                    lambda: call.upload.__anext__(),
                ):
                    try:
                        asyncio.run(make())
                    except Exception as error:
                        told.append(f"{type(error).__name__}: {error}")
            await asyncio.to_thread(work)
            return told

        async def enter(self):
            async with self.kernel.stream("far.m"):
                pass

        async def give_up(self, call: Call) -> object:
            try:
                async with asyncio.timeout(0):
                    await self.kernel.call("slow.m")
            except TimeoutError:
                return (await self.kernel.call("next.m")).value

        async def many(self, call: Call, count: int) -> int:
            replies = await asyncio.gather(*(self.kernel.call("far.m", n=n) for n in range(count)))
            return sum(reply.value for reply in replies)

        async def hold_streams(self, call: Call, count: int) -> object:
            async with AsyncExitStack() as held:
                for _ in range(count):
                    await held.enter_async_context(self.kernel.stream("far.read"))
                try:
                    await self.kernel.call("one.more")
                except CallRefused as error:
                    return error.code

        async def swallow(self, call: Call) -> object:
            try:
                await self.kernel.call("slow.m")
            except asyncio.CancelledError:
                return "I was done anyhow"

        async def wait_for_credit(self, call: Call) -> None:
            while True:
                await call.send(b"")

        async def wait_for_upload(self, call: Call) -> None:
            async for _ in call.upload:
                pass

        async def wait_in_stream(self, call: Call) -> None:
            async with self.kernel.stream("slow.m", upload=True) as stream:
                await stream.read()

        async def echo(self, call: Call) -> str:
            return "here"
"""
WAITS = ("wait-for-credit", "wait-for-upload", "wait-in-stream")
NAMES = ("end", "options", "from-thread", "give-up", "swallow", "echo", *WAITS)
PROVIDES = (
    provided("test.wrong", what="string"),
    provided("test.many", count="int"),
    provided("test.hold-streams", count="int"),
    *(provided(f"test.{name}") for name in NAMES),
)


@pytest.fixture
def hand(peer: Peer) -> Peer:
    return peer.launch(SOURCE, PROVIDES, in_flight=4).ready()


@pytest.mark.parametrize(
    ("end", "body", "seen"),
    [
        (
            headers.Done(number=1, labels=("web",), cost=Cost(tokens=3, micro_dollars=0)),
            [1, b"2", None],
            {"value": [1, b"2", None], "labels": ["web"], "tokens": 3},
        ),
        (
            headers.Failed(number=1, code="conflict", text="no", cost=Cost(tokens=3, micro_dollars=0)),
            {"now": 1},
            ["failed", "conflict", "no", {"now": 1}, 3],
        ),
        (headers.Failed(number=1, code="deadline", text="late"), None, ["failed", "deadline", "late", {}, None]),
        (headers.Refused(number=1, code="capability", why="no", grant="g"), None, ["refused", "capability", "no", "g"]),
        (
            headers.Cancelled(number=1, why="stopped", cost=Cost(tokens=3, micro_dollars=0)),
            None,
            ["cancelled", "stopped", 3],
        ),
    ],
)
def test_each_end_has_its_own_shape(hand: Peer, end: headers.End, body: object, seen: object) -> None:
    hand.call("test.end")
    hand.expect(headers.Call)
    hand.send(end, body)
    assert hand.expect(headers.Done)[1] == seen


def test_a_reply_that_cannot_be_read_fails_the_call(hand: Peer) -> None:
    hand.call("test.end")
    hand.expect(headers.Call)
    hand.send_raw(codec.encode(headers.Done(number=1)), b"\xc1")
    _, value = hand.expect(headers.Done)
    assert isinstance(value, list)
    assert value[:2] == ["failed", "malformed"]


def test_a_call_says_its_time_its_price_and_every_argument(hand: Peer) -> None:
    hand.call("test.options")
    call, arguments = hand.expect(headers.Call)
    assert (call.resource, call.deadline, call.most) == ("r", 1500, Cost(tokens=7, micro_dollars=8))
    assert arguments == {"timeout": "5s", "n": 1}


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("body", "CodecError: a body is at most 1048576 bytes, this one has 1048587: send it as chunks of a stream"),
        ("value", "CodecError: this value cannot travel: "),
        (
            "no await",
            "CodecError: this value cannot travel: it is a coroutine: write await before the call that made it",
        ),
        ("surrogate", "CodecError: this Call cannot travel: "),
        ("resource", "CodecError: a resource is at most 1024 bytes of UTF-8: "),
        ("method", "CodecError: a method is at most 128 bytes of UTF-8: "),
        ("timeout", "ValueError: timeout is in seconds, above 0 and at most 604800; it was 0"),
        ("reply", "CodecError: a body is at most 1048576 bytes, this one has 1048581: send it as chunks of a stream"),
        ("labels", "this Done cannot travel: "),
    ],
)
def test_what_cannot_travel_is_an_error_at_home_and_ends_nothing(hand: Peer, what: str, why: str) -> None:
    hand.call("test.wrong", what=what)
    failed, _ = hand.expect(headers.Failed)
    assert failed.code == "raised"
    assert failed.text.startswith(why)
    assert hand.answer("test.echo") == "here"


def test_the_bus_is_refused_to_other_threads(hand: Peer) -> None:
    value = hand.answer("test.from-thread")
    assert isinstance(value, list)
    assert len(value) == 5
    assert all(str(told).startswith("WrongThread: calls are made in the Hand's own thread only") for told in value)


def test_a_call_that_is_given_up_is_cancelled_and_its_late_end_is_nothing(hand: Peer) -> None:
    number = hand.call("test.give-up")
    assert hand.expect(headers.Call)[0].method == "slow.m"
    assert hand.expect(headers.Cancel)[0].number == 1
    assert hand.expect(headers.Call)[0].number == 3
    hand.send(headers.Done(number=1), "late")
    hand.send(headers.Done(number=3), "next")
    assert hand.expect(headers.Done) == (headers.Done(number=number), "next")


def test_calls_beyond_in_flight_wait_their_turn_in_order(hand: Peer) -> None:
    hand.call("test.many", count=10)
    for n in range(10):
        if n < 4:
            hand.expect(headers.Call)
        if n == 3:
            assert hand.answer("test.echo") == "here"  # no fifth call came before it
        if n >= 4:
            hand.send(headers.Done(number=2 * (n - 4) + 1), n - 4)
            call, arguments = hand.expect(headers.Call)
            assert (call.number, arguments) == (2 * n + 1, {"n": n})
    for n in range(6, 10):
        hand.send(headers.Done(number=2 * n + 1), n)
    assert hand.expect(headers.Done)[1] == sum(range(10))


def test_a_call_beyond_in_flight_that_only_streams_hold_up_is_refused_and_does_not_hang(hand: Peer) -> None:
    for _ in range(2):
        hand.call("test.hold-streams", count=4)
        held = [hand.expect(headers.Call)[0].number for _ in range(4)]
        more, _ = hand.expect(headers.Call)
        hand.send(headers.Refused(number=more.number, code="in_flight", why="4 calls are open already"))
        for _ in held:
            hand.expect(headers.Cancel)
        assert hand.expect(headers.Done)[1] == "in_flight"
        for number in held:
            hand.send(headers.Cancelled(number=number))


def test_a_stream_that_has_ended_holds_up_nothing(hand: Peer) -> None:
    hand.call("test.hold-streams", count=3)
    held = [hand.expect(headers.Call)[0].number for _ in range(3)]
    more, _ = hand.expect(headers.Call)
    for number in held:
        hand.send(headers.Done(number=number))
    hand.send(headers.Refused(number=more.number, code="x", why=""))
    assert hand.expect(headers.Done)[1] == "x"
    hand.call("test.hold-streams", count=1)
    for _ in range(2):
        hand.expect(headers.Call)
    hand.call("test.many", count=5)
    for _ in range(2):
        hand.expect(headers.Call)
    assert hand.answer("test.echo") == "here"  # no third call came before it: two are open, and one of them no stream


# the kernel cancels ---------------------------------------------------------------------------------------------------


def test_a_cancel_while_a_call_of_its_own_is_open_cancels_that_too(hand: Peer) -> None:
    number = hand.call("test.end")
    hand.expect(headers.Call)
    hand.send(headers.Cancel(number=number, why="the caller went away"))
    assert hand.expect(headers.Cancel)[0].number == 1
    assert hand.expect(headers.Cancelled)[0] == headers.Cancelled(number=number, why="the caller went away")
    hand.send(headers.Cancelled(number=1))
    assert hand.answer("test.echo") == "here"


def test_a_cancel_while_the_reply_waits_for_credit(hand: Peer) -> None:
    number = hand.call("test.wait-for-credit")
    for _ in range(8):
        hand.expect(headers.Chunk)
    hand.send(headers.Cancel(number=number))
    assert hand.expect(headers.Cancelled)[0].number == number


def test_a_cancel_while_the_upload_is_awaited(hand: Peer) -> None:
    number = hand.call("test.wait-for-upload", upload=True)
    for _ in range(limits.GIVEN_BACK):
        hand.send(headers.Chunk(number=number), b"one")
    hand.expect(headers.Credit)
    hand.send(headers.Cancel(number=number))
    assert hand.expect(headers.Cancelled)[0].number == number


def test_a_cancel_inside_a_stream_cancels_the_stream(hand: Peer) -> None:
    number = hand.call("test.wait-in-stream")
    hand.expect(headers.Call)
    hand.send(headers.Cancel(number=number))
    assert hand.expect(headers.Cancel)[0].number == 1
    assert hand.expect(headers.Cancelled)[0].number == number


def test_a_hand_that_was_done_anyhow_may_answer_a_cancel_with_done(hand: Peer) -> None:
    number = hand.call("test.swallow")
    hand.expect(headers.Call)
    hand.send(headers.Cancel(number=number))
    hand.expect(headers.Cancel)
    assert hand.expect(headers.Done) == (headers.Done(number=number), "I was done anyhow")


def test_a_cancel_that_comes_after_the_end_is_nothing(hand: Peer) -> None:
    number = hand.call("test.echo")
    hand.expect(headers.Done)
    hand.send(headers.Cancel(number=number))
    hand.send(headers.Cancel(number=998))
    assert hand.answer("test.echo") == "here"
