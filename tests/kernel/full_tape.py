"""Tapes on a small disk of their own that fills up; run by test_journal.py as a process.

`python -m tests.kernel.full_tape DISK`, in a mount namespace of its own. Ends with 0 when all held.
"""

import sys
from pathlib import Path

from kernel.record.journal import LAST, RESERVE
from kernel.record.log import LogState
from tests.kernel.logs import Opened, start, verified
from tests.small_disk import fill
from wire import tape as tapes
from wire.tape import Asked, Record

SECRET = bytes(32)


def asked(number: int) -> Asked:
    return tapes.asked(number, "call", "ledger.add", body=bytes(2000))


def main(disk: Path) -> None:
    """Room, then only the reserves, of log and tapes, then neither; room again, and nothing was lost."""
    opened = Opened(disk)
    tape = opened.log.journal.tape("r-1", SECRET)
    opened.log.journal.put(tape, asked(0), opened.log.size + 1)
    opened.note("0")
    opened.synced()
    opened.until(lambda: (disk / "journal" / "reserve").stat().st_size == RESERVE)
    filler = fill(disk)
    put, in_reserve = 1, 0
    while opened.log.state is not LogState.SPENT:
        assert put < 20_000
        opened.log.journal.put(tape, asked(put), opened.log.size + 1)
        seq = opened.note(str(put))
        opened.log.after(seq, lambda: None)
        opened.until(lambda: opened.log.durable > seq or opened.log.state is LogState.SPENT)
        in_reserve += opened.log.durable > seq and opened.log.state is LogState.FULL
        put += 1
    assert in_reserve > (RESERVE - LAST) // 3000
    assert "No space left" in opened.log.why
    assert opened.log.durable <= put
    filler.unlink()
    opened.synced()
    opened.close()
    again = opened.log.journal.tape("r-1", SECRET)
    list(again.vouched_records(start(disk / "log").chain.seq))
    found: list[Record] = [one.record for one in again.records()]
    assert found == [asked(number) for number in range(put)]
    assert verified(disk / "log").size == put


if __name__ == "__main__":
    main(Path(sys.argv[1]))
