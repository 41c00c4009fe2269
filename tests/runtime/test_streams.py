"""Streams, both ways and on both sides: credit bounds the writer, breaks deliver what arrived, empty chunks are chunks.

That nothing more comes than there is credit for is shown by a later call's answer: it would have come after the chunk.
"""

import pytest

from tests.runtime.peer import Peer, provided
from wire import codec, headers, limits

PROVIDER = """
    import asyncio
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
            "how-far", "give-nothing", "break-off", "take-none", "open-gate", "answer-each", "label", "send-wrong",
            "send-much",
        )
    ),
)  # fmt: skip


@pytest.fixture
def provider(peer: Peer) -> Peer:
    return peer.launch(PROVIDER, PROVIDES).ready()


def chunks(peer: Peer, count: int) -> list[codec.Value]:
    return [peer.expect(headers.Chunk)[1] for _ in range(count)]


# the Hand provides ----------------------------------------------------------------------------------------------------


def test_a_reply_longer_than_the_window_waits_for_credit(provider: Peer) -> None:
    number = provider.call("test.give", count=30)
    seen = chunks(provider, limits.WINDOW)
    assert provider.answer("test.how-far") == limits.WINDOW
    provider.send(headers.Credit(number=number, chunks=2))
    seen += chunks(provider, 2)
    assert provider.answer("test.how-far") == limits.WINDOW + 2
    while len(seen) < 30:
        provider.send(headers.Credit(number=number, chunks=1))
        seen += chunks(provider, 1)
    assert seen == [b"%d" % n for n in range(30)]
    assert provider.expect(headers.Done) == (headers.Done(number=number), {"count": 30})


def test_an_empty_chunk_is_a_chunk(provider: Peer) -> None:
    provider.call("test.give-nothing")
    assert chunks(provider, 2) == [b"", b""]
    provider.expect(headers.Done)


def test_what_was_sent_before_a_failure_goes_out_before_it(provider: Peer) -> None:
    provider.call("test.break-off")
    assert chunks(provider, 1) == [b"half"]
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
    seen = [provider.next()[0] for _ in range(limits.WINDOW + 1)]
    assert headers.Done(number=gate) in seen
    assert seen.count(headers.Credit(number=number, chunks=1)) == limits.WINDOW
    provider.send(headers.Chunk(number=number, last=True), b"")
    assert provider.expect(headers.Done)[0].number == number


def test_chunks_beyond_the_window_end_the_run(provider: Peer) -> None:
    number = provider.call("test.take-none", upload=True)
    for _ in range(limits.WINDOW + 1):
        provider.send(headers.Chunk(number=number), b"")
    assert provider.exit_code() == 75


def test_an_upload_may_have_empty_chunks_and_a_last_one_with_bytes(provider: Peer) -> None:
    number = provider.call("test.take", upload=True)
    provider.send(headers.Chunk(number=number), b"")
    provider.send(headers.Chunk(number=number, last=True), b"end")
    assert provider.expect(headers.Credit)[0].number == number
    assert provider.expect(headers.Done)[1] == [b"", b"end"]


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


def test_labels_and_cost_go_with_the_reply(provider: Peer) -> None:
    provider.call("test.label")
    assert provider.expect(headers.Chunk)[0].labels == ()
    assert provider.expect(headers.Chunk)[0].labels == ("files", "web")
    done, _ = provider.expect(headers.Done)
    assert done.labels == ("files", "web")
    assert done.cost is not None
    assert (done.cost.tokens, done.cost.micro_dollars) == (7, 5)


@pytest.mark.parametrize(
    ("method", "why"), [("test.send-wrong", "a chunk is bytes, not str"), ("test.send-much", "at most 1048576 bytes")]
)
def test_a_chunk_that_cannot_travel_is_an_error_at_home(provider: Peer, method: str, why: str) -> None:
    provider.call(method)
    failed, _ = provider.expect(headers.Failed)
    assert failed.code == "raised"
    assert why in failed.text


# the Hand calls -------------------------------------------------------------------------------------------------------

CALLER = """
    import asyncio
    from runtime import Call, CallEnded, CallFailed, Hand

    class Test(Hand):
        taken = 0

        async def download(self, call: Call, most: int | None = None) -> object:
            got, Test.taken = [], 0
            try:
                async with self.kernel.stream("far.read", "a") as stream:
                    async for chunk in stream:
                        got.append(chunk)
                        Test.taken = len(got)
                        if len(got) == most:
                            break
                return {"got": got, "value": stream.reply.value if most is None else None}
            except CallEnded as error:
                return {"got": got, "error": str(error)}

        async def hold(self, call: Call) -> object:
            self.gate = asyncio.Event()
            async with self.kernel.stream("far.read") as stream:
                await self.gate.wait()
                return [chunk async for chunk in stream]

        async def let_go(self, call: Call) -> None:
            self.gate.set()

        async def upload(self, call: Call, count: int, finish: bool = True) -> object:
            Test.taken = 0
            try:
                async with self.kernel.stream("far.write", "b", upload=True) as stream:
                    for number in range(count):
                        await stream.send(b"%d" % number)
                        Test.taken = number + 1
                    if finish:
                        await stream.finish()
                return stream.reply.value
            except CallEnded as error:
                return str(error)

        async def upload_and_fall(self, call: Call) -> object:
            async with self.kernel.stream("far.write", "b", upload=True) as stream:
                await stream.send(b"half")
                raise ValueError("no more")

        async def progress_made(self, call: Call) -> int:
            return Test.taken

        async def plain(self, call: Call) -> object:
            try:
                return (await self.kernel.call("far.read")).value
            except CallEnded as error:
                return str(error)

        async def unopened(self, call: Call) -> None:
            await self.kernel.stream("far.read").read()

        async def early(self, call: Call) -> None:
            async with self.kernel.stream("far.read") as stream:
                stream.reply
"""
CALLS = (
    provided("test.download", most="int?"),
    provided("test.upload", count="int", finish="bool?"),
    *(
        provided(f"test.{name}")
        for name in ("hold", "let-go", "upload-and-fall", "progress-made", "plain", "unopened", "early")
    ),
)


@pytest.fixture
def caller(peer: Peer) -> Peer:
    return peer.launch(CALLER, CALLS).ready()


def test_a_download_gives_one_credit_back_for_each_chunk(caller: Peer) -> None:
    caller.call("test.download")
    assert caller.expect(headers.Call)[0].upload is False
    credit = limits.WINDOW
    for n in range(30):
        while credit == 0:
            credit += caller.expect(headers.Credit)[0].chunks
        caller.send(headers.Chunk(number=1), b"%d" % n)
        credit -= 1
    caller.send(headers.Done(number=1), "whole")
    header, value = caller.next()
    while isinstance(header, headers.Credit):
        credit += header.chunks
        header, value = caller.next()
    assert value == {"got": [b"%d" % n for n in range(30)], "value": "whole"}
    assert credit <= limits.WINDOW


def test_a_caller_that_reads_nothing_gives_no_credit_and_loses_nothing(caller: Peer) -> None:
    held = caller.call("test.hold")
    caller.expect(headers.Call)
    for n in range(limits.WINDOW):
        caller.send(headers.Chunk(number=1), b"%d" % n)
    assert caller.answer("test.progress-made") == 0  # no credit came before it
    caller.send(headers.Done(number=1))
    gate = caller.call("test.let-go")
    ends = dict(caller.expect(headers.Done) for _ in range(2))
    assert ends == {headers.Done(number=gate): None, headers.Done(number=held): [b"%d" % n for n in range(8)]}


def test_reply_chunks_beyond_the_window_end_the_run(caller: Peer) -> None:
    caller.call("test.hold")
    caller.expect(headers.Call)
    for _ in range(limits.WINDOW + 1):
        caller.send(headers.Chunk(number=1), b"")
    assert caller.exit_code() == 75


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (headers.Failed(number=1, code="ended", text="run ended"), "ended: run ended"),
        (headers.Cancelled(number=1, why="its run was stopped"), "its run was stopped"),
        (headers.Refused(number=1, code="capability", why="not granted", grant='"far.read" = ["a"]'), None),
    ],
)
def test_a_stream_that_breaks_raises_after_delivering_what_arrived(
    caller: Peer, end: headers.End, error: str | None
) -> None:
    caller.call("test.download")
    caller.expect(headers.Call)
    caller.send(headers.Chunk(number=1), b"first")
    caller.send(headers.Chunk(number=1), b"")
    caller.send(end)
    header, value = caller.next()
    while isinstance(header, headers.Credit):
        header, value = caller.next()
    refused = 'capability: not granted; this grant would allow it: "far.read" = ["a"]'
    assert value == {"got": [b"first", b""], "error": error or refused}


def test_leaving_a_download_early_cancels_it_and_what_still_comes_is_nothing(caller: Peer) -> None:
    caller.call("test.download", most=1)
    caller.expect(headers.Call)
    caller.send(headers.Chunk(number=1), b"first")
    assert caller.expect(headers.Cancel)[0].number == 1
    assert caller.expect(headers.Done)[1] == {"got": [b"first"], "value": None}
    for _ in range(limits.WINDOW - 1):
        caller.send(headers.Chunk(number=1), b"late")
    caller.send(headers.Cancelled(number=1))
    assert caller.answer("test.progress-made") == 1


def test_an_upload_longer_than_the_window_waits_for_credit(caller: Peer) -> None:
    number = caller.call("test.upload", count=30)
    assert caller.expect(headers.Call)[0].upload is True
    seen = chunks(caller, limits.WINDOW)
    assert caller.answer("test.progress-made") == limits.WINDOW
    while len(seen) < 30:
        caller.send(headers.Credit(number=1, chunks=1))
        seen += chunks(caller, 1)
    assert seen == [b"%d" % n for n in range(30)]
    caller.send(headers.Credit(number=1, chunks=1))
    last, value = caller.expect(headers.Chunk)
    assert (last.last, value) == (True, b"")
    caller.send(headers.Done(number=1), {"size": 30})
    assert caller.expect(headers.Done) == (headers.Done(number=number), {"size": 30})


def test_an_upload_left_in_order_is_whole_even_when_finish_was_not_called(caller: Peer) -> None:
    caller.call("test.upload", count=1, finish=False)
    caller.expect(headers.Call)
    assert [caller.expect(headers.Chunk)[0].last for _ in range(2)] == [False, True]
    caller.send(headers.Chunk(number=1), b"nobody reads this")
    assert caller.expect(headers.Credit)[0].number == 1
    caller.send(headers.Done(number=1), "kept")
    assert caller.expect(headers.Done)[1] == "kept"


def test_an_upload_that_is_left_by_an_exception_is_cancelled_and_never_whole(caller: Peer) -> None:
    caller.call("test.upload-and-fall")
    caller.expect(headers.Call)
    assert caller.expect(headers.Chunk)[0].last is False
    assert caller.expect(headers.Cancel)[0].number == 1
    assert caller.expect(headers.Failed)[0].text == "ValueError: no more"


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (headers.Failed(number=1, code="conflict", text="it changed"), "conflict: it changed"),
        (headers.Done(number=1), "ended: far.write had its end before the whole upload was sent"),
    ],
)
def test_a_writer_that_waits_for_credit_hears_of_the_end(caller: Peer, end: headers.End, told: str) -> None:
    caller.call("test.upload", count=30)
    caller.expect(headers.Call)
    chunks(caller, limits.WINDOW)
    caller.send(end)
    assert caller.expect(headers.Done)[1] == told


def test_a_plain_call_that_is_answered_with_a_stream_says_what_to_write(caller: Peer) -> None:
    caller.call("test.plain")
    caller.expect(headers.Call)
    caller.send(headers.Chunk(number=1), b"")
    assert caller.expect(headers.Cancel)[0].number == 1
    assert "read it with self.kernel.stream" in str(caller.expect(headers.Done)[1])


@pytest.mark.parametrize("body", [b"\xc1", b"\xa4text"])
def test_a_chunk_of_a_reply_that_is_not_bytes_fails_the_call_and_not_the_run(caller: Peer, body: bytes) -> None:
    caller.call("test.download")
    caller.expect(headers.Call)
    caller.send_raw(codec.encode(headers.Chunk(number=1)), body)
    caller.expect(headers.Cancel)
    assert "malformed" in str(caller.expect(headers.Done)[1])


def test_a_stream_says_how_it_is_to_be_used(caller: Peer) -> None:
    caller.call("test.unopened")
    assert "async with" in caller.expect(headers.Failed)[0].text
    caller.call("test.early")
    caller.expect(headers.Call)
    caller.expect(headers.Cancel)
    assert "has not ended yet" in caller.expect(headers.Failed)[0].text
