"""Streams of a Hand that calls: credit bounds the writer, breaks deliver what arrived, and every way out has its rule.

That nothing more comes than there is credit for is shown by a later call's answer: it would have come after the chunk.
"""

import time

import pytest

from tests.runtime.peer import Peer, provided
from wire import codec, headers, limits

CALLER = """
    import asyncio
    import time
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

        async def work_on_the_first(self, call: Call) -> None:
            async with self.kernel.stream("far.read") as stream:
                await stream.read()
                time.sleep(1.1)
                await stream.read()

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
        for name in (
            "hold",
            "let-go",
            "work-on-the-first",
            "upload-and-fall",
            "progress-made",
            "plain",
            "unopened",
            "early",
        )
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


def test_a_slow_reader_gives_credit_for_each_chunk(caller: Peer) -> None:
    caller.call("test.hold")
    caller.expect(headers.Call)
    for n in range(limits.WINDOW):
        caller.send(headers.Chunk(number=1), b"%d" % n)
    time.sleep(1.1)
    gate = caller.call("test.let-go")
    seen = [caller.next()[0] for _ in range(2)]
    assert headers.Done(number=gate) in seen
    assert headers.Credit(number=1, chunks=1) in seen


def test_so_does_one_whose_work_keeps_it_from_seeing_that_more_has_come(caller: Peer) -> None:
    caller.call("test.work-on-the-first")
    caller.expect(headers.Call)
    for n in range(2):
        caller.send(headers.Chunk(number=1), b"%d" % n)
    assert caller.next()[0] == headers.Credit(number=1, chunks=1)


def test_reply_chunks_beyond_the_window_end_the_run(caller: Peer) -> None:
    caller.call("test.hold")
    caller.expect(headers.Call)
    for _ in range(limits.WINDOW + limits.OWED + 1):
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
    seen = caller.chunks(limits.WINDOW)
    assert caller.answer("test.progress-made") == limits.WINDOW
    while len(seen) < 30:
        caller.send(headers.Credit(number=1, chunks=1))
        seen += caller.chunks(1)
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
    for _ in range(limits.GIVEN_BACK):
        caller.send(headers.Chunk(number=1), b"nobody reads this")
    assert caller.expect(headers.Credit)[0] == headers.Credit(number=1, chunks=limits.GIVEN_BACK)
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
        (headers.Done(number=1), "ended: far.write ended before the whole upload was sent"),
    ],
)
def test_a_writer_that_waits_for_credit_hears_of_the_end(caller: Peer, end: headers.End, told: str) -> None:
    caller.call("test.upload", count=30)
    caller.expect(headers.Call)
    caller.chunks(limits.WINDOW)
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
