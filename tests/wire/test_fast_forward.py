"""Whoever is told from a tape what was told before asks the same, and meets the same, wherever the tape ends.

The program here is any that takes one message at a time: what it asks for is a function of the messages it has taken,
and so is what credit it gives, but for what it may owe. The kernel is one that answers, streams and publishes in any
order, as late as it likes.
"""

import time
from collections import deque
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from wire import codec, headers, limits
from wire.errors import Diverged
from wire.fast_forward import AHEAD, SMALL, Contents, Deferred, FastForward, Streams, known_of, number_of, scan, up_to
from wire.headers import FromKernel
from wire.tape import Asked, Began, Heard, Placed, Record, Spent, asked

WORK = 2


class Program:
    """A process: what it does follows from what it has taken. given: its answers to each message; asked: in order."""

    def __init__(self, seed: int, *, first: int = 1, shuffled: Random | None = None) -> None:
        self._seed, self.next, self._shuffled = seed, first, shuffled
        self.taken: list[tuple[str, bytes]] = []
        self.asked: list[Asked] = []
        self.ahead: dict[int, int] = {}  # chunks and events taken without credit; none may be more than a window

    def begin(self) -> list[Asked | headers.Credit]:
        """What it says before any message."""
        return [*self._requests()]

    def take(self, header: FromKernel, body: bytes) -> list[Asked | headers.Credit]:
        """What it says to a message."""
        self.taken.append((type(header).__name__, body))
        said: list[Asked | headers.Credit] = []
        chance = Random(f"{self._seed} credit {len(self.taken)}")
        for number in [number for number, ahead in self.ahead.items() if ahead and chance.random() < 0.5]:
            said.append(headers.Credit(number=number, chunks=self.ahead[number]))
            self.ahead[number] = 0
        number = 0 if isinstance(header, headers.Event) else getattr(header, "number", 0)
        if isinstance(header, headers.Chunk | headers.Event):
            self.ahead[number] = self.ahead.get(number, 0) + 1
        else:
            self.ahead.pop(number, None)
        return [*said, *self._requests()]

    def _requests(self) -> Iterator[Asked]:
        chance = Random(f"{self._seed} asks {len(self.taken)}")
        wanted = [(chance.choice("abc"), chance.choice("xy")) for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))]
        if self._shuffled is not None:
            self._shuffled.shuffle(wanted)
        for on, resource in wanted:
            made = asked(number=self.next, kind="call", on=on, resource=resource, body=on.encode())
            self.next += 2
            self.asked.append(made)
            yield made


class Live:
    """A first life: program and kernel, with what is under way between them. tape: what the kernel wrote."""

    def __init__(self, seed: int, chance: Random, steps: int) -> None:
        self.tape: list[Record] = [_BEGAN]
        self._program, self._chance = Program(seed), chance
        self._open: dict[int, int] = {}  # the credit that each call has
        self._events = limits.EVENT_WINDOW
        self._down: deque[tuple[FromKernel, bytes]] = deque()
        self._up: deque[Asked | headers.Credit] = deque(self._program.begin())
        self._tell(headers.Call(number=WORK, method="run"), b"work")
        for step in range(steps):
            self._step(step)

    def _tell(self, header: FromKernel, body: bytes) -> None:
        self.tape.append(Heard(header=codec.encode(header), body=body))
        self._down.append((header, body))

    def _step(self, step: int) -> None:
        acts = ["event"] * (self._events > 0) + ["take"] * 3 * bool(self._down) + ["hear"] * 3 * bool(self._up)
        acts += ["end", "chunk", "chunk"] * bool(self._open)
        if not acts:
            return
        body = str(step).encode()
        match self._chance.choice(acts):
            case "take":
                self._up.extend(self._program.take(*self._down.popleft()))
            case "hear":
                self._hear(self._up.popleft())
            case "event":
                self._events -= 1
                self._tell(headers.Event(event="a.b", time=step), body)
            case "chunk":
                number = self._chance.choice([*self._open])
                if self._open[number]:
                    self._open[number] -= 1
                    self._tell(headers.Chunk(number=number, time=step), body)
            case "end":
                number = self._chance.choice([*self._open])
                del self._open[number]
                self._tell(headers.Done(number=number, time=step), body)

    def _hear(self, said: Asked | headers.Credit) -> None:
        if isinstance(said, Asked):
            self.tape.append(said)
            self._open[said.number] = limits.WINDOW
        elif said.number == 0:
            self._events += said.chunks
        elif said.number in self._open:
            self._open[said.number] += said.chunks


_BEGAN = Began(run="r", hand="h", name="n", version="1", seal="s", clock=1, inputs=b"", work=WORK, caller="operator")


def placed(records: list[Record]) -> list[Placed]:
    """A tape as it is read."""
    return [Placed(record=record, needs=n + 1, end=n, check=b"") for n, record in enumerate(records)]


def told(records: list[Record], program: Program, chance: Random, *, in_order: bool) -> FastForward:
    """A second life, told from a tape until nothing moves any more."""
    fast_forward, begun = fast_forward_of(records, in_order=in_order), program.next
    ours: dict[int, int] = {}
    theirs: dict[int, int] = {}
    if in_order:  # it may be told before it asks, so that it is known what it will call that
        theirs = {one.number: begun + 2 * n for n, one in enumerate(on(records)[1])}
    up: deque[Asked | headers.Credit] = deque()
    down: deque[tuple[FromKernel, bytes]] = deque()
    is_ready = False
    up.extend(program.begin())
    while True:
        acts = ["ready"] * (not is_ready) + ["hear"] * bool(up) + ["take"] * bool(down)
        if not acts:
            return fast_forward
        match chance.choice(acts):
            case "ready":
                is_ready = True
            case "take":
                header, body = down.popleft()
                number = getattr(header, "number", 0)
                asked = {one.number for one in program.asked}
                assert not headers.is_made_by_run(number) or number in asked, "it is told of what it has not asked"
                up.extend(program.take(header, body))
                assert max(program.ahead.values(), default=0) <= limits.EVENT_WINDOW
                assert all(ahead <= limits.WINDOW for number, ahead in program.ahead.items() if number)
            case "hear":
                said = up.popleft()
                if isinstance(said, headers.Credit):
                    fast_forward.credit(ours.get(said.number, said.number), said.chunks)
                elif (known := fast_forward.match(known_of(said))) is not None:
                    assert known.is_like(known_of(said))
                    ours[said.number], theirs[known.number] = known.number, said.number
        while (due := fast_forward.next_message(is_ready=is_ready)) is not None:
            header, heard = due
            number = getattr(header, "number", 0)
            assert is_ready or not isinstance(header, headers.Call)
            mapped = replace(header, number=theirs[number]) if number in theirs else header
            down.append((mapped, heard.body))


def fast_forward_of(records: list[Record], *, in_order: bool) -> FastForward:
    """A fast_forward of a tape."""
    messages = (record for record in records if isinstance(record, Heard))
    return FastForward(scan(placed(records)), messages, in_order=in_order)


def on(records: list[Record]) -> tuple[list[tuple[str, bytes]], list[Asked]]:
    """The messages on a tape, and the requests."""
    heard = [record for record in records if isinstance(record, Heard)]
    messages = [(type(codec.decode_from_kernel(one.header)).__name__, one.body) for one in heard]
    return messages, [record for record in records if isinstance(record, Asked)]


SEEDS = st.integers(0, 2**32)


@pytest.mark.wide
@given(seed=SEEDS, chance=st.randoms(use_true_random=False), steps=st.integers(0, 120))
def test_who_is_told_from_a_tape_meets_and_asks_the_same_wherever_the_tape_ends(
    seed: int, chance: Random, steps: int
) -> None:
    tape = Live(seed, chance, steps).tape
    for cut in {*range(1, len(tape) + 1, max(1, len(tape) // 12)), len(tape)}:
        messages, requests = on(tape[:cut])
        again = Program(seed, first=chance.choice((1, 101)))
        fast_forward = told(tape[:cut], again, chance, in_order=True)
        assert (fast_forward.remaining, fast_forward.unmatched) == (0, [])
        assert again.taken == messages
        assert [(one.on, one.resource) for one in again.asked[: len(requests)]] == [
            (one.on, one.resource) for one in requests
        ]


@given(seed=SEEDS, chance=st.randoms(use_true_random=False), steps=st.integers(0, 120))
def test_requests_that_come_in_another_order_find_their_like(seed: int, chance: Random, steps: int) -> None:
    tape = Live(seed, chance, steps).tape
    again = Program(seed, shuffled=Random(steps))
    fast_forward = told(tape, again, chance, in_order=False)
    messages, requests = on(tape)
    assert fast_forward.remaining == 0
    assert again.taken == messages
    assert len(again.asked) >= len(requests)
    assert fast_forward.unmatched == []


@given(seed=SEEDS, chance=st.randoms(use_true_random=False), where=st.integers(0, 2**32))
def test_the_first_request_that_differs_is_named(seed: int, chance: Random, where: int) -> None:
    tape = Live(seed, chance, 80).tape
    places = [n for n, record in enumerate(tape) if isinstance(record, Asked)]
    if not places:
        return
    changed = places[where % len(places)]
    record = tape[changed]
    assert isinstance(record, Asked)
    tape[changed] = replace(record, on="other")
    with pytest.raises(Diverged, match=f"it should ask for call other on .*, and asks for call {record.on} on"):
        told(tape, Program(seed), chance, in_order=True)


def test_other_arguments_are_a_difference_and_are_never_shown() -> None:
    fast_forward = fast_forward_of(
        [_BEGAN, asked(number=1, kind="call", on="a.b", resource="r", body=b"old")], in_order=True
    )
    with pytest.raises(Diverged, match="and asks for call a.b on 'r', with other arguments$"):
        fast_forward.match(known_of(asked(number=1, kind="call", on="a.b", resource="r", body=b"new")))


def test_of_several_that_are_alike_the_first_is_met_first() -> None:
    three = [asked(number=number, kind="call", on="a.b") for number in (1, 3, 5)]
    for in_order in (True, False):
        fast_forward = fast_forward_of([_BEGAN, *three], in_order=in_order)
        met = [fast_forward.match(known_of(one)) for one in three]
        assert [one.number for one in met if one] == [1, 3, 5]
        assert fast_forward.match(known_of(three[0])) is None


def test_out_of_order_a_request_that_is_not_on_the_tape_is_new() -> None:
    fast_forward = fast_forward_of([_BEGAN, asked(number=1, kind="call", on="a.b")], in_order=False)
    assert fast_forward.match(known_of(asked(number=1, kind="call", on="a.c"))) is None
    assert len(fast_forward.unmatched) == 1


@pytest.mark.parametrize(("number", "window"), [(1, limits.WINDOW + limits.OWED), (0, limits.EVENT_WINDOW)])
def test_no_more_chunks_or_events_are_told_than_the_run_has_room_for(number: int, window: int) -> None:
    header = headers.Chunk(number=1) if number else headers.Event(event="a.b")
    tape: list[Record] = [_BEGAN, asked(number=1, kind="call", on="a.b")]
    tape += [Heard(header=codec.encode(header), body=str(n).encode()) for n in range(window + 5)]
    fast_forward = fast_forward_of(tape, in_order=True)
    fast_forward.match(known_of(asked(number=1, kind="call", on="a.b")))

    def tell() -> int:
        return sum(1 for _ in iter(lambda: fast_forward.next_message(is_ready=True), None))

    assert (tell(), fast_forward.under_way(number)) == (window, window)
    fast_forward.credit(number, 2)
    assert (tell(), fast_forward.remaining) == (2, 3)
    fast_forward.credit(number, window)
    assert (tell(), fast_forward.remaining, fast_forward.under_way(number)) == (3, 0, 3)


def test_who_owes_credit_that_another_process_had_given_is_told_all_and_what_comes_then() -> None:
    requests = [asked(number=number, kind="call", on="a.b") for number in (1, 3)]
    chunks = [Heard(header=codec.encode(headers.Chunk(number=1)))] * (limits.WINDOW + limits.OWED)
    end = Heard(header=codec.encode(headers.Done(number=3)))  # without it no more of the stream is read
    fast_forward = fast_forward_of([_BEGAN, *requests, *chunks, end], in_order=False)
    assert all(fast_forward.match(known_of(one)) for one in requests)
    while fast_forward.next_message(is_ready=True):
        pass
    assert fast_forward.remaining == 0
    streams = Streams()
    streams.repeated(1, limits.OWED)
    streams.rewind({1})
    assert not streams.is_behind(1)


def test_who_asks_in_order_is_told_so_many_small_ends_before_it_asks() -> None:
    requests = [asked(number=number, kind="call", on="a.b") for number in range(1, 4 * AHEAD, 2)]
    ends = [Heard(header=codec.encode(headers.Done(number=one.number)), body=bytes(SMALL)) for one in requests]

    def tell(fast_forward: FastForward) -> int:
        return sum(1 for _ in iter(lambda: fast_forward.next_message(is_ready=True), None))

    fast_forward = fast_forward_of([_BEGAN, *requests, *ends], in_order=True)
    assert tell(fast_forward) == AHEAD
    for one in requests[:AHEAD]:
        fast_forward.match(known_of(one))
        assert tell(fast_forward) == 1, "the next one is told for each that comes"
    assert tell(fast_forward_of([_BEGAN, *requests, *ends], in_order=False)) == 0
    large = Heard(header=ends[0].header, body=bytes(SMALL + 1))
    assert tell(fast_forward_of([_BEGAN, *requests, large], in_order=True)) == 0


def test_a_first_look_tells_what_has_ended_and_which_entries_vouch() -> None:
    tape: list[Record] = [
        _BEGAN,
        asked(number=1, kind="call", on="a.b"),
        asked(number=3, kind="publish", on="c"),
        Heard(header=codec.encode(headers.Done(number=3))),
    ]
    contents = scan(placed(tape))
    assert [(one.number, one.seq, one.is_ended) for one in contents.known] == [(1, 1, False), (3, 2, True)]
    assert (contents.heard, contents.needs, contents.is_delivered) == (1, 4, False)
    tape.append(Heard(header=codec.encode(headers.Call(number=WORK, method="run"))))
    assert scan(placed(tape)).is_delivered
    assert scan([]) == Contents(known=[], heard=0, needs=0, is_delivered=False)
    assert str(contents.known[0]) == "call a.b"
    assert str(contents.known[1]) == "publish c"
    assert contents.numbered() == {1: 1, 3: 3}
    assert scan(placed([_BEGAN, *(asked(number=number, kind="call", on="a") for number in (7, 2))])).numbered() == {
        7: 1,
        2: 3,
    }


def test_a_first_look_tells_what_all_of_it_is_of_and_what_was_used_last() -> None:
    event = Heard(header=codec.encode(headers.Event(event="a.b", labels=("mail",))))
    tape: list[Record] = [replace(_BEGAN, labels=("web",)), Spent(wall=1, cpu=1), event, Spent(wall=5, cpu=7), event]
    contents = scan(placed(tape))
    assert (contents.labels, contents.spent) == (frozenset({"web", "mail"}), Spent(wall=5, cpu=7))
    assert [one.record for one in up_to(placed(tape), 1)] == tape[:4]
    assert [one.record for one in up_to(placed(tape), 0)] == tape[:2]
    assert [one.record for one in up_to(placed(tape), 9)] == tape


def test_a_look_keeps_the_messages_if_all_of_them_fit() -> None:
    tape: list[Record] = [Heard(header=codec.encode(headers.Done(number=n)), body=b"as it was") for n in (1, 3, 5)]
    size = scan(placed(tape), 10_000).size
    for room, kept in ((0, []), (size - 1, []), (size, tape), (10_000, tape)):
        contents = scan(placed(tape), room)
        assert (contents.heard, contents.kept, contents.size) == (3, kept, size if kept else 0)


def test_what_a_process_says_again_of_an_open_stream_nobody_hears_twice() -> None:
    streams = Streams()
    assert [streams.repeated(1, 3), streams.repeated(1, 2), streams.repeated(-3, 1, b"a")] == [0, 0, 0]
    streams.rewind({1, 3})
    assert streams.is_behind(1)
    assert [streams.repeated(1, 4), streams.repeated(1, 4)] == [4, 1]
    assert not streams.is_behind(1)
    assert [streams.repeated(-3, 1, b"a"), streams.repeated(-3, 1, b"b")] == [1, 0]
    streams.rewind({1})
    assert [streams.repeated(1, 9), streams.repeated(-3, 1, b"a")] == [8, 0]


def test_an_upload_of_something_else_is_a_difference() -> None:
    streams = Streams()
    for body in (b"a", b"b"):
        streams.repeated(-1, 1, body)
    streams.rewind({1})
    streams.repeated(-1, 1, b"a")
    with pytest.raises(Diverged, match="it uploads something else than before"):
        streams.repeated(-1, 1, b"c")


def test_a_stream_that_is_left_is_not_waited_for() -> None:
    streams = Streams()
    streams.repeated(1, 3)
    streams.rewind({1})
    streams.on_cancel(1)
    assert not streams.is_behind(1)


def test_of_a_call_that_is_over_no_stream_is_remembered() -> None:
    streams = Streams()
    for _ in range(2):
        streams.repeated(1, 5)
        streams.repeated(-1, 1, b"a")
        streams.rewind({1})
        streams.repeated(-1, 1, b"a")
    assert streams.is_behind(1)
    streams.end(1)
    assert not any(vars(streams).values())


def test_what_waits_concerns_the_requests_that_are_yet_to_be_made() -> None:
    waiting, known = Deferred(), known_of(asked(number=5, kind="call", on="a"), seq=1)
    waiting.put(headers.Call(number=1, method="a"), b"")
    waiting.put(headers.Call(number=5, method="a"), b"", known)
    waiting.put(headers.Call(number=7, method="a"), b"", replace(known, number=7, is_begun=True))
    waiting.put(headers.Cancel(number=1, why=""), b"")
    assert [number for number in range(9) if waiting.concerns(number)] == [1, 5]
    assert [number_of(said) for said, _, _ in waiting.take()] == [1, 5, 7, 1]
    assert not waiting.concerns(1)


def test_who_says_much_that_waits_costs_no_more_for_each() -> None:
    waiting = Deferred()
    for number in range(1, 2 * 16_000, 2):
        waiting.put(headers.Call(number=number, method="a"), b"")
    began = time.process_time()
    assert not any(waiting.concerns(2 * number) for number in range(10_000))
    assert time.process_time() - began < 2  # a look at each that waits would take ten times that
