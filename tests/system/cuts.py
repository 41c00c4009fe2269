"""Homes as a power cut would have left them (acts): copies of one whose kernel was killed, each with less of its end.

A disk keeps the log up to some byte, and of everything else at least what that needs: tapes and keys are on disk before the
entries that name them, and an effect is done only when its call's entry is. So a copy may have more of a tape than its log
vouches for, and never has a line in the ledger that its log does not know.
"""

import subprocess
from pathlib import Path

from kernel.home import Home
from kernel.record.journal import Journal
from kernel.record.recovery import segment_path
from wire.checkpoint import Checkpoint, sign_checkpoint
from wire.entries import Entry, decode
from wire.merkle import Frontier, leaf_hash


class Whole:
    """A home of which copies are made. entries: of its log; ends: where the line of each ends, in bytes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._log = segment_path(home / "log", 0).read_bytes()
        self._lines = [line for line in self._log.splitlines(keepends=True) if line[-1:] == b"\n" and b"\0" not in line]
        self.entries: list[Entry] = [decode(line[:-1]) for line in self._lines]
        self.ends = [sum(map(len, self._lines[: n + 1])) for n in range(len(self._lines))]

    def cut(self, to: Path, at: int, *, signed: int, tapes: dict[str, int] | None = None) -> Path:
        """A copy whose log ends at this byte, with its newest checkpoint over so many entries.

        tapes: by run, at which byte its tape ends, if not where it did.
        """
        subprocess.run(["cp", "-a", str(self.home), str(to)], check=True)  # with the owners of what is in state/
        segment_path(to / "log", 0).write_bytes(self._log[:at])
        for kept in ("checkpoints", "snapshot"):
            (to / "log" / kept).unlink(missing_ok=True)
        tree, opened = Frontier(), Home(str(to))
        for line in self._lines[:signed]:
            tree.append(leaf_hash(line[:-1]))
        point = Checkpoint(origin=opened.identity.origin, size=signed, root=tree.root())
        (to / "log" / "checkpoint").write_text(sign_checkpoint(point, opened.keys().log))
        for run, end in (tapes or {}).items():
            file = tape_of(to, run)
            file.write_bytes(file.read_bytes()[:end])
        known = self.effects(at)
        for file in (to / "state").glob("*/lines"):
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:known]))
        return to

    def effects(self, at: int) -> int:
        """The lines of the ledger that a log which ends at this byte knows of."""
        return sum(
            end <= at and one.kind == "call" and one.method == "ledger.add"
            for one, end in zip(self.entries, self.ends, strict=True)
        )

    def vouched(self, run: str, at: int) -> tuple[int, int]:
        """Up to which byte a log that ends at this one vouches for a run's tape, and where the tape ends."""
        size = sum(end <= at for end in self.ends)
        journal = Journal(self.home / "journal")
        file = journal.tape(run, journal.secret(run))
        good = 0
        for placed in file.vouched_records(size):
            good = placed.end
        return good, tape_of(self.home, run).stat().st_size


def tape_of(home: Path, run: str) -> Path:
    """The file of a run's tape."""
    return home / "journal" / "runs" / f"{run}.tape"
