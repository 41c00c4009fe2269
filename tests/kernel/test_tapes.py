"""What a run said, or was to hear, before it was told all again is acted on as if it came now."""

import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from kernel.events import Events
from kernel.record.tapes import Tape
from kernel.runs import BEHIND_MOST, Peer, Run
from wire import codec, headers, limits
from wire.codec import NIL
from wire.errors import NotNow
from wire.fast_forward import FastForward, number_of, scan
from wire.ids import RunId
from wire.rates import Rate
from wire.tape import Heard, Placed, Record, request_record


class Around:
    """What a tape needs of a kernel whose run takes nothing at first. Not a real one: to be behind at the very end of what it
    is told, and to have said what is not its to say, takes a run that is hostile and a moment that no test can choose.
    """

    def __init__(self) -> None:
        self.looks: list[Callable[[], None]] = []
        self.ends: list[tuple[str, str]] = []
        self.peer = SimpleNamespace(is_behind=True)
        self.loop = SimpleNamespace(after=lambda _, act: self.looks.append(act))
        self.links = SimpleNamespace(end=lambda _, code, why: self.ends.append((code, why)))
        self.router = SimpleNamespace(dispatch=self._dispatch)
        self.runs = {"r-1": SimpleNamespace(id="r-1", state="ready", peer=self.peer)}

    def _dispatch(self, peer: object, header: object, body: bytes) -> None:
        raise NotNow("an upload that was whole")


def test_a_run_that_may_not_say_what_it_said_is_ended_though_only_a_timer_looks() -> None:
    around: Any = Around()
    tape = Tape(around, "r-1", SimpleNamespace(), in_order=True)  # type: ignore[arg-type]  # see above
    fast_forward: Any = SimpleNamespace(next_message=lambda **_: None, remaining=1, unmatched=[], under_way=lambda _: 0)
    tape._fast_forward = fast_forward
    tape._waiting.put(headers.Chunk(number=1), b"")
    tape.pump()
    (look,) = around.looks
    assert around.ends == []
    around.peer.is_behind, fast_forward.remaining = False, 0
    look()
    assert around.ends == [("malformed", "an upload that was whole")]


def test_an_event_that_waited_for_a_process_that_was_behind_is_sent_to_the_next() -> None:
    """To be behind, a process must have been stopped with megabytes on their way, and be killed before it takes them."""
    kernel: Any = SimpleNamespace(time=lambda: 0)
    run: Any = SimpleNamespace(mark=lambda _: None)
    told: list[str] = []
    kernel.links = SimpleNamespace(send=lambda peer, header, _: told.append(f"{peer.route.decode()} {header.event}"))
    kernel.events, kernel.runs = Events(kernel), {}
    tape = Tape(kernel, "r-1", SimpleNamespace(), in_order=True)  # type: ignore[arg-type]  # nothing is recorded here
    dead, living = (Peer(route, "r-1", run, Rate(60, 0.0), 16, (0, 0)) for route in (b"dead", b"living"))
    tape.connect(dead)
    kernel.events.subscribe(dead, "clock.tick")
    dead.unsent_bytes = BEHIND_MOST + 1
    kernel.events.fan_out("clock.tick", b"", (), 0)
    assert told == []
    tape.connect(living)
    assert told == ["living clock.tick"]


def test_what_a_run_hears_while_it_has_no_process_labels_the_work_in_its_scratch_folder() -> None:
    """Its next process is told it again, and may write it there, while a program that it had called still works there."""
    told = set[str]()
    run = Run(RunId("r-1"), SimpleNamespace(), SimpleNamespace(), b"", None)  # type: ignore[arg-type]  # not looked at
    lodger = SimpleNamespace(landlord=run, mark=told.update)
    run.tape = SimpleNamespace(open_calls={1: lodger})  # type: ignore[assignment]  # as above
    run.mark(("web",))
    assert told == {"web"}


def test_a_run_may_make_no_more_calls_a_minute_because_its_process_died() -> None:
    kernel: Any = SimpleNamespace(runs={})
    kernel.events = Events(kernel)
    tape = Tape(kernel, "r-1", SimpleNamespace(), in_order=True)  # type: ignore[arg-type]  # nothing is recorded here
    dead, living = (Peer(route, "r-1", None, Rate(60, 0.0), 16, (0, 0)) for route in (b"dead", b"living"))
    tape.connect(dead)
    assert {dead.rate.take(0.0) for _ in range(60)} == {"ok"}
    tape.connect(living)
    assert living.rate.take(0.0) == "refuse"


@pytest.mark.parametrize("is_fast_forward", [False, True])
@pytest.mark.parametrize("make", [lambda n: headers.Credit(number=n, chunks=1), lambda n: headers.Chunk(number=n)])
def test_what_is_said_about_calls_that_were_never_made_takes_no_memory(
    make: Callable[[int], headers.Credit | headers.Chunk], is_fast_forward: bool
) -> None:
    kernel, peer = SimpleNamespace(runs={}), SimpleNamespace()
    tape = Tape(kernel, "r-1", SimpleNamespace(), in_order=True)  # type: ignore[arg-type]  # nothing is recorded here
    tape._fast_forward = FastForward(scan([]), iter(()), in_order=True) if is_fast_forward else None
    said = [make(2 * number + 1) for number in range(2_000)]
    tracemalloc.start()
    for header in said:
        tape.accept(peer, header, b"x")  # type: ignore[arg-type]  # as above
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 32 * 1024


def test_what_is_sent_for_a_request_that_waits_goes_to_that_request_under_its_new_number() -> None:
    """One that is not on the tape, of a program that asks in another order than before: number 1 is another's there."""
    around: Any = Around()
    around.peer.is_behind = False
    around.log = SimpleNamespace(size=0, journal=SimpleNamespace(put_lazy=lambda *_: None))
    around.events = SimpleNamespace(credit=lambda *_: None)
    passed: list[headers.FromRun] = []
    around.router = SimpleNamespace(dispatch=lambda _, header, __: passed.append(header))
    around.links.transmit = lambda *_: None
    before = headers.Call(number=1, method="echo.say")
    tape = Tape(around, "r-1", SimpleNamespace(records=tuple, spilled=0, stored=0), in_order=False)  # type: ignore[arg-type]  # see above
    heard = Heard(header=codec.encode(headers.Done(number=1)), body=NIL)
    placed = (Placed(record=record, needs=0, end=0, check=b"") for record in (request_record(before, NIL), heard))
    tape.begin_fast_forward(scan(placed, room=1024))
    upload = headers.Call(number=1, method="post.send", upload=True)
    for header in (upload, headers.Chunk(number=1), replace(before, number=3)):
        tape.accept(around.peer, header, NIL)
    assert [(type(one), number_of(one)) for one in passed] == [(headers.Call, 3), (headers.Chunk, 3)]


def test_what_is_said_of_a_request_never_concerns_another_that_has_its_number_on_the_tape() -> None:
    """A program asks in another order than before: what was said of number 3, which waits or is over, reached the echo."""
    around: Any = Around()
    around.peer.is_behind = False
    around.links.transmit = lambda *_: None
    tape = Tape(around, "r-1", SimpleNamespace(records=tuple, spilled=0, stored=0), in_order=False)  # type: ignore[arg-type]  # see above
    asked = [headers.Call(number=n, method=method) for n, method in ((1, "post.look"), (3, "echo.say"))]
    heard = Heard(header=codec.encode(headers.Done(number=1)), body=NIL)
    records: list[Record] = [*(request_record(one, NIL) for one in asked), heard]
    tape.begin_fast_forward(scan((Placed(record=one, needs=0, end=0, check=b"") for one in records), room=1024))
    tape.open_calls[3] = SimpleNamespace(method="echo.say")  # type: ignore[assignment]  # as above
    upload = headers.Call(number=3, method="post.send", upload=True)
    late = headers.Cancel(number=3, why="")
    for header in (replace(asked[1], number=1), upload, headers.Chunk(number=3), late):
        assert tape.accept(around.peer, header, NIL) is None
    tape._waiting.take()
    tape.accept(around.peer, replace(asked[0], number=3), NIL)
    said = tape.accept(around.peer, late, NIL)
    assert said is None or number_of(said) != 3


def test_a_program_that_uploads_before_it_asks_what_the_tape_goes_on_with_gets_room_for_that() -> None:
    """Its lines come one after the other: without room for its upload, whose end it was told, it would never ask."""
    around: Any = Around()
    told: list[headers.FromKernel] = []
    around.peer.is_behind = False
    around.links.transmit = lambda _, raw, __: told.append(codec.decode_from_kernel(raw))
    asked, upload = (
        headers.Call(number=1, method="spring.flow"),
        headers.Call(number=3, method="post.send", upload=True),
    )
    heard = (Heard(header=codec.encode(headers.Done(number=number)), body=NIL) for number in (1, 3))
    records: list[Record] = [request_record(asked, NIL), request_record(upload, NIL), *heard]
    tape = Tape(around, "r-1", SimpleNamespace(records=tuple, spilled=0, stored=0), in_order=False)  # type: ignore[arg-type]  # see above
    tape.begin_fast_forward(scan((Placed(record=one, needs=0, end=0, check=b"") for one in records), room=1 << 20))
    tape.peer = around.peer
    tape.accept(around.peer, replace(upload, number=5), NIL)
    for _ in range(limits.WINDOW):
        assert tape.accept(around.peer, headers.Chunk(number=5), NIL) is None
    assert told == [headers.Credit(number=5, chunks=1)] * limits.WINDOW


def test_the_rest_of_a_stream_that_ended_while_its_run_went_through_its_tape_comes_as_the_run_reads() -> None:
    around: Any = Around()
    around.peer.is_behind = False
    around.log = SimpleNamespace(size=0, durable=0, journal=SimpleNamespace(put_lazy=lambda *_: None, behind=0))
    around.loop.soon = lambda _: None
    told: list[headers.FromKernel] = []
    around.links.transmit = lambda _, raw, __: told.append(codec.decode_from_kernel(raw))
    asked, chunk = headers.Call(number=1, method="spring.flow"), headers.Chunk(number=1)
    tape = Tape(around, "r-1", SimpleNamespace(records=tuple, spilled=0, stored=0), in_order=True)  # type: ignore[arg-type]  # see above
    tape._new(asked, NIL)
    tape.open_calls[1] = SimpleNamespace(method=asked.method)  # type: ignore[assignment]  # as above
    read = headers.Credit(number=1, chunks=limits.WINDOW)
    assert tape.accept(around.peer, read, NIL) == read
    tape.rewind()
    heard = Heard(header=codec.encode(chunk), body=NIL)
    records: list[Record] = [request_record(asked, NIL), *[heard] * limits.WINDOW]
    tape.begin_fast_forward(scan((Placed(record=one, needs=0, end=0, check=b"") for one in records), room=1 << 20))
    del tape.open_calls[1]
    for header in (chunk, headers.Done(number=1)):
        tape.send(header, NIL)
    tape.accept(around.peer, asked, NIL)
    assert told == [chunk] * limits.WINDOW
    assert tape.accept(around.peer, read, NIL) is None
    assert told[limits.WINDOW :] == [chunk, headers.Done(number=1)]


def test_what_is_uploaded_for_a_request_that_waits_counts_once() -> None:
    """It is acted on when the request is made again, and then counts: twice, and the next process's chunks would be lost."""
    around: Any = Around()
    around.peer.is_behind = False
    around.router = SimpleNamespace(dispatch=lambda *_: None)
    around.links.transmit = lambda *_: None
    tape = Tape(around, "r-1", SimpleNamespace(records=tuple, spilled=0, stored=0), in_order=True)  # type: ignore[arg-type]  # see above
    around.resuming = SimpleNamespace(make_again=lambda *_, **__: tape.open_calls.update({1: around}))
    upload, chunk = headers.Call(number=1, method="post.send", upload=True), headers.Chunk(number=1)
    told = Heard(header=codec.encode(headers.Event(event="clock.tick")), body=NIL)
    records: list[Record] = [request_record(upload, NIL), told]
    tape.begin_fast_forward(scan((Placed(record=one, needs=0, end=0, check=b"") for one in records), room=1 << 20))
    around.peer.is_behind = True  # it is told again later
    for header in (upload, chunk):
        assert tape.accept(around.peer, header, NIL) is None
    around.peer.is_behind = False
    tape.pump()
    tape.rewind()
    assert [tape.accept(around.peer, chunk, NIL) for _ in range(2)] == [None, chunk]
