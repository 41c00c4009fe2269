"""Reads the log from the home's files, whether a kernel runs or not (acts).

No secret is needed: the log's public key is in keys/log.pub. A reader takes the last complete line as the end of a log
that is being written, unless the newest checkpoint covers more: then the log is damaged, and the reader must say so.
"""

import mmap
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from kernel.cli import home_parts, homes
from kernel.cli.exits import Ended
from kernel.record.recovery import Lines, segments
from manifests.state import State, fold
from manifests.trust import TrustStore
from manifests.versions import next_patch, rank
from wire.entries import Entry, decode
from wire.errors import CodecError, NoteMalformed
from wire.signing import VerifyKey

KEY_KINDS: Final = ("key.add", "key.revoke")
"""Kinds of entries that change which keys are trusted."""

_MEND_KEY: Final = "restore it from a backup, or give the log's verifier key, `maniple audit verify --key KEY`"

_TAIL_SIZE: Final = 1024 * 1024
"""Bytes at the end of a segment that last_lines() reads first."""


def folder_of(home: str) -> Path:
    """The folder of a home's log. Raises Ended if it does not exist or is damaged."""
    folder = Path(home) / "log"
    homes.require_home(home)
    home_parts.check_parts(home, "maniple audit verify", within="log")
    try:
        os.stat(f"{folder}/entries/")  # Path.is_dir(), from Python 3.14 on, hides that it may not look
    except (FileNotFoundError, NotADirectoryError):
        _check_not_gone(folder)
        raise Ended(f"{home} has no log yet: start its kernel with `maniple up`") from None
    return folder


def public_key(home: str) -> VerifyKey:
    """Read the public key that the log's checkpoints are signed with; its name is the log's origin. Raises Ended."""
    path = os.path.join(home, "keys", "log.pub")
    try:
        with open(path, encoding="ascii", opener=_open_nonblocking) as file:
            return VerifyKey.parse(file.read(4096).strip())
    except FileNotFoundError:
        raise Ended(f"{path} is not there: {_MEND_KEY}") from None
    except IsADirectoryError:
        raise Ended(f"{path} is a folder: move it away, and {_MEND_KEY}") from None
    except (NoteMalformed, UnicodeDecodeError) as error:
        raise Ended(f"{path} holds no verifier key ({error}): {_MEND_KEY}") from None


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without writer would block


def covered(folder: Path) -> int:
    """The number of entries that the newest checkpoint names, unverified; 0 if there is none. Ask before reading entries."""
    with suppress(FileNotFoundError, IndexError, ValueError):
        return int((folder / "checkpoint").read_bytes().split(b"\n", 2)[1])
    return 0


def _check_not_gone(folder: Path) -> None:
    """Raise Ended for the folder of an empty log if its home has Hands, whose installs are entries."""
    hands = folder.parent / "hands"
    if hands.is_dir() and any(hands.iterdir()):
        raise Ended(f"the log of this home is gone from {folder}: restore that folder from a backup, then `maniple up`")


def check_end(folder: Path, most: int, last: bytes) -> None:
    """Raise Ended if the log ends before its newest checkpoint, or is gone.

    most: what covered() returned; last: the log's last line, empty if there is none.
    """
    found = read(last).seq + 1 if last else 0
    if not found and not most:
        _check_not_gone(folder)
    if found < most:
        raise Ended(
            f"the log is damaged: its newest checkpoint covers {most} entries, and only {found} can be read; "
            "`maniple audit verify` tells more"
        )


def whole(folder: Path) -> Iterator[bytes]:
    """Yield all lines. Raises Ended after the last one if the log ends before its newest checkpoint."""
    most, line = covered(folder), b""
    for line in Lines(folder):
        yield line
    check_end(folder, most, line)


def entries(folder: Path, *, needles: Iterable[bytes] = ()) -> Iterator[Entry]:
    """Yield all entries, or only those whose line contains one of the needles, which is cheaper than decoding all.

    Raises Ended where the log is damaged.
    """
    wanted = tuple(needles)
    for line in whole(folder):
        if not wanted or any(needle in line for needle in wanted):
            yield read(line)


def read(line: bytes) -> Entry:
    """Decode a line, with its newline, into an entry. Raises Ended if it is not one."""
    try:
        return decode(line[:-1])
    except CodecError as error:
        raise Ended(f"the log is damaged: {error}; `maniple audit verify` names the entry") from None


def newest(folder: Path, kind: str) -> Entry | None:
    """Find the newest entry of a kind; None if the log has none. Raises Ended if the log is damaged there."""
    needle = b'"kind":"%s"' % kind.encode()
    for path in reversed(segments(folder)):
        if not path.stat().st_size:
            continue  # mmap takes no empty file
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            end = held.rfind(b"\n") + 1
            while (at := held.rfind(needle, 0, end)) >= 0:
                begin = held.rfind(b"\n", 0, at) + 1
                entry = read(held[begin : held.find(b"\n", at) + 1])
                if entry.kind == kind:  # and not a kind that its detail names
                    return entry
                end = begin
    return None


def last_lines(folder: Path, count: int) -> tuple[list[bytes], Lines]:
    """The last lines, and the position after them, from which more_lines() continues."""
    files = segments(folder)
    number = max(0, len(files) - 1)
    while True:
        lines = Lines(folder, number, _tail_offset(files[number]) if files else 0)
        kept: deque[bytes] = deque(lines, maxlen=count)
        if len(kept) == count or number == 0:
            break
        number -= 1
    if len(kept) < count:
        lines = Lines(folder)
        kept = deque(lines, maxlen=count)
    return list(kept), lines


def _tail_offset(path: Path) -> int:
    """The offset at which a line begins, about _TAIL_SIZE before the end of a file."""
    size = path.stat().st_size
    if size <= _TAIL_SIZE:
        return 0
    with path.open("rb") as file:
        file.seek(size - _TAIL_SIZE)
        file.readline()
        return file.tell()


def more_lines(folder: Path, after: Lines) -> Iterator[bytes]:
    """Yield the lines written after a position, then move the position behind them."""
    fresh = Lines(folder, after.segment, after.offset)
    yield from fresh
    after.segment, after.offset = fresh.segment, fresh.offset


def line_at(folder: Path, seq: int) -> bytes:
    """The line of the entry with this number. Raises Ended if the log has none."""
    needle = b'"seq":%d,' % seq
    for line in whole(folder):
        if needle in line and read(line).seq == seq:
            return line
    raise Ended(f"the log has no entry {seq}: see `maniple audit tail`")


def trusted_keys(home: str) -> TrustStore:
    """The keys that a home trusts, from its log."""
    state = State()
    for entry in entries(folder_of(home), needles=(b'"kind":"key.',)):
        if entry.kind in KEY_KINDS:
            apply_key_entry(state, entry)
    return state.trust


def apply_key_entry(state: State, entry: Entry) -> None:
    """Apply an entry of one of KEY_KINDS to a state, which needs no other entries for its trusted keys."""
    fold(state, entry, _refuse_package)


def installed_names(folder: Path) -> set[str]:
    """The names of the installed Hands, from the log."""
    names: set[str] = set()
    for entry in entries(folder, needles=(b'"kind":"hand.install"', b'"kind":"hand.remove"')):
        match entry.kind:
            case "hand.install":
                names.add(str(entry.detail.get("name")))
            case "hand.remove":
                names.discard(str(entry.detail.get("name")))
            case _:
                pass
    return names


def ids_of(folder: Path, name: str) -> tuple[str, ...]:
    """The ids of all Hands ever installed under a name."""
    return tuple(dict.fromkeys(str(one["hand"]) for one in _installs(folder, name)))


def next_version(folder: Path, name: str) -> str:
    """The version to install next under a name: above the newest ever installed, as an older one would be refused."""
    versions = [str(one.get("version")) for one in _installs(folder, name)]
    return next_patch(max(versions, key=rank)) if versions else "1.0.0"


def _installs(folder: Path, name: str) -> list[Mapping[str, object]]:
    """The details of all entries that installed or upgraded a Hand of this name."""
    found = entries(folder, needles=(b'"kind":"hand.install"',))
    return [one.detail for one in found if one.kind == "hand.install" and one.detail.get("name") == name]


def _refuse_package(folder: str) -> NoReturn:
    raise Ended(f"{folder}: entries about keys name no package")
