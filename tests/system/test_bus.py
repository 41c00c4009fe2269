"""Any bytes from any peer, alone or by the ten thousand, end at most that peer: not the kernel, not its neighbours.

From outside come peers with the operator's key, whose connection alone is forgotten; from inside come sealed runs,
which are killed. Millions of messages: `./just soak`.
"""

from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.living import Kernel
from tests.spread import spread
from tests.system.attacks import (
    FLOODED,
    MIB,
    PROMPT,
    Raw,
    besieged,
    call_word,
    floods,
    got,
    operators,
    play,
    settled,
    small,
    storm,
    word,
)
from tests.system.fates import ended, table
from wire import codec, headers, limits
from wire.codec import NIL, Value


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with besieged(tmp_path_factory.mktemp("bus")) as kernel:
        yield kernel
        assert floods(kernel.home, "fault") == ([], []), "a message met a fault of the kernel's own"
        assert "Traceback" not in kernel.log(), "a call met a fault of the kernel's own"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One that bears a tenth of the messages before it ends who sends them, so that a flood can be ten times as short."""
    with besieged(tmp_path_factory.mktemp("impatient"), "tests.system.impatient") as kernel:
        yield kernel


def packed(*array: object) -> bytes:
    """A header by hand, with anything in it."""
    return msgspec.msgpack.encode(list(array))


SAY = codec.encode_body({"text": "hi"})
DEEP = b"\x91" * 7_000 + b"\xc0"

ENDS_THE_PEER = {
    "no header": [b"", NIL],
    "an empty frame": [b""],
    "text": [b"Hello, kernel", NIL],
    "one frame": [call_word()],
    "three frames": [call_word(), SAY, NIL],
    "a hundred frames": [call_word(), *[SAY] * 99],
    "a hundred empty frames": [b""] * 100,
    "half a header": [call_word()[:-3], SAY],
    "more than a header": [call_word() + b"\xc0", SAY],
    "a map for an array": [msgspec.msgpack.encode({"tag": "call", "number": 1}), SAY],
    "an unknown type": [packed("grant", 1, "echo.say"), SAY],
    "a type that is no text": [packed(7, 1, "echo.say"), SAY],
    "no type": [packed(), SAY],
    "too few fields": [packed("call", 10_001), SAY],
    "a field too many": [packed("call", 10_001, "echo.say", "", 0, 0, None, False, [], 0, "", "more"), SAY],
    "a text for a number": [packed("call", "10001", "echo.say"), SAY],
    "a number for a text": [packed("call", 10_001, 5), SAY],
    "bytes for a text": [packed("call", 10_001, b"echo.say"), SAY],
    "not a number": [packed("call", float("nan"), "echo.say"), SAY],
    "an infinite number": [packed("call", float("inf"), "echo.say"), SAY],
    "a fraction": [packed("call", 10_001.5, "echo.say"), SAY],
    "a negative number": [packed("call", -1, "echo.say"), SAY],
    "2**53": [packed("call", 2**53, "echo.say"), SAY],
    "2**63": [packed("call", 2**63, "echo.say"), SAY],
    "2**64 - 1": [packed("call", 2**64 - 1, "echo.say"), SAY],
    "an even number": [call_word(10_002), SAY],
    "number 0": [call_word(0), SAY],
    "a negative deadline": [packed("call", 10_001, "echo.say", "", -1), SAY],
    "a deadline beyond a week": [packed("call", 10_001, "echo.say", "", limits.DEADLINE_MAX + 1), SAY],
    "a negative cost": [packed("call", 10_001, "echo.say", "", 0, 0, {"tokens": -1, "micro_dollars": 0}), SAY],
    "a huge cost": [packed("call", 10_001, "echo.say", "", 0, 0, {"tokens": 2**53, "micro_dollars": 0}), SAY],
    "text that is no UTF-8": [packed("call", 10_001, "echo.say").replace(b"echo", b"ec\xff\xfe"), SAY],
    "half a surrogate pair": [packed("call", 10_001, "echo.say").replace(b"echo", b"e\xed\xa0\x80"), SAY],
    "a deep nest": [DEEP, NIL],
    "a deep nest in a field": [b"\x93\xa4call\x01" + DEEP, NIL],
    "a method of 129": [packed("call", 10_001, "a" * 129), SAY],
    "a method of 7 KiB": [packed("call", 10_001, "a" * 7_000), SAY],
    "a header of 8 KiB and 1": [b"\xda\x20\x01" + b"a" * (limits.HEADER_MAX - 2), SAY],
    "a header of 1 MiB": [b"\xc6\x00\x10\x00\x00" + bytes(MIB - 5), SAY],
    "a header that promises 4 GiB": [b"\xdd\xff\xff\xff\xff", SAY],
    "a text that promises 4 GiB": [b"\x93\xa4call\x01\xdb\xff\xff\xff\xff", SAY],
    "65 labels": [packed("call", 10_001, "echo.say", "", 0, 0, None, False, [str(n) for n in range(65)]), SAY],
    "an empty label": [packed("call", 10_001, "echo.say", "", 0, 0, None, False, [""]), SAY],
    "a body of 1 MiB and 1": [call_word(), bytes(MIB + 1)],
    "Refused, which is the kernel's": [word(headers.Refused(number=2, code="x", why="")), NIL],
    "Stop, which is the kernel's": [word(headers.Stop(why="", grace=0)), NIL],
    "Event, which is the kernel's": [word(headers.Event(event="a.b")), NIL],
    "a second Hello": [word(headers.Hello(version=limits.PROTOCOL)), NIL],
    "credit for events beyond the window": [word(headers.Credit(number=0, chunks=1)), NIL],
    "no credit": [packed("credit", 0, 0), NIL],
}

IS_NOTHING = {
    "Ready again": [word(headers.Ready()), NIL],
    "rest that nobody asked for": [word(headers.Resting()), NIL],
    "an end of nobody's call": [word(headers.Done(number=2)), NIL],
    "an end of one's own call": [word(headers.Done(number=10_001)), NIL],
    "a chunk for nobody": [word(headers.Chunk(number=4)), NIL],
    "an upload's chunk for nobody": [word(headers.Chunk(number=10_003)), NIL],
    "credit for nobody": [word(headers.Credit(number=10_003, chunks=1)), NIL],
    "credit for another's call": [word(headers.Credit(number=2, chunks=64)), NIL],
    "a cancel of nobody": [word(headers.Cancel(number=10_003)), NIL],
    "a cancel of another's call": [word(headers.Cancel(number=2)), NIL],
    "a body of 1 MiB that is no msgpack": [call_word(method="kernel.budget"), b"\xc1" * MIB],
    "a body of 1 MiB less 1": [call_word(method="kernel.budget"), bytes(MIB - 1)],
    "an empty body": [call_word(method="kernel.budget"), b""],
    "a deep body": [call_word(method="kernel.budget"), b"\x91" * 500_000],
    "a body that promises 4 GiB": [call_word(method="kernel.check"), b"\xdf\xff\xff\xff\xff"],
    "keys that cannot be compared": [call_word(method="kernel.check"), b"\x82\x80\x01\x90\x01"],
    "an extension": [call_word(method="kernel.check"), b"\x81\xa6method\xc7\x03\x05abc"],
    "a time out of range": [call_word(method="kernel.check"), b"\x81\xa6method\xc7\x0c\xff" + b"\xff" * 12],
    "a number beyond the log's": [
        call_word(method="kernel.note"),
        codec.encode_body({"text": "", "done": 2**60, "total": -(2**60)}),
    ],
    "a note of 1 MiB": [call_word(method="kernel.note"), codec.encode_body({"text": "\x00\u202e" * (MIB // 20)})],
    "many names": [call_word(method="kernel.list"), codec.encode_body({f"{one:04x}": None for one in range(40_000)})],
    "a name that is a number": [call_word(method="kernel.list"), codec.encode_body({5: 1})],
    "a method of 512 KiB": [call_word(method="kernel.check"), codec.encode_body({"method": "\u0301" * (MIB // 4)})],
    "a wait for nobody": [call_word(method="kernel.wait"), codec.encode_body({"run": "r-nobody"})],
    "a parent that is not open": [call_word(method="kernel.budget", parent=2), NIL],
    "a method of nobody": [call_word(method="nobody.knows"), SAY],
    "a method that is no name": [call_word(method="\x00\u202e'; DROP TABLE"), SAY],
    "a publication under an even number": [word(headers.Publish(number=2, event="noise")), NIL],
    "an event that is no name": [word(headers.Publish(number=10_001, event="\x00\u202e" * 40)), NIL],
    "a resource that is none": [call_word(resource="\ud7ff\x00" * 300), SAY],
}


@pytest.mark.parametrize("frames", ENDS_THE_PEER.values(), ids=ENDS_THE_PEER)
def test_what_the_protocol_does_not_know_ends_its_sender(kernel: Kernel, frames: list[bytes]) -> None:
    with kernel.client() as client:
        outcome = play(client, ["send", *map(small, frames)], ["wait", "never"])
        assert (outcome["outcome"], outcome["code"]) == ("failed", "ended"), outcome
        assert ended(client, "echo.say", "", {"text": "neighbour"}) == "done"
    settled(kernel)


@pytest.mark.parametrize("frames", IS_NOTHING.values(), ids=IS_NOTHING)
def test_what_has_no_meaning_now_is_nothing(kernel: Kernel, frames: list[bytes]) -> None:
    """It may cross an end on its way, or fail as a call; the sender goes on either way, and so do others' calls."""
    after = ["send", call_word(10_005, "kernel.budget"), codec.encode_body({})]
    with Raw(kernel.home, operators(kernel.home)) as victim, kernel.client() as client:
        victim.hello()
        victim.call(1, "odd.never", deadline=20_000)
        outcome = play(client, ["send", *map(small, frames)], after, ["until", b"\x11\x96\xa4done\xcd\x27\x15"[1:]])
        assert got(outcome), "the sender was ended"
        victim.call(3, "kernel.status")
        assert isinstance(victim.end_of(3), headers.Done)
        victim.send(headers.Cancel(number=1))
        assert isinstance(victim.end_of(1), headers.Cancelled)
    settled(kernel)


@pytest.mark.parametrize("what", spread([*ENDS_THE_PEER, *IS_NOTHING], 27))
def test_from_outside_nothing_costs_more_than_the_connection(kernel: Kernel, what: str) -> None:
    frames = {**ENDS_THE_PEER, **IS_NOTHING}[what]
    with Raw(kernel.home, operators(kernel.home)) as raw, kernel.client() as client:
        raw.hello()
        raw.call(1, "odd.never")
        raw.frames(*frames)
        raw.frames(*frames)
        raw.send(headers.Bye())
        assert ended(client, "echo.say", "", {"text": "neighbour"}) == "done"
    settled(kernel)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=40) | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=6,
)
TAGS = [str(kind.__struct_config__.tag) for kind in get_args(headers.FromRun)]
NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 10_001, 10_003, 2**53 - 1]) | st.integers(0, 40)
TEXTS = st.sampled_from(["echo.say", "odd.never", "odd.stream", "kernel.check", "kernel.note", "kernel.sleep", "noise"])
SHAPED = st.builds(lambda tag, number, *more: packed(tag, number, *more), st.sampled_from(TAGS), NUMBERS) | st.builds(
    lambda tag, number, text, more: packed(tag, number, text, *more),
    st.sampled_from(TAGS),
    NUMBERS,
    TEXTS | JSON,
    st.lists(JSON, max_size=7),
)
BROKEN = st.builds(
    lambda raw, at, change: raw[: at % len(raw)] + change + raw[at % len(raw) + len(change) :],
    SHAPED,
    st.integers(0, 400),
    st.binary(max_size=3),
)
HEADERS = SHAPED | BROKEN | st.binary(max_size=200)
BODIES = st.sampled_from([NIL, b"", SAY]) | st.builds(msgspec.msgpack.encode, JSON) | st.binary(max_size=100)
MESSAGES = st.lists(
    st.tuples(HEADERS, BODIES).map(list) | st.lists(HEADERS, min_size=1, max_size=4), min_size=1, max_size=12
)
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@given(MESSAGES)
@settings(max_examples=20, suppress_health_check=SLOW)
def test_no_messages_from_outside_harm_a_neighbour(kernel: Kernel, messages: list[list[bytes]]) -> None:
    with Raw(kernel.home, operators(kernel.home)) as raw, kernel.client() as client:
        raw.hello()
        for frames in messages:
            raw.frames(*frames)
        raw.send(headers.Bye())
        assert ended(client, "echo.say", "", {"text": "neighbour"}) == "done"


@given(MESSAGES)
@settings(max_examples=12, suppress_health_check=SLOW)
def test_no_messages_from_a_run_harm_a_neighbour(kernel: Kernel, messages: list[list[bytes]]) -> None:
    with kernel.client() as client:
        outcome = play(client, *[["send", *map(small, frames)] for frames in messages])
        assert outcome["outcome"] in ("done", "failed"), outcome
        assert ended(client, "echo.say", "", {"text": "neighbour"}) == "done"


@given(st.lists(st.tuples(SHAPED | BROKEN, BODIES), min_size=1, max_size=3))
@settings(max_examples=12, suppress_health_check=SLOW)
def test_no_messages_from_a_provider_harm_its_callers(kernel: Kernel, messages: list[tuple[bytes, bytes]]) -> None:
    """Its callers' calls end: with whatever it said, or in Failed when it was ended for it."""
    with kernel.client() as client:
        client.call("kernel.start", "odd")
        for header, body in messages:
            fate = ended(client, "odd.frames", "", {"frames": [header, body], "linger": False}, seconds=20)
            if fate != "done":
                client.call("kernel.start", "odd")
        assert ended(client, "echo.say", "", {"text": "neighbour"}) == "done"
    settled(kernel)


FLOODS: dict[str, tuple[bytes, bytes]] = {
    "junk": (b"junk", b""),
    "cancels of nobody": (word(headers.Cancel(number=10_003)), NIL),
    "credit for nobody": (word(headers.Credit(number=10_003, chunks=1)), NIL),
    "rest that nobody asked for": (word(headers.Resting()), NIL),
    "ends of nobody's calls": (word(headers.Done(number=2)), NIL),
    "chunks for nobody": (word(headers.Chunk(number=4)), bytes(1_000)),
    "refused calls": (call_word(method="nobody.knows"), NIL),
    "publications": (word(headers.Publish(number=10_001, event="noise")), NIL),
}


BODY = bytes(8_192)
"""Of each message of a short flood: who kept them would grow by many times what he may."""

LIKE_CANCELS = ("credit for nobody", "chunks for nobody")
"""Floods that the kernel meets in the same place as cancels, left to `./just soak`."""


@pytest.mark.parametrize("flood", spread([name for name in FLOODS if name not in LIKE_CANCELS], 2))
def test_a_flood_from_a_run_ends_the_run_alone(impatient: Kernel, flood: str) -> None:
    flooded(impatient, (FLOODS[flood][0], BODY), 20_000)


@pytest.mark.soak
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_millions_from_a_run_ends_the_run_alone(kernel: Kernel, flood: tuple[bytes, bytes]) -> None:
    flooded(kernel, flood, 3_000_000)


def flooded(kernel: Kernel, flood: tuple[bytes, bytes], count: int) -> None:
    def attack() -> Value:
        with kernel.client() as client:
            return dict(play(client, ["many", count, *flood], ["wait", "never"], seconds=100))

    outcome, latency, growth = storm(kernel, attack)
    assert (table(outcome)["outcome"], table(outcome)["code"]) == ("failed", "ended"), outcome
    assert latency < PROMPT
    assert growth < FLOODED
    settled(kernel)


@pytest.mark.parametrize("flood", spread([name for name in FLOODS if name not in LIKE_CANCELS], 3))
def test_a_flood_from_outside_leaves_a_neighbour_his_latency(kernel: Kernel, flood: str) -> None:
    flooded_from_outside(kernel, (FLOODS[flood][0], BODY), 6_000)


@pytest.mark.soak
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_million_from_outside_leave_a_neighbour_his_latency(kernel: Kernel, flood: tuple[bytes, bytes]) -> None:
    flooded_from_outside(kernel, flood, 1_000_000)


def flooded_from_outside(kernel: Kernel, flood: tuple[bytes, bytes], count: int) -> None:
    def attack() -> Value:
        with Raw(kernel.home, operators(kernel.home)) as raw:
            raw.hello()
            for _ in range(count):
                raw.frames(*flood)
            raw.send(headers.Hello(version=limits.PROTOCOL))
            raw.send(headers.Hello(version=limits.PROTOCOL))
            while not isinstance(raw.must_take(20_000 + count // 10)[0], headers.Hello):
                pass
        return None

    _, latency, growth = storm(kernel, attack)
    assert latency < PROMPT
    assert growth < FLOODED
    settled(kernel)
