"""The log as the command line reads it (acts): from the home's files, whether a kernel runs or not.

Nothing here needs a secret: the log's public key lies in keys/log.pub. A log that is being written ends, for a reader,
at its last whole line.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
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

TRUSTING: Final = ("key.add", "key.revoke")
"""Kinds of entries that say which keys are trusted."""

_KEY: Final = "restore it from a backup, or give the log's verifier key, `maniple audit verify --key KEY`"

_NEAR_END: Final = 1024 * 1024


def folder_of(home: str) -> Path:
    """The folder of a home's log. Raises Ended when there is none."""
    folder = Path(home) / "log"
    homes.need(home)
    home_parts.need(home, "maniple audit verify", within="log")
    if not (folder / "entries").is_dir():
        raise Ended(f"{home} has no log yet: start its kernel with `maniple up`")
    return folder


def public_key(home: str) -> VerifyKey:
    """The key that signs the log's checkpoints; its name is the log's origin."""
    path = os.path.join(home, "keys", "log.pub")
    try:
        with open(path, encoding="ascii", opener=_never_waiting) as file:
            return VerifyKey.parse(file.read(4096).strip())
    except FileNotFoundError:
        raise Ended(f"{path} is not there: {_KEY}") from None
    except IsADirectoryError:
        raise Ended(f"{path} is a folder: move it away, and {_KEY}") from None
    except (NoteMalformed, UnicodeDecodeError) as error:
        raise Ended(f"{path} holds no verifier key ({error}): {_KEY}") from None


def _never_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # for whoever would write into a pipe


def entries(folder: Path, *, needles: Iterable[bytes] = ()) -> Iterator[Entry]:
    """Every entry, or those whose line holds one of the needles: reading is dear, looking at bytes is not."""
    wanted = tuple(needles)
    for line in Lines(folder):
        if not wanted or any(needle in line for needle in wanted):
            yield read(line)


def read(line: bytes) -> Entry:
    """The entry of a line. Raises Ended for what is none."""
    try:
        return decode(line[:-1])
    except CodecError as error:
        raise Ended(f"the log is damaged: {error}; `maniple audit verify` names the entry") from None


def newest(folder: Path, kind: str) -> Entry | None:
    """The newest entry of a kind, None if the log has none."""
    needle = b'"kind":"%s"' % kind.encode()
    for path in reversed(segments(folder)):
        before, found, after = path.read_bytes().rpartition(needle)
        if found:
            return read(before.rpartition(b"\n")[2] + found + after.partition(b"\n")[0] + b"\n")
    return None


def last_lines(folder: Path, count: int) -> tuple[list[bytes], Lines]:
    """The last lines, and the place after them, from which a follower goes on."""
    files = segments(folder)
    number = max(0, len(files) - 1)
    while True:
        lines = Lines(folder, number, _near_end(files[number]) if files else 0)
        kept: deque[bytes] = deque(lines, maxlen=count)
        if len(kept) == count or number == 0:
            break
        number -= 1
    if len(kept) < count:
        lines = Lines(folder)
        kept = deque(lines, maxlen=count)
    return list(kept), lines


def _near_end(path: Path) -> int:
    """Where a line begins, not far before the end of a file."""
    size = path.stat().st_size
    if size <= _NEAR_END:
        return 0
    with path.open("rb") as file:
        file.seek(size - _NEAR_END)
        file.readline()
        return file.tell()


def more_lines(folder: Path, after: Lines) -> Iterator[bytes]:
    """Lines that came after a place since it was read; `after` moves on."""
    fresh = Lines(folder, after.segment, after.offset)
    yield from fresh
    after.segment, after.offset = fresh.segment, fresh.offset


def line_at(folder: Path, seq: int) -> bytes:
    """The line of one entry. Raises Ended when the log does not hold it."""
    needle = b'"seq":%d,' % seq
    for line in Lines(folder):
        if needle in line and read(line).seq == seq:
            return line
    raise Ended(f"the log has no entry {seq}: see `maniple audit tail`")


def trust(home: str) -> TrustStore:
    """The keys that a home trusts, as its log says."""
    state = State()
    for entry in entries(folder_of(home), needles=(b'"kind":"key.',)):
        if entry.kind in TRUSTING:
            learn(state, entry)
    return state.trust


def learn(state: State, entry: Entry) -> None:
    """Let an entry of one of the kinds TRUSTING change a state, for which nothing else need be read."""
    fold(state, entry, _no_package)


def installed(folder: Path) -> set[str]:
    """The names of the Hands that are installed, as the log says."""
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
    """The ids of all Hands that were ever installed under a name."""
    return tuple(dict.fromkeys(str(one["hand"]) for one in _installs(folder, name)))


def version_after(folder: Path, name: str) -> str:
    """The version after the newest that was ever installed of a Hand, removed or not; an older one would be refused."""
    told = [str(one.get("version")) for one in _installs(folder, name)]
    return next_patch(max(told, key=rank)) if told else "1.0.0"


def _installs(folder: Path, name: str) -> list[Mapping[str, object]]:
    """What was told of each Hand that was ever installed, or upgraded, under a name."""
    found = entries(folder, needles=(b'"kind":"hand.install"',))
    return [one.detail for one in found if one.kind == "hand.install" and one.detail.get("name") == name]


def _no_package(folder: str) -> NoReturn:
    raise Ended(f"{folder} is not to be read here")
