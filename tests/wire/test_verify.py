"""Verification: every way to tamper with a log is found, and the first bad entry is named."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spread import spread
from wire import entries
from wire.checkpoint import Checkpoint, open_checkpoints, sign_checkpoint
from wire.entries import Chain, time_text
from wire.errors import LogInvalid, NoteMalformed, SignatureInvalid
from wire.merkle import Frontier, leaf_hash, root_of
from wire.signing import SigningKey
from wire.verify import Verified, verify_lines

ORIGIN = "maniple.example/home"
KEY = SigningKey(ORIGIN, bytes(range(32)))
KEYS = [KEY.verify_key]
SIZE = 40
POINTS = (0, 7, 8, 20, 33, SIZE)
"""Sizes at which the test log has checkpoints."""


def grow(chain: Chain, count: int, says: str = "said") -> list[bytes]:
    return [
        chain.append(kind="note", principal="operator", time=time_text(chain.seq), why=f"{says} {chain.seq}", call=2)
        for _ in range(count)
    ]


def point(lines: list[bytes], size: int) -> Checkpoint:
    return Checkpoint(origin=ORIGIN, size=size, root=root_of(leaf_hash(line) for line in lines[:size]))


def notes(lines: list[bytes], sizes: tuple[int, ...] = POINTS) -> list[str]:
    return [sign_checkpoint(point(lines, size), KEY) for size in sizes]


def verify(lines: list[bytes], own: list[str], held: Iterable[str] = ()) -> Verified:
    """Verify lines with the notes beside them and those held elsewhere."""
    checkpoints, kept = open_checkpoints(own, KEYS, ORIGIN), open_checkpoints(held, KEYS, ORIGIN)
    return verify_lines(lines, checkpoints=checkpoints, held=kept)


LOG = grow(Chain(), SIZE)
NOTES = notes(LOG)


def found(lines: list[bytes], sizes: tuple[int, ...] = POINTS) -> LogInvalid:
    """What verification says of lines that stand where LOG was signed at these sizes."""
    with pytest.raises(LogInvalid) as caught:
        verify_lines(lines, checkpoints=[point(LOG, size) for size in sizes])
    return caught.value


def edited(line: bytes, **changes: object) -> bytes:
    """The line of the same entry with some fields changed, itself in order."""
    return entries.encode(msgspec.structs.replace(entries.decode(line), **changes))


def rewritten(lines: list[bytes], seq: int) -> list[bytes]:
    """A log whose entry seq is another and whose later entries were chained again to hide it."""
    frontier = Frontier()
    for line in lines[:seq]:
        frontier.append(leaf_hash(line))
    chain = Chain(seq=seq, prev=entries.decode(lines[seq]).prev, frontier=frontier)
    again = lines[:seq] + grow(chain, 1, "forged")
    for line in lines[seq + 1 :]:
        entry = entries.decode(line)
        again.append(
            chain.append(kind=entry.kind, principal=entry.principal, time=entry.time, why=entry.why, call=entry.call)
        )
    return again


def test_a_whole_log_verifies_and_tells_where_to_go_on() -> None:
    verified = verify(LOG, NOTES, held=NOTES[1:3])
    assert (verified.size, verified.signed, verified.checkpoints) == (SIZE, SIZE, len(POINTS) + 2)
    chain = Chain(seq=verified.size, prev=verified.prev, frontier=verified.frontier)
    more = grow(chain, 10)
    verified = verify(LOG + more, NOTES)
    assert (verified.size, verified.signed) == (SIZE + 10, SIZE)


def test_lines_may_keep_their_newlines_and_come_one_by_one() -> None:
    def file_lines() -> Iterator[bytes]:
        for line in LOG:
            yield line + b"\n"

    verified = verify_lines(file_lines(), checkpoints=[point(LOG, size) for size in POINTS])
    assert verified.frontier.root() == point(LOG, SIZE).root


def test_the_empty_log_verifies_until_something_was_signed() -> None:
    assert verify_lines([]).size == 0
    assert verify_lines([], checkpoints=[point(LOG, 0)]).checkpoints == 1
    assert found([]).seq == 0


@pytest.mark.parametrize("start", range(0, SIZE + 1, 5))
def test_verification_goes_on_from_a_known_state_and_leaves_it_alone(start: int) -> None:
    known = verify_lines(LOG[:start])
    before = known.frontier.to_list()
    points = [point(LOG, size) for size in POINTS]
    verified = verify_lines(LOG[start:], checkpoints=points, seq=known.size, prev=known.prev, frontier=known.frontier)
    assert verified.frontier.root() == point(LOG, SIZE).root
    assert verified.checkpoints == len([size for size in POINTS if size >= start])
    assert known.frontier.to_list() == before


def test_a_known_state_that_a_checkpoint_contradicts_is_no_ground_to_go_on_from() -> None:
    other = verify_lines(rewritten(LOG, 3)[:7])
    with pytest.raises(LogInvalid) as caught:
        verify_lines(LOG[7:], checkpoints=[point(LOG, 7)], seq=7, prev=other.prev, frontier=other.frontier)
    assert caught.value.seq == 6


def test_each_entry_is_given_once_it_fits_the_one_before_and_none_behind_a_bad_one() -> None:
    given_now: list[entries.Entry] = []
    verify_lines(LOG, each=given_now.append)
    assert given_now == [entries.decode(line) for line in LOG]
    given_now.clear()
    with pytest.raises(LogInvalid):
        verify_lines([*LOG[:5], *LOG[6:]], each=given_now.append)
    assert [entry.seq for entry in given_now] == [0, 1, 2, 3, 4]


def test_going_on_from_another_state_is_found_at_the_first_line() -> None:
    other = verify_lines(grow(Chain(), 5, "other"))
    with pytest.raises(LogInvalid) as caught:
        verify_lines(LOG[5:], seq=5, prev=other.prev, frontier=other.frontier)
    assert caught.value.seq == 5


@pytest.mark.parametrize("seq", spread(range(SIZE - 1), 13))
@pytest.mark.parametrize("sizes", [(), (SIZE,), POINTS, tuple(range(SIZE + 1))], ids=len)
@pytest.mark.parametrize(
    "changes",
    [{"why": "nothing happened"}, {"prev": "f" * 64}, {"verdict": "x", "prev": "e" * 64}],
    ids=lambda c: "+".join(c),
)
def test_an_edited_entry_is_named_whichever_field_it_is(
    seq: int, sizes: tuple[int, ...], changes: dict[str, str]
) -> None:
    lines = LOG.copy()
    lines[seq] = edited(lines[seq], **changes)
    assert found(lines, sizes).seq == seq


def test_an_edited_last_entry_is_named_or_lies_in_the_named_range() -> None:
    lines = LOG.copy()
    lines[-1] = edited(lines[-1], why="nothing happened")
    assert found(lines, (SIZE - 1, SIZE)).seq == SIZE - 1
    problem = found(lines)
    assert problem.seq == 33
    assert "33 to 39" in problem.why


@pytest.mark.parametrize("sizes", [(SIZE,), POINTS], ids=len)
def test_of_several_edited_entries_the_first_is_named(sizes: tuple[int, ...]) -> None:
    chance = random.Random(40)
    for _ in range(60):
        chosen = sorted(chance.sample(range(SIZE - 1), 3))
        lines = LOG.copy()
        for seq in chosen:
            lines[seq] = edited(lines[seq], why="nothing happened")
        assert found(lines, sizes).seq == chosen[0], chosen


def test_two_edited_neighbours_are_told_apart_by_what_was_signed() -> None:
    lines = LOG.copy()
    lines[25], lines[26] = edited(lines[25], why="a"), edited(lines[26], why="b")
    assert found(lines).seq == 25
    lines = LOG.copy()
    lines[26] = edited(lines[26], why="b", prev="f" * 64)
    assert found(lines).seq == 26


def test_an_edited_entry_is_named_also_where_one_is_missing_a_little_later() -> None:
    lines = [*LOG[:12], edited(LOG[12], why="nothing happened"), LOG[13], *LOG[15:]]
    assert found(lines).seq == 12


@pytest.mark.parametrize("sizes", [(), POINTS], ids=len)
def test_a_dropped_swapped_or_repeated_entry_is_named(sizes: tuple[int, ...]) -> None:
    for seq in range(SIZE - 1):
        assert found(LOG[:seq] + LOG[seq + 1 :], sizes).seq == seq
        assert found([*LOG[:seq], LOG[seq + 1], LOG[seq], *LOG[seq + 2 :]], sizes).seq == seq
        assert found(LOG[: seq + 1] + LOG[seq:], sizes).seq == seq + 1
        assert found([*LOG[:seq], b"", *LOG[seq:]], sizes).seq == seq


@pytest.mark.parametrize("size", range(SIZE))
def test_a_cut_tail_is_found_and_what_is_missing_is_named(size: int) -> None:
    problem = found(LOG[:size])
    assert problem.seq == size
    assert "missing" in problem.why
    assert f"0 to {SIZE - 1}" in problem.why


def test_a_line_cut_in_two_is_named() -> None:
    for cut in range(1, len(LOG[12])):
        assert found([*LOG[:12], LOG[12][:cut]]).seq == 12


def test_a_flipped_bit_anywhere_is_named_or_breaks_the_last_root() -> None:
    chance = random.Random(99)
    for _ in range(400):
        seq = chance.randrange(SIZE - 1)
        bit = chance.randrange(8 * len(LOG[seq]))
        wrong = bytearray(LOG[seq])
        wrong[bit // 8] ^= 1 << bit % 8
        assert found([*LOG[:seq], bytes(wrong), *LOG[seq + 1 :]]).seq == seq


@pytest.mark.parametrize("seq", range(SIZE))
def test_a_rewritten_history_breaks_the_next_checkpoint_and_the_range_is_named(seq: int) -> None:
    lines = rewritten(LOG, seq)
    verify_lines(lines)
    holds, breaks = next((low, high) for low, high in pairwise(POINTS) if low <= seq < high)
    problem = found(lines)
    assert problem.seq == holds
    assert str(breaks - 1) in problem.why or holds == breaks - 1
    problem = found(lines, tuple(range(SIZE + 1)))
    assert (problem.seq, "it is not the entry" in problem.why) == (seq, True)


@pytest.mark.parametrize("seq", range(0, SIZE, 3))
def test_a_history_rewritten_and_signed_again_is_found_by_a_checkpoint_held_elsewhere(seq: int) -> None:
    lines = rewritten(LOG, seq)
    signed_again = notes(lines)
    assert verify(lines, signed_again).signed == SIZE
    with pytest.raises(LogInvalid, match="held elsewhere") as caught:
        verify(lines, signed_again, held=notes(LOG, (8, SIZE)))
    assert caught.value.seq == (0 if seq < 8 else 8)


def test_a_tail_cut_and_signed_again_is_found_by_a_checkpoint_held_elsewhere() -> None:
    short = LOG[:30]
    with pytest.raises(LogInvalid) as caught:
        verify(short, notes(short, (7, 30)), held=notes(LOG, (35,)))
    assert caught.value.seq == 30


def test_a_log_that_was_set_back_and_went_on_is_a_fork() -> None:
    old = verify_lines(LOG[:30])
    fork = LOG[:30] + grow(Chain(seq=30, prev=old.prev, frontier=old.frontier.copy()), 10, "other")
    assert found(fork).seq == 20
    assert found(fork, (30, 31, SIZE)).seq == 30
    with pytest.raises(LogInvalid, match="held elsewhere") as caught:
        verify(fork, notes(fork), held=notes(LOG, (30, SIZE)))
    assert caught.value.seq == 30


def test_two_signed_heads_of_one_size_show_a_fork_whichever_comes_first() -> None:
    fork = rewritten(LOG, 10)
    for both in ([point(LOG, 20), point(fork, 20)], [point(fork, 20), point(LOG, 20)]):
        with pytest.raises(LogInvalid) as caught:
            verify_lines(LOG, checkpoints=both)
        assert caught.value.seq <= 19


def test_entries_of_another_branch_put_into_the_log_are_found() -> None:
    other = rewritten(LOG, 3)
    for at in range(9, SIZE - 1):
        problem = found(LOG[:at] + other[at:], tuple(range(SIZE + 1)))
        assert problem.seq == at
        assert found(LOG[:at] + other[at:]).seq in (at - 1, at)


def test_a_checkpoint_that_is_not_in_order_is_told_from_a_log_that_is_not() -> None:
    stranger = SigningKey(ORIGIN, bytes(32))
    for bad, error in (
        (sign_checkpoint(point(LOG, 8), stranger), SignatureInvalid),
        (NOTES[1].replace("\n7\n", "\n6\n"), SignatureInvalid),
        (sign_checkpoint(Checkpoint(origin="elsewhere", size=8, root=point(LOG, 8).root), KEY), NoteMalformed),
        ("", NoteMalformed),
    ):
        for beside, held in (([*NOTES, bad], []), (NOTES, [bad])):
            with pytest.raises(error, match="checkpoint"):
                verify(LOG, beside, held)


def shuffle_lines(lines: list[bytes], chance: random.Random) -> list[bytes]:
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def drop_line(lines: list[bytes], chance: random.Random) -> list[bytes]:
    del lines[chance.randrange(len(lines))]
    return lines


TAMPER: dict[str, Callable[[list[bytes], random.Random], list[bytes]]] = {
    "drop": drop_line,
    "cut": lambda lines, chance: lines[: chance.randrange(len(lines))],
    "swap": shuffle_lines,
    "repeat": lambda lines, chance: [*lines[:20], *lines[chance.randrange(20) :]],
    "rewrite": lambda lines, chance: rewritten(lines, chance.randrange(len(lines))),
}


@given(st.sampled_from(sorted(TAMPER)), st.integers(0, 2**32))
def test_whatever_is_done_to_a_signed_log_nothing_but_the_log_itself_verifies(how: str, seed: int) -> None:
    lines = TAMPER[how](LOG.copy(), random.Random(seed))
    if lines == LOG:
        verify_lines(lines, checkpoints=[point(LOG, size) for size in POINTS])
        return
    different = next((at for at, (was, now) in enumerate(zip(LOG, lines, strict=False)) if was != now), len(lines))
    assert found(lines).seq <= different


def test_the_error_names_entry_and_reason_for_a_person() -> None:
    problem = found(LOG[:3] + LOG[4:])
    assert str(problem) == f"entry 3: {problem.why}"
    assert problem.why == "it is missing: entry 4 stands in its place"
