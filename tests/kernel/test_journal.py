"""Tapes on disk: torn at any byte, written again after a failure, and never behind the log that vouches for them."""

import itertools
import os
import random
import select
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from kernel.record import log as audit
from kernel.record.growing import SIDE_BY_SIDE, Syncing
from kernel.record.journal import Journal, TapeFile
from tests.kernel.logs import Opened, start, written
from tests.small_disk import SYSTEMS, on_small_disk
from tests.spread import spread
from wire import tape as tapes
from wire.errors import TapeDamaged
from wire.tape import Asked, Began, Heard, Record, Spilled, began

SECRET = bytes(range(32))
BEGAN = Began(
    run="r-1", hand="h-1", name="n", version="1", seal="s", clock=1, inputs=b"in", work=2, caller="operator"
)  # fmt: skip


def asked(number: int, size: int = 3) -> Asked:
    return tapes.asked(number, "call", "ledger.add", body=bytes([number % 256]) * size)


def on_disk(path: Path, secret: bytes = SECRET) -> TapeFile:
    """A tape as the next kernel finds it, before it has looked."""
    return TapeFile(path, secret)


def write(tape: TapeFile, needs: int, record: Record) -> None:
    batch = tape.write_batch([(needs, record)])
    os.close(batch.file)
    batch.mark_durable()


def records(tape: TapeFile) -> list[Record]:
    return [placed.record for placed in tape.records()]


def test_a_record_that_keeps_no_body_is_made_at_once_since_its_body_is_not_counted(tmp_path: Path) -> None:
    made: list[int] = []

    def make(number: int) -> Asked:
        made.append(number)
        return asked(number, tapes.ASKED_MOST + 1)

    journal = Journal(tmp_path)
    journal.put_lazy(journal.tape("r-1", SECRET), partial(make, 1), None, 1)
    journal.put_lazy(journal.tape("r-1", SECRET), partial(make, 3), b"kept", 2)
    assert made == [1]


def test_what_was_put_is_on_disk_in_order_when_it_is_stored(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    one, other = journal.tape("r-1", SECRET), journal.tape("r-2", SECRET)
    journal.put(one, BEGAN, 1)
    journal.put(other, BEGAN, 2)
    journal.put(one, asked(1), 3)
    journal.take_queued()
    journal.put(one, asked(3), 4)
    journal.store()
    assert (records(one), records(other)) == ([BEGAN, asked(1)], [BEGAN])
    journal.take_queued()
    journal.store()
    assert records(one) == [BEGAN, asked(1), asked(3)]
    assert not journal.behind
    journal.put_lazy(one, partial(asked, 5, 7), b"\x05" * 7, 5)
    assert journal.behind > 7
    journal.take_queued()
    journal.store()
    assert records(one)[-1] == asked(5, 7)
    assert not journal.behind
    assert (tmp_path / "runs" / "r-1.tape").stat().st_mode & 0o777 == 0o600


def test_a_body_that_waits_leaves_memory_when_it_is_on_disk_and_is_read_from_its_place(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    tape, size = journal.tape("r-1", SECRET), 300_000
    journal.put(tape, BEGAN, 1)
    waiting = [Spilled(b"header", bytes([number]) * size) for number in range(5)]
    for left in waiting[:2]:
        journal.put_lazy(tape, left, left.body, 1)
    journal.take_queued()
    for left in waiting[2:]:
        journal.put_lazy(tape, left, left.body, 1)
    assert [len(left.body or b"") for left in waiting] == [size] * 5
    journal.store()
    assert [left.body is None for left in waiting] == [True, True, False, False, False]
    journal.take_queued()
    journal.store()
    assert [left.body for left in waiting] == [None] * 5
    assert not journal.behind
    assert tape.stored == 5 * size
    assert [tape.body_of(left) for left in reversed(waiting)] == [bytes([n]) * size for n in range(4, -1, -1)]
    content = bytearray(tape.path.read_bytes())
    content[waiting[3].at + 50_000] ^= 1
    tape.path.write_bytes(content)
    with pytest.raises(TapeDamaged):
        tape.body_of(waiting[3])


def test_of_many_tapes_each_is_on_disk_and_one_that_cannot_be_written_is_written_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    several = [journal.tape(f"r-{number}", SECRET) for number in range(20)]
    for needs, tape in enumerate(several, start=1):
        journal.put(tape, BEGAN, needs)
    several[7].path.mkdir()
    journal.take_queued()
    with pytest.raises(IsADirectoryError):
        journal.store()
    assert journal.behind > 0
    several[7].path.rmdir()
    for tape in several:
        journal.put(tape, asked(1), 21)
    journal.take_queued()
    journal.store()
    assert not journal.behind
    assert all(records(tape) == [BEGAN, asked(1)] for tape in several)


def test_files_are_synced_side_by_side_and_one_that_cannot_be_is_told(tmp_path: Path) -> None:
    files = [os.open(tmp_path / str(number), os.O_CREAT | os.O_WRONLY) for number in range(9)]
    syncing, before = Syncing(), threading.active_count()
    syncing.sync(files[:1])
    assert threading.active_count() == before
    for _ in range(50):
        syncing.sync(files)
        syncing.sync([])
    assert threading.active_count() == before + SIDE_BY_SIDE - 1
    os.close(files[5])
    with pytest.raises(OSError, match="Bad file descriptor"):
        syncing.sync(files)
    syncing.sync(files[:5])
    for file in {*files} - {files[5]}:
        os.close(file)


def torn(tmp_path: Path) -> tuple[bytes, list[int]]:
    """The bytes of a tape of five records, each of which needs one entry more; and where each ends."""
    tape = TapeFile(tmp_path / "whole.tape", SECRET)
    ends = []
    several: tuple[Record, ...] = (BEGAN, asked(1), asked(3), Heard(header=b"h", body=b"b"), asked(5))
    for needs, record in enumerate(several, start=1):
        write(tape, needs, record)
        ends.append(tape.end)
    return tape.path.read_bytes(), ends


def test_a_tape_that_is_torn_at_any_byte_keeps_its_whole_records_and_is_written_on_behind_them(tmp_path: Path) -> None:
    whole, ends = torn(tmp_path)
    path = tmp_path / "r-1.tape"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        tape = on_disk(path)
        list(tape.vouched_records(5))
        assert path.stat().st_size == size
        tape.truncate()
        kept = sum(end <= size for end in ends)
        assert (len(records(tape)), tape.end, path.stat().st_size) == (kept, *[([0, *ends])[kept]] * 2)
        write(tape, 6, asked(9))
        again = on_disk(path)
        list(again.vouched_records(6))
        assert records(again) == [*records(tape)[:kept], asked(9)]


def test_zeros_where_the_bytes_never_came_are_a_torn_end(tmp_path: Path) -> None:
    whole, ends = torn(tmp_path)
    path = tmp_path / "r-1.tape"
    for size in range(ends[2], len(whole)):
        path.write_bytes(whole[:size] + bytes(len(whole) - size + 512))
        tape = on_disk(path)
        list(tape.vouched_records(5))
        assert tape.end == max(end for end in ends if end <= size)


def test_what_a_shorter_log_does_not_vouch_for_is_cut_off(tmp_path: Path) -> None:
    whole, ends = torn(tmp_path)
    path = tmp_path / "r-1.tape"
    for entries in range(7):
        path.write_bytes(whole)
        tape = on_disk(path)
        list(tape.vouched_records(entries))
        assert tape.end == ([0, *ends])[min(entries, 5)]
        assert [placed.needs for placed in tape.records()] == list(range(1, min(entries, 5) + 1))
        tape.truncate()
        again = on_disk(path)
        list(again.vouched_records(9))  # a log that has grown since brings nothing back
        assert again.end == tape.end


def test_a_tape_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(on_disk(tmp_path / "r-1.tape").vouched_records(9))
    path = tmp_path / "r-2.tape"
    path.write_bytes(b"")
    tape = on_disk(path)
    list(tape.vouched_records(9))
    with pytest.raises(TapeDamaged, match="does not say what its run was started with"):
        began(tape.records())


def test_a_tape_is_read_with_its_own_key_or_not_at_all(tmp_path: Path) -> None:
    torn(tmp_path)
    tape = on_disk(tmp_path / "whole.tape", bytes(32))
    tape.end = 1 << 20
    with pytest.raises(TapeDamaged, match="this is not what was written"):
        records(tape)


def test_a_key_that_was_erased_or_never_was_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    keys = tmp_path / "keys" / "000000.jsonl"
    keys.write_bytes(b'\n{"run":"r-1","key":"%s"}\n\n{"run":"r-2","key":"%s"}\n' % (b"ab" * 32, b"-" * 64))
    journal = Journal(tmp_path)
    assert journal.secret("r-1") == b"\xab" * 32
    for run in ("r-2", "r-3"):
        with pytest.raises(TapeDamaged, match="its key was erased, or is missing"):
            journal.secret(run)


def test_a_key_is_found_among_many_at_once(tmp_path: Path) -> None:
    """The kernel's loop waits for it whenever somebody asks how a run ended."""
    journal = Journal(tmp_path)
    keys = tmp_path / "keys" / "000000.jsonl"
    keys.parent.mkdir()
    keys.write_text("".join(f'\n{{"run":"r-{number}","key":"{number:064x}"}}\n' for number in range(1, 100_001)))
    begun = time.process_time()
    for number in range(1, 60):
        assert journal.secret(f"r-{number}") == number.to_bytes(32, "big")
    assert time.process_time() - begun < 2  # it takes 0.3 s, and took 4


@pytest.mark.parametrize("is_taken", [False, True])
def test_nothing_is_written_of_a_run_that_is_to_be_erased(tmp_path: Path, is_taken: bool) -> None:
    journal = Journal(tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "000000.jsonl").write_text(f'\n{{"run":"r-1","key":"{SECRET.hex()}"}}\n')
    tape = journal.tape("r-1", SECRET)
    journal.put(tape, BEGAN, 1)
    if is_taken:  # an earlier flush has begun
        journal.take_queued()
    journal.put(tape, asked(1), 2)
    journal.erase("r-1")
    for _ in range(2):
        journal.store()
        journal.take_queued()
    journal.store()
    assert not tape.path.exists()
    assert not journal.behind
    with pytest.raises(TapeDamaged):
        journal.secret("r-1")


def test_a_write_that_failed_is_made_again_and_nothing_counts_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    tapes = [journal.tape(f"r-{n}", SECRET) for n in range(3)]
    for tape in tapes:
        journal.put(tape, BEGAN, 1)
    journal.take_queued()
    chance, pwrite = random.Random(1), os.pwrite

    def fail(file: int, content: memoryview, at: int) -> int:  # a disk that fails now and then is not to be had
        if chance.random() < 0.7:
            pwrite(file, bytes(chance.randrange(len(content))), at)
            raise OSError(5, "Input/output error")
        return pwrite(file, content, at)

    monkeypatch.setattr("kernel.record.journal.os.pwrite", fail)
    for tries in itertools.count():
        try:
            journal.store()
            break
        except OSError:
            assert journal.behind > 0
            journal.put(tapes[0], asked(tries), 2)
            journal.take_queued()
    assert not journal.behind
    assert [records(tape)[0] for tape in tapes] == [BEGAN] * 3
    assert records(tapes[0])[1:] == [asked(number) for number in range(len(records(tapes[0])) - 1)]


@pytest.mark.wide
@pytest.mark.parametrize("system", spread(SYSTEMS, 1))
def test_a_full_disk_holds_back_the_entries_that_need_the_tape_and_loses_nothing(tmp_path: Path, system: str) -> None:
    on_small_disk(tmp_path, system, "tests.kernel.full_tape")


def test_the_log_cut_at_any_byte_of_its_last_entries_leaves_the_tape_that_belongs_to_it(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    tape = opened.log.journal.tape("r-1", SECRET)
    opened.log.journal.put(tape, BEGAN, opened.log.size + 1)
    opened.note("entry 0")
    opened.close()
    os.unlink(tmp_path / "log" / "checkpoint")  # what it covers may not be cut off
    whole = (tmp_path / "log" / "entries" / "000000.jsonl").read_bytes().rstrip(b"\0")
    assert whole.count(b"\n") == 1
    folder = written(tmp_path / "more", 0)
    for size in range(len(whole) + 1):
        (folder / "entries" / "000000.jsonl").write_bytes(whole[:size])
        found = start(folder).chain.seq
        again = on_disk(_copied(tape.path, tmp_path / "copy.tape"))
        list(again.vouched_records(found))
        assert (found, len(records(again))) == ((1, 1) if size == len(whole) else (0, 0))


def _copied(path: Path, to: Path) -> Path:
    to.write_bytes(path.read_bytes())
    return to


def _write_for_ever(home: Path, pipe: int, life: int) -> None:
    """A kernel of three runs: each entry has its record before it; what has come to disk is told over the pipe."""
    chance = random.Random(life)
    opened = Opened(home)
    tapes = [opened.log.journal.tape(f"r-{life}-{n}", SECRET) for n in range(3)]
    for tape in tapes:
        opened.log.journal.put(tape, BEGAN, opened.log.size + 1)
        opened.note(tape.path.name)
    for number in itertools.count():
        tape = chance.choice(tapes)
        if chance.random() < 0.3:
            opened.log.journal.put(tape, Heard(header=b"h", body=bytes(chance.randrange(3000))), opened.log.size)
        opened.log.journal.put(tape, asked(number, chance.randrange(3000)), opened.log.size + 1)
        seq = opened.note(tape.path.name)
        if chance.random() < 0.5:
            opened.log.after(seq, partial(_say, pipe, seq))
        if chance.random() < 0.2:
            select.select([opened.wake], [], [], chance.choice((0, 0.002)))
            opened.log.run_due_acts()


def _say(pipe: int, seq: int) -> None:
    os.write(pipe, b"%d\n" % seq)


def test_whatever_instant_the_writer_is_killed_at_no_entry_is_on_disk_without_its_record(tmp_path: Path) -> None:
    chance, seen = random.Random(7), 0
    for life in range(25):
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ours)
                _write_for_ever(tmp_path, theirs, life)
            finally:
                os._exit(1)
        os.close(theirs)
        os.read(ours, 1)
        select.select([], [], [], chance.random() * 0.05)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ours)
        recovered = start(tmp_path / "log")
        names = [entry.why for entry in recovered.entries]
        for n in range(3):
            path = tmp_path / "journal" / "runs" / f"r-{life}-{n}.tape"
            mine = [seq for seq, name in enumerate(names) if name == path.name]
            if not mine:
                continue
            tape = on_disk(path)
            list(tape.vouched_records(recovered.chain.seq))
            bound = [one.needs - 1 for one in tape.records() if not isinstance(one.record, Heard)]
            assert bound == mine
            seen += len(mine)
    assert seen > 1000


def test_what_nobody_waits_for_lingers_until_it_is_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "LINGER", 1e6)
    opened = Opened(tmp_path)
    opened.note()
    opened.synced()
    tape, journal = opened.log.journal.tape("r-1", SECRET), opened.log.journal
    journal.put(tape, BEGAN, 1)
    opened.log.flush()
    time.sleep(0.3)  # nothing comes of it, which no condition can show
    assert journal.behind
    size = 0
    while size <= audit.MUCH:
        assert journal.behind
        heard = Heard(header=b"h", body=bytes(1 << 20))
        journal.put(tape, heard, 1)
        size += len(heard.body or b"")
        opened.log.flush()
    opened.until(lambda: not journal.behind)
    assert len(records(tape)) == 1 + size // (1 << 20)
    opened.close()
