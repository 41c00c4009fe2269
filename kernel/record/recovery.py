"""Where the log ends, found before the kernel's first act; and the snapshot that spares reading all of it (acts).

A crash can leave the last bytes of the last file unfinished: a line without its end, or zeros where room was allocated
and the bytes never came. Such a torn tail was never called durable; it is cut off and reported, unless a checkpoint
covers it. Whatever else does not verify is refused with LogDamaged and left exactly as it is.

A snapshot counts only if the log's own entry at its size names its state's digest; then what lies before is not read
here. Deleting it loses nothing, and `maniple audit verify` reads everything.

Each line is read once: its entry is handed on before the next checkpoint has been compared. What comes of that counts
only if recover() returns.
"""

import os
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from kernel.errors import LogDamaged
from wire.checkpoint import open_checkpoints
from wire.entries import LINE_MAX, Chain, Entry, decode
from wire.errors import CodecError, LogInvalid, NoteMalformed, SignatureInvalid
from wire.merkle import Frontier
from wire.signing import VerifyKey
from wire.snapshot import Snapshot, opened
from wire.verify import verify_lines


class Recovered(Struct, kw_only=True):
    """The end of the log. cut: bytes of a torn tail that was cut off."""

    chain: Chain
    cut: int


class Lines:
    """The whole lines of a log from a place on, each with its newline. segment and offset: how far they were read."""

    def __init__(self, folder: Path, segment: int = 0, offset: int = 0) -> None:
        self.segment, self.offset = segment, offset
        self._folder, self._last = folder, len(segments(folder)) - 1

    def __iter__(self) -> Iterator[bytes]:
        while self.segment <= self._last:
            with segment_path(self._folder, self.segment).open("rb") as file:
                file.seek(self.offset)
                while line := file.readline(LINE_MAX + 2):
                    if line[-1:] != b"\n" or b"\0" in line:
                        return
                    self.offset += len(line)
                    yield line
            if self.segment == self._last:
                return
            self.segment, self.offset = self.segment + 1, 0


def start_of(folder: Path, key: VerifyKey, origin: str) -> Snapshot:
    """The snapshot, if there is one to start from; else the log's beginning, without a state. Raises LogDamaged."""
    beginning = Snapshot(origin=origin, size=0)
    try:
        snapshot = opened((folder / "snapshot").read_bytes(), key)
        entry = decode(next(iter(Lines(folder, snapshot.segment, snapshot.offset)), b"")[:-1])
    except (FileNotFoundError, SignatureInvalid, CodecError):
        return beginning
    except OSError as error:
        raise LogDamaged(folder, str(error)) from error
    digest = sha256(snapshot.state or b"").hexdigest()
    is_named = entry.kind == "snapshot" and entry.detail.get("digest") == digest
    return snapshot if is_named and (entry.seq, snapshot.origin) == (snapshot.size, origin) else beginning


def recover(folder: Path, start: Snapshot, take: Callable[[Entry], object], *, key: VerifyKey) -> Recovered:
    """Verify the log from where it is to be started, and cut off a torn tail. Raises LogDamaged.

    take: is given each entry. What it raises, which a forged one may be the reason of, is raised when all has been verified.
    """
    raised: list[Exception] = []

    def hand_on(entry: Entry) -> None:
        if not raised:
            try:
                take(entry)
            except Exception as error:  # noqa: BLE001 - a forged entry may be anything
                raised.append(error)

    try:
        notes = read_notes(folder, start.origin, history=start.size == 0)
        lines = Lines(folder, start.segment, start.offset)
        log = verify_lines(
            lines, checkpoints=list(open_checkpoints(notes, [key], start.origin)), seq=start.size, prev=start.prev,
            frontier=Frontier.from_list(start.size, start.frontier), each=hand_on,
        )  # fmt: skip
        if log.size and not notes:
            raise LogInvalid(0, "no checkpoint is there that covers it, nor any other")
        if raised:
            raise raised[0]
        cut = _cut(folder, lines)
    except (LogInvalid, NoteMalformed, SignatureInvalid, OSError) as error:
        raise LogDamaged(folder, str(error)) from error
    return Recovered(chain=Chain(seq=log.size, prev=log.prev, frontier=log.frontier), cut=cut)


def segment_path(folder: Path, number: int) -> Path:
    """The file of entries with this number."""
    return folder / "entries" / f"{number:06d}.jsonl"


def segments(folder: Path) -> list[Path]:
    """The files of entries, in order. Raises LogDamaged when one between them is missing."""
    found = sorted((folder / "entries").glob("*.jsonl"))
    for number, path in enumerate(found):
        if path != segment_path(folder, number):
            raise LogDamaged(folder, f"the file before {path} is missing")
    return found


def read_notes(folder: Path, origin: str, *, history: bool = True) -> list[str]:
    """The newest checkpoint and, with history, the older ones that were kept; none when there are none."""
    newest, kept = folder / "checkpoint", folder / "checkpoints"
    notes = [newest.read_bytes().decode("utf-8", "replace")] if newest.exists() else []
    if history and kept.exists():
        note = rf"(?m)^{re.escape(origin)}\n\d+\n\S+\n\n— \S+ \S{{92}}\n"
        notes += re.findall(note, kept.read_bytes().decode("utf-8", "replace"))
    return notes


def _cut(folder: Path, lines: Lines) -> int:
    """Cut off what lies behind the last whole line, and bring the rest to disk; how many bytes were cut off."""
    path = segment_path(folder, lines.segment)
    if segment_path(folder, lines.segment + 1).exists():
        raise LogDamaged(folder, f"{path} is torn at byte {lines.offset}, and yet another file goes on")
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size - lines.offset
        if size > 0:
            file.truncate(lines.offset)
        os.fsync(file.fileno())
    return size
