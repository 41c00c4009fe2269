"""Going through a tape with nobody at the other end: what counts as the same, and what is named as the first difference."""

from collections.abc import Iterator
from itertools import count

import msgspec
import pytest

from tests.wire.test_recording import BEGAN
from wire import codec, headers, limits, tape
from wire.amounts import Cost
from wire.codec import NIL
from wire.errors import TapeDamaged
from wire.fast_forward import PIECE
from wire.headers import FromKernel
from wire.replaying import Replay, Verdict, shown
from wire.tape import Asked, Ended, Heard, Placed, Record

WORK = 12


def asked(number: int, on: str, value: object = None) -> Asked:
    return tape.asked(number, "call", on, body=codec.encode_body(value))


def heard(header: FromKernel, value: object = None) -> Heard:
    return Heard(header=codec.encode(header), body=codec.encode_body(value))


def ended(header: headers.End, value: object = None) -> Ended:
    return Ended(header=codec.encode(header), body=codec.encode_body(value))


TASK = heard(headers.Call(number=WORK, method="run", time=5), {})
DONE = ended(headers.Done(number=WORK), "both")
TWO = (TASK, asked(1, "a.one"), asked(3, "a.two"), heard(headers.Done(number=3, time=7)), heard(headers.Done(number=1)))


class Player:
    """A run that is replayed, driven by hand."""

    def __init__(self, *records: Record, in_order: bool = True) -> None:
        def placed() -> Iterator[Placed]:
            for record in (BEGAN, *records):
                self.read += 1
                yield Placed(record=record, needs=0, end=0, check=b"")

        self.read = 0
        self.replay = Replay(placed, in_order=in_order)
        assert self.replay.open()
        self.told: list[FromKernel] = []
        self.says(headers.Ready())

    def says(self, header: headers.FromRun, value: object = None) -> None:
        self.replay.accept(header, NIL if value is None else codec.encode_body(value))
        while (due := self.replay.next_message()) is not None:
            self.told.append(due[0])

    def calls(self, number: int, on: str, value: object = None) -> None:
        self.says(headers.Call(number=number, method=on), value)

    @property
    def verdict(self) -> Verdict:
        assert self.replay.verdict is not None
        return self.replay.verdict

    @property
    def why(self) -> str:
        assert self.verdict.difference is not None
        return self.verdict.difference.why


def test_each_message_is_told_when_what_it_answers_was_asked() -> None:
    run = Player(*TWO, DONE)
    assert [type(one) for one in run.told] == [headers.Call]
    run.calls(1, "a.one")
    assert len(run.told) == 1  # the end of the other comes first
    run.calls(3, "a.two")
    assert [getattr(one, "number", 0) for one in run.told] == [WORK, 3, 1]
    run.says(headers.Done(number=WORK), "both")
    assert (run.verdict.difference, run.verdict.requests, run.verdict.messages) == (None, 2, 3)


def test_requests_in_another_order_are_a_difference_where_order_is_known() -> None:
    run = Player(*TWO, DONE)
    run.calls(1, "a.two")
    assert run.why == "request 1 of the run is something else"


def test_a_program_may_ask_in_another_order_and_by_other_numbers() -> None:
    run = Player(*TWO, DONE, in_order=False)
    run.calls(1, "a.two")
    run.calls(3, "a.one")
    assert [getattr(one, "number", 0) for one in run.told] == [WORK, 1, 3]
    run.says(headers.Done(number=WORK), "both")
    assert run.verdict.difference is None


def test_what_a_program_did_not_ask_for_is_a_difference() -> None:
    run = Player(*TWO, DONE, in_order=False)
    run.calls(1, "a.three")
    assert run.why == "it makes a request that the recorded run did not make"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (headers.Done(number=WORK), "other"),
        (headers.Failed(number=WORK, code="bad", text="it is"), "both"),
        (headers.Done(number=WORK, cost=Cost(micro_dollars=1, tokens=1)), "both"),
    ],
)
def test_another_end_is_a_difference(header: headers.Done | headers.Failed, value: object) -> None:
    run = Player(*TWO, DONE)
    run.calls(1, "a.one")
    run.calls(3, "a.two")
    run.says(header, value)
    assert run.why.startswith("it comes to another end")


def test_what_a_run_does_not_wait_for_is_no_difference() -> None:
    run = Player(*TWO, heard(headers.Cancelled(number=5)), DONE)
    run.calls(1, "a.one")
    run.calls(3, "a.two")
    run.says(headers.Done(number=WORK), "both")
    assert run.verdict.difference is None


def test_a_run_that_was_ended_from_outside_is_compared_up_to_there() -> None:
    run = Player(*TWO, ended(headers.Failed(number=0, code="deadline", text="too late")))
    run.calls(1, "a.one")
    run.calls(3, "a.two")
    assert (run.verdict.difference, run.verdict.end) == (None, "failed deadline: too late")
    assert run.verdict.messages == 3


def test_a_run_that_goes_on_is_compared_as_far_as_it_is() -> None:
    run = Player(*TWO)
    run.calls(1, "a.one")
    assert run.replay.verdict is None
    run.calls(3, "a.two")
    assert (run.verdict.difference, run.verdict.end, run.verdict.messages) == (None, "", 3)


def test_a_run_whose_tape_breaks_off_at_a_request_is_compared_up_to_that() -> None:
    run = Player(TASK, asked(1, "a.one"))
    assert run.replay.verdict is None
    run.calls(1, "a.one")
    assert (run.verdict.difference, run.verdict.requests) == (None, 1)


@pytest.mark.parametrize("end", [(), (ended(headers.Failed(number=0, code="deadline", text="too late")),)])
def test_what_it_does_before_it_heard_all_of_a_tape_that_was_cut_off_is_no_difference(end: tuple[Ended, ...]) -> None:
    run = Player(TASK, *[heard(headers.Event(event="a.b"))] * (limits.EVENT_WINDOW + 1), *end)
    run.calls(1, "a.one")
    assert run.replay.verdict is None
    run.says(headers.Done(number=WORK), "both")
    assert (run.verdict.difference, run.verdict.messages) == (None, 1 + limits.EVENT_WINDOW)


@pytest.mark.parametrize(
    ("header", "number", "window"),
    [(headers.Event(event="a.b"), 0, limits.EVENT_WINDOW), (headers.Chunk(number=1), 7, limits.WINDOW + limits.OWED)],
)
def test_it_is_told_more_of_a_stream_when_it_has_dealt_with_what_it_was_told(
    header: FromKernel, number: int, window: int
) -> None:
    run = Player(TASK, asked(1, "a.one"), *[heard(header)] * (window + 2), in_order=False)
    run.calls(7, "a.one")
    assert len(run.told) == 1 + window
    run.says(headers.Credit(number=number, chunks=1))
    assert len(run.told) == 2 + window
    assert run.replay.verdict is None
    run.says(headers.Credit(number=number, chunks=1))
    assert (run.verdict.difference, run.verdict.messages) == (None, 3 + window)


def test_a_run_that_ends_where_it_asked_for_more_is_a_difference() -> None:
    run = Player(*TWO, DONE)
    run.calls(1, "a.one")
    run.says(headers.Done(number=WORK), "both")
    assert run.why == "it ends where it should ask for more"
    assert run.verdict.difference is not None
    assert run.verdict.difference.recorded == shown(asked(3, "a.two"))
    assert run.verdict.difference.now == {"end": "done", "value": "both"}


def test_what_it_published_and_heard_of_is_compared_like_what_it_called() -> None:
    def played() -> Player:
        run = Player(TASK, tape.asked(1, "publish", "found", body=NIL), tape.asked(3, "subscribe", "a.b"), DONE)
        run.says(headers.Publish(number=1, event="found"))
        return run

    run = played()
    run.replay.accept(headers.Subscribe(number=3, event="a.b"), b"")
    run.says(headers.Done(number=WORK), "both")
    assert (run.verdict.difference, run.verdict.requests) == (None, 2)
    run = played()
    run.calls(3, "a.b")
    assert run.why == "request 3 of the run is something else"


def test_what_is_behind_the_end_is_not_compared() -> None:
    run = Player(*TWO, DONE, asked(5, "a.three"))
    run.calls(1, "a.one")
    run.calls(3, "a.two")
    run.says(headers.Done(number=WORK), "both")
    assert run.verdict.difference is None


def test_a_run_that_neither_works_nor_speaks_waits_for_what_is_not_there() -> None:
    run = Player(*TWO, DONE)
    run.replay.check_stalled(0.5)
    run.replay.check_stalled(0.9)
    run.calls(1, "a.one")
    run.replay.check_stalled(0.9)
    run.replay.check_stalled(-1.0)
    assert run.replay.verdict is None
    run.replay.check_stalled(0.9)
    run.replay.check_stalled(0.9)
    assert run.why == "it waits where it should ask"


def test_the_place_of_a_difference_is_named_also_in_long_texts() -> None:
    text = "a" * 500
    run = Player(TASK, asked(1, "a.one", {"list": [1, {"text": text + "b"}]}), DONE)
    run.calls(1, "a.one", {"list": [1, {"text": text + "c"}]})
    assert " at .list[1].text: …" in run.why
    assert 'ab" became …' in run.why
    run = Player(TASK, asked(1, "a.one", {"text": "b" + text}), DONE)
    run.calls(1, "a.one", {"text": "c" + text})
    assert ' at .text: "ba' in run.why
    assert 'became "ca' in run.why
    run = Player(TASK, asked(1, "a.one", {"list": [1, 2]}), DONE)
    run.calls(1, "a.one", {"list": [1, 2, 3]})
    assert run.why.endswith(" at .list: 2 items became 3")


def test_a_long_tape_is_opened_in_pieces() -> None:
    """The kernel, which replays it, serves all others meanwhile."""
    tick = heard(headers.Event(event="clock.tick"))
    read = count()
    records: list[Record] = [BEGAN, *[tick] * 998]
    placed = [Placed(record=one, needs=0, end=at * PIECE // 100, check=b"") for at, one in enumerate(records, 1)]
    replay = Replay(lambda: (one for one in placed if next(read) >= 0), in_order=True)
    assert not replay.open()
    assert next(read) < 110
    assert [replay.open() for _ in range(9)] == [False] * 8 + [True]


def test_the_request_that_differs_is_not_searched_from_the_first_record_on() -> None:
    many = [one for n in range(1, 99, 2) for one in (asked(n, "a.one"), heard(headers.Done(number=n)))]
    run = Player(TASK, *many)
    for number in range(1, 97, 2):
        run.calls(number, "a.one")
    before = run.read
    run.calls(97, "a.two")
    assert run.verdict.difference is not None
    assert run.verdict.difference.recorded == shown(asked(97, "a.one"))
    assert run.read == before


def test_a_tape_without_a_beginning_is_refused() -> None:
    with pytest.raises(TapeDamaged):
        Replay(lambda: iter(()), in_order=True)


NO_JSON = [b"\x81\xc0\x01", b"\x81\x91\x01\x01", b"\xd4\x05\x00", b"\x81\xa1a\xd4\x05\x00", b"\x91" * 900 + b"\xc0"]
"""Bodies that msgpack can tell and JSON cannot: names that are no texts, a type of its own, and one that is very deep."""


@pytest.mark.parametrize("body", NO_JSON)
def test_what_no_json_can_tell_is_told_the_run_and_compared_and_not_shown(body: bytes) -> None:
    told = Heard(header=codec.encode(headers.Done(number=1)), body=body)
    player = Player(TASK, tape.asked(1, "call", "a.one", body=body), told, Ended(header=DONE.header, body=body))
    player.replay.accept(headers.Call(number=1, method="a.one"), body)
    due = player.replay.next_message()
    assert due is not None
    assert due[1].body == body
    player.replay.accept(headers.Done(number=WORK), NIL)
    assert player.verdict.difference is not None
    codec.encode_body(player.verdict)
    assert msgspec.json.encode(player.verdict)
