"""A tape is read as it was written, or what is wrong with it is found at its place: nothing is ever guessed."""

from io import BytesIO
from operator import length_hint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import codec, headers
from wire.amounts import Cost
from wire.errors import TapeDamaged
from wire.fast_forward import PIECE, ending, scan, scanning
from wire.tape import (
    ASKED_MOST,
    RECORD_MOST,
    Asked,
    Began,
    Ended,
    Heard,
    Placed,
    Record,
    asked,
    ends_done,
    key_of,
    read,
    seed_of,
    write,
)

KEY = key_of(bytes(range(32)))
BEGAN = Began(
    run="r-1", hand="h-1", name="journey", version="1.0.0", seal="s", clock=1_700_000_000_000_000, inputs=b"\x80",
    work=2, caller="operator", chain=(("operator", ""),), settings={"depth": 3}, labels=("web",),
    most=Cost(tokens=3, micro_dollars=4),
)  # fmt: skip
RECORDS: tuple[Record, ...] = (
    BEGAN,
    Heard(header=b"call", body=b"work"),
    asked(number=1, kind="call", on="ledger.read", resource="n0", body=b"\x81"),
    Heard(header=b"done", body=b"reading"),
    Heard(header=b"settings", secret=True),
    Ended(header=b"over", body=b"value", labels=("web",)),
)

number = st.integers(0, 2**53 - 1)
raw = st.binary(max_size=40)
ANY: st.SearchStrategy[Record] = st.one_of(
    st.builds(Asked, number=number, kind=st.sampled_from(("call", "publish")), on=st.text(max_size=9), body=raw),
    st.builds(Heard, header=raw, body=raw, secret=st.booleans()),
    st.builds(Ended, header=raw, body=raw, labels=st.lists(st.text(max_size=5), max_size=3).map(tuple)),
)


def parts(records: tuple[Record, ...] = RECORDS, key: bytes = KEY) -> list[bytes]:
    """The bytes of each record of a tape; the third record needs three entries, and so on."""
    written, before = [], b""
    for needs, record in enumerate(records):
        part, before = write(record, needs, key, before)
        written.append(part)
    return written


def until_damage(tape: bytes, key: bytes = KEY) -> tuple[list[Placed], int]:
    """What can be read of a tape, and from which byte on it cannot; -1 when all of it can."""
    found: list[Placed] = []
    try:
        found.extend(read(BytesIO(tape).read, key))
    except TapeDamaged as error:
        return found, error.at
    return found, -1


@given(st.lists(ANY, max_size=8).map(tuple))
def test_a_tape_is_read_as_it_was_written(records: tuple[Record, ...]) -> None:
    written = parts(records)
    found, at = until_damage(b"".join(written))
    assert at == -1
    assert [one.record for one in found] == list(records)
    assert [one.needs for one in found] == list(range(len(records)))
    assert [one.end for one in found] == [sum(map(len, written[: n + 1])) for n in range(len(records))]


def test_what_is_written_behind_what_was_read_is_read_with_it() -> None:
    first = parts(RECORDS[:3])
    before = until_damage(b"".join(first))[0][-1].check
    more, _ = write(RECORDS[3], 9, KEY, before)
    found, at = until_damage(b"".join([*first, more]))
    assert (len(found), found[-1].needs, at) == (4, 9, -1)


def test_a_changed_bit_of_any_byte_is_found_at_its_record() -> None:
    written = parts()
    for spoiled, part in enumerate(written):
        start = sum(map(len, written[:spoiled]))
        for offset in range(len(part)):
            for bit in range(8):
                tape = bytearray(b"".join(written))
                tape[start + offset] ^= 1 << bit
                found, at = until_damage(bytes(tape))
                assert [one.record for one in found] == list(RECORDS[:spoiled])
                assert at == start


def test_a_tape_that_breaks_off_at_any_byte_is_read_up_to_the_record_that_does() -> None:
    written = parts()
    tape, ends = b"".join(written), [sum(map(len, written[:n])) for n in range(len(written) + 1)]
    for size in range(len(tape) + 1):
        found, at = until_damage(tape[:size])
        whole = sum(end <= size for end in ends) - 1
        assert [one.record for one in found] == list(RECORDS[:whole])
        assert at == (-1 if size in ends else ends[whole])


def test_records_that_were_dropped_or_swapped_or_doubled_are_found() -> None:
    written = parts()
    for n in range(len(written)):
        dropped, at = until_damage(b"".join(written[:n] + written[n + 1 :]))
        assert (len(dropped), at) == (n, sum(map(len, written[:n])) if n + 1 < len(written) else -1)
        doubled, at = until_damage(b"".join([*written[: n + 1], *written[n:]]))
        assert (len(doubled), at) == (n + 1, sum(map(len, written[: n + 1])))
        for other in range(n + 1, len(written)):
            swapped = list(written)
            swapped[n], swapped[other] = swapped[other], swapped[n]
            found, at = until_damage(b"".join(swapped))
            assert (len(found), at) == (n, sum(map(len, written[:n])))


def test_a_record_of_another_run_is_found() -> None:
    other = key_of(bytes(32))
    mine, theirs = parts(), parts(key=other)
    assert until_damage(b"".join(theirs)) == ([], 0)
    assert until_damage(b"".join([*mine[:2], *theirs[2:]]))[1] == sum(map(len, mine[:2]))


@given(st.binary(max_size=80))
def test_bytes_that_are_no_tape_are_damage_and_nothing_else(tape: bytes) -> None:
    found, at = until_damage(tape)
    assert (found, at) == ([], -1 if not tape else 0)


def test_a_length_beyond_any_record_is_damage_before_it_is_read() -> None:
    asked: list[int] = []

    def take(size: int) -> bytes:
        asked.append(size)
        return ((RECORD_MOST + 1).to_bytes(4, "little") + bytes(16))[:size]

    with pytest.raises(TapeDamaged):
        list(read(take, KEY))
    assert max(asked) <= 20


def test_how_a_tape_ends_is_read_without_believing_a_length_beyond_any_record() -> None:
    tape, asked = BytesIO((2**32 - 1).to_bytes(4, "little") + bytes(16)), list[int]()

    def take(size: int) -> bytes:
        asked.append(size)
        return tape.read(size)

    with pytest.raises(StopIteration) as answer:
        next(ends_done(take, tape.seek))
    assert answer.value.value is False
    assert max(asked) <= RECORD_MOST


def test_a_record_that_a_later_version_wrote_is_named() -> None:
    from hashlib import blake2b

    import msgspec

    content = msgspec.msgpack.encode((0, {"type": "dreamt"}))
    check = blake2b(content, key=KEY, digest_size=16).digest()
    with pytest.raises(TapeDamaged, match="not a record of this version"):
        list(read(BytesIO(len(content).to_bytes(4, "little") + check + content).read, KEY))


def test_a_runs_chance_and_its_tapes_key_come_of_its_secret_and_tell_nothing_of_it() -> None:
    one, other = b"k" * 32, b"l" * 32
    assert (seed_of(one), key_of(one)) == (seed_of(one), key_of(one))
    assert (seed_of(one), key_of(one)) != (seed_of(other), key_of(other))
    assert max(seed_of(bytes([n]) * 32) for n in range(64)).bit_length() == 56
    assert len({one, key_of(one), seed_of(one).to_bytes(32)}) == 3


def test_a_long_tape_is_gone_through_in_pieces() -> None:
    chunk = Heard(header=codec.encode(headers.Chunk(number=1)))
    tape = [Placed(record=chunk, needs=1, end=n * 100, check=b"") for n in range(PIECE // 50)]
    left = iter(tape)
    pieces = scanning(left)
    assert next(pieces) is None
    assert PIECE // 100 - 3 < length_hint(left) < PIECE // 100, "as many records as a piece has are read"
    assert [next(pieces), next(pieces)] == [scan(tape)] * 2, "the whole may be asked for again"
    with pytest.raises(TapeDamaged, match="no end"):
        list(ending(tape))
    end = Placed(record=Ended(header=b"done"), needs=1, end=tape[-1].end + 9, check=b"")
    assert list(ending([*tape[:-1], end, tape[-1]])) == [None, end.record], "a refusal may stand behind it"


@pytest.mark.parametrize(("size", "is_kept"), [(ASKED_MOST, True), (ASKED_MOST + 1, False)])
def test_of_a_large_request_only_its_digest_is_kept(size: int, is_kept: bool) -> None:
    made = asked(1, "call", "a.b", body=bytes(size))
    assert (made.body is not None) is is_kept
    assert made.digest != asked(1, "call", "a.b", body=bytes(size - 1)).digest
