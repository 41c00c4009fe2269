"""Streams of a Hand that provides: credit bounds the writer, breaks deliver what arrived, empty chunks are chunks.

That nothing more comes than there is credit for is shown by a later call's answer: it would have come after the chunk.
"""

import time

import pytest

from tests.runtime.peer import Peer, provided
from wire import codec, headers, limits

PROVIDER = """
    import asyncio
    import sys
    import time
    from runtime import Call, Failure, Hand

    class Test(Hand):
        sent = 0

        async def give(self, call: Call, count: int) -> object:
            for number in range(count):
                await call.send(b"%d" % number)
                Test.sent = number + 1
            return {"count": count}

        async def how_far(self, call: Call) -> int:
            return Test.sent

        async def give_nothing(self, call: Call) -> None:
            await call.send(b"")
            await call.send(b"")

        async def break_off(self, call: Call) -> None:
            await call.send(b"half")
            raise Failure("broken", "the cable was cut")

        async def take(self, call: Call, most: int | None = None) -> object:
            taken = []
            async for chunk in call.upload:
                taken.append(chunk)
                if len(taken) == most:
                    break
            return taken

        async def take_none(self, call: Call) -> None:
            self.gate = asyncio.Event()
            await self.gate.wait()
            async for chunk in call.upload:
                pass

        async def open_gate(self, call: Call) -> None:
            self.gate.set()

        async def answer_each(self, call: Call) -> int:
            count = 0
            async for chunk in call.upload:
                await call.send(chunk.upper())
                count += 1
            return count

        async def label(self, call: Call) -> None:
            await call.send(b"before")
            call.add_labels("web", "files")
            await call.send(b"after")
            call.cost(tokens=3)
            call.cost(tokens=4, micro_dollars=5)
            call.cost(micro_dollars=6)

        async def marked_with(self, call: Call) -> object:
            return [list(call.labels), *[list(call.labels) async for _ in call.upload]]

        async def label_much(self, call: Call) -> None:
            for number in range(65):
                call.add_labels(f"from {number}")
                await call.send(b"%d" % number)

        async def give_and_wait(self, call: Call) -> None:
            await call.send(b"alone")
            await asyncio.Event().wait()

        async def give_and_spin(self, call: Call) -> None:
            await call.send(b"one")
            await call.send(b"two")
            time.sleep(600)

        async def give_and_exit(self, call: Call) -> None:
            loop, turn = asyncio.get_running_loop(), asyncio.Event()
            loop.call_soon(turn.set)
            loop.call_soon(loop.call_soon, sys.exit)  # in the round in which this goes on, and after it
            await turn.wait()
            await call.send(b"last words")
            await asyncio.Event().wait()

        async def give_late(self, call: Call) -> None:
            while not (self.scratch / "late").exists():
                time.sleep(0.01)
            time.sleep(0.5)  # libzmq hears of the end meanwhile, and this loop does not
            await call.send(b"nobody hears this")
            await asyncio.Event().wait()

        async def send_wrong(self, call: Call) -> None:
            await call.send("text")

        async def send_much(self, call: Call) -> None:
            await call.send(bytes(1024 * 1024))
"""
PROVIDES = (
    provided("test.give", count="int"),
    provided("test.take", most="int?"),
    *(
        provided(f"test.{name}")
        for name in (
            "how-far", "give-nothing", "break-off", "take-none", "open-gate", "answer-each", "label", "label-much",
            "marked-with", "send-wrong", "send-much", "give-and-wait", "give-and-spin", "give-and-exit", "give-late",
        )
    ),
)  # fmt: skip


@pytest.fixture
def provider(peer: Peer) -> Peer:
    return peer.launch(PROVIDER, PROVIDES).ready()


def test_a_reply_longer_than_the_window_waits_for_credit(provider: Peer) -> None:
    number = provider.call("test.give", count=30)
    seen = provider.chunks(limits.WINDOW)
    assert provider.answer("test.how-far") == limits.WINDOW
    provider.send(headers.Credit(number=number, chunks=2))
    seen += provider.chunks(2)
    assert provider.answer("test.how-far") == limits.WINDOW + 2
    while len(seen) < 30:
        provider.send(headers.Credit(number=number, chunks=1))
        seen += provider.chunks(1)
    assert seen == [b"%d" % n for n in range(30)]
    assert provider.expect(headers.Done) == (headers.Done(number=number), {"count": 30})


def test_a_chunk_goes_out_though_nothing_comes_after_it(provider: Peer) -> None:
    provider.call("test.give-and-wait")
    assert provider.chunks(1) == [b"alone"]


def test_chunks_go_out_before_a_hand_that_does_not_go_on(provider: Peer) -> None:
    provider.call("test.give-and-spin")
    assert provider.chunks(2) == [b"one", b"two"]


def test_a_chunk_goes_out_before_a_hand_that_ends_its_process(provider: Peer) -> None:
    provider.call("test.give-and-exit")
    assert provider.chunks(1) == [b"last words"]


def test_a_chunk_that_nobody_takes_any_more_ends_the_run_with_75(provider: Peer) -> None:
    provider.call("test.give-late")
    provider.router.close()
    (provider.scratch / "late").touch()
    assert provider.exit_code() == 75
    (record,) = provider.records()
    assert record["event"] == "the link to the kernel was lost"


def test_an_empty_chunk_is_a_chunk(provider: Peer) -> None:
    provider.call("test.give-nothing")
    assert provider.chunks(2) == [b"", b""]
    provider.expect(headers.Done)


def test_what_was_sent_before_a_failure_goes_out_before_it(provider: Peer) -> None:
    provider.call("test.break-off")
    assert provider.chunks(1) == [b"half"]
    assert provider.expect(headers.Failed)[0].code == "broken"


def test_an_upload_longer_than_the_window_is_taken_chunk_by_chunk(provider: Peer) -> None:
    number = provider.call("test.take", upload=True)
    credit = limits.WINDOW
    for n in range(30):
        while credit == 0:
            credit += provider.expect(headers.Credit)[0].chunks
        provider.send(headers.Chunk(number=number), b"%d" % n)
        credit -= 1
    while credit == 0:
        credit += provider.expect(headers.Credit)[0].chunks
    provider.send(headers.Chunk(number=number, last=True), b"")
    header, value = provider.next()
    while isinstance(header, headers.Credit):
        header, value = provider.next()
    assert value == [b"%d" % n for n in range(30)]


def test_a_reader_that_takes_nothing_gives_no_credit(provider: Peer) -> None:
    number = provider.call("test.take-none", upload=True)
    for n in range(limits.WINDOW):
        provider.send(headers.Chunk(number=number), b"%d" % n)
    provider.answer("test.how-far")  # no credit came before it
    gate = provider.call("test.open-gate")
    seen, credit = [provider.next()[0]], 0
    while headers.Done(number=gate) not in seen or credit <= limits.WINDOW - limits.GIVEN_BACK:
        seen.append(provider.next()[0])
        credit = sum(one.chunks for one in seen if isinstance(one, headers.Credit) and one.number == number)
    provider.send(headers.Chunk(number=number, last=True), b"")
    assert provider.expect(headers.Done)[0].number == number


def test_a_slow_reader_gives_credit_for_each_chunk(provider: Peer) -> None:
    number = provider.call("test.take-none", upload=True)
    for n in range(limits.WINDOW):
        provider.send(headers.Chunk(number=number), b"%d" % n)
    time.sleep(1.1)
    gate = provider.call("test.open-gate")
    seen = [provider.next()[0] for _ in range(2)]
    assert headers.Done(number=gate) in seen
    assert headers.Credit(number=number, chunks=1) in seen


def test_chunks_beyond_the_window_end_the_run(provider: Peer) -> None:
    number = provider.call("test.take-none", upload=True)
    for _ in range(limits.WINDOW + 1):
        provider.send(headers.Chunk(number=number), b"")
    assert provider.exit_code() == 75


def test_an_upload_may_have_empty_chunks_and_a_last_one_with_bytes(provider: Peer) -> None:
    number = provider.call("test.take", upload=True)
    provider.send(headers.Chunk(number=number), b"")
    provider.send(headers.Chunk(number=number, last=True), b"end")
    assert provider.expect(headers.Done)[1] == [b"", b"end"]  # so few need no credit


def test_a_call_without_an_upload_has_an_empty_one(provider: Peer) -> None:
    assert provider.answer("test.take") == []


def test_an_upload_need_not_be_read_to_its_end(provider: Peer) -> None:
    number = provider.call("test.take", upload=True, most=1)
    provider.send(headers.Chunk(number=number), b"first")
    assert provider.expect(headers.Done)[1] == [b"first"]
    provider.send(headers.Chunk(number=number), b"second, on its way when the call ended")
    provider.send(headers.Credit(number=number, chunks=1))
    provider.send(headers.Cancel(number=number))
    assert provider.answer("test.how-far") == 0


def test_chunks_go_both_ways_at_once(provider: Peer) -> None:
    number = provider.call("test.answer-each", upload=True)
    for n in range(20):
        provider.send(headers.Chunk(number=number), b"n%d" % n)
        header, value = provider.next()
        while isinstance(header, headers.Credit):
            header, value = provider.next()
        assert (header, value) == (headers.Chunk(number=number), b"N%d" % n)
        provider.send(headers.Credit(number=number, chunks=1))
    provider.send(headers.Chunk(number=number, last=True), b"")
    header, value = provider.next()
    while isinstance(header, headers.Credit):
        header, value = provider.next()
    assert (header, value) == (headers.Done(number=number), 20)


@pytest.mark.parametrize("body", [b"\xc1", b"\xa4text", b"\x93\x01\x02\x03"])
def test_a_chunk_that_is_not_bytes_fails_the_call_and_not_the_hand(provider: Peer, body: bytes) -> None:
    number = provider.call("test.take", upload=True)
    provider.send_raw(codec.encode(headers.Chunk(number=number)), body)
    assert provider.expect(headers.Failed)[0].code == "arguments"
    assert provider.answer("test.how-far") == 0


def test_more_labels_than_a_header_carries_are_all_that_there_are(provider: Peer) -> None:
    """What many have marked can be told still: a memory, a folder, a listing of either."""
    number = provider.call("test.label-much")
    for count in range(1, limits.LABELS_MAX + 1):
        assert len(provider.expect(headers.Chunk)[0].labels) == count
        provider.send(headers.Credit(number=number, chunks=1))
    assert provider.expect(headers.Chunk)[0].labels == ("*",)
    assert provider.expect(headers.Done)[0].labels == ("*",)


def test_a_call_gathers_the_labels_of_its_upload_and_loses_none(provider: Peer) -> None:
    call = headers.Call(
        number=2, method="test.marked-with", resource="", deadline=60_000, upload=True, labels=("mail",)
    )
    provider.send(call, {})
    parts: tuple[tuple[str, ...], ...] = (("web",), (), ("files",))
    for labels in parts:
        provider.send(headers.Chunk(number=call.number, labels=labels, last=labels == parts[-1]), b"x")
    _, told = provider.expect(headers.Done)
    assert isinstance(told, list)
    assert told[-1] == ["files", "mail", "web"]


def test_labels_and_cost_go_with_the_reply(provider: Peer) -> None:
    provider.call("test.label")
    assert provider.expect(headers.Chunk)[0].labels == ()
    assert provider.expect(headers.Chunk)[0].labels == ("files", "web")
    done, _ = provider.expect(headers.Done)
    assert done.labels == ("files", "web")
    assert done.cost is not None
    assert (done.cost.tokens, done.cost.micro_dollars) == (7, 11)


@pytest.mark.parametrize(
    ("method", "why"), [("test.send-wrong", "a chunk is bytes, not str"), ("test.send-much", "at most 1048576 bytes")]
)
def test_a_chunk_that_cannot_travel_is_an_error_at_home(provider: Peer, method: str, why: str) -> None:
    provider.call(method)
    failed, _ = provider.expect(headers.Failed)
    assert failed.code == "raised"
    assert why in failed.text
