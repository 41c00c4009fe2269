"""Verifies a whole log against itself and against signed checkpoints, and names the first bad entry (pure).

Three things are checked, in one pass: each line is the canonical encoding of an entry in its place (seq); each entry names
the hash of the one before (prev); the tree over all entries has the root that each checkpoint signed. An attacker who
rewrites everything after a change cannot forge the last; it also shows a tail that was cut off.

Which entry is named: as far as the evidence goes, every entry before it is as written. If prev does not match, either of
two entries may have been changed; the rest of the log and the next checkpoint tell which (_blame). If only a root does not
match, the change lies somewhere after the last checkpoint that does: the first entry after that is named, and why names
the last possible one.

Memory does not grow with the log. Lines come as bytes, with or without their newline, in order, from any number of files.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from msgspec import Struct

from wire.checkpoint import Checkpoint
from wire.entries import NO_PREV, Entry, decode
from wire.errors import CodecError, LogInvalid
from wire.merkle import Frontier, leaf_hash


class Verified(Struct, frozen=True, kw_only=True):
    """A log that verifies. size: its entries. signed: how many of these, from the first, the newest checkpoint covers.

    checkpoints: how many were compared. prev, frontier: for Chain(seq=size, …), to append to the log.
    """

    size: int
    signed: int
    checkpoints: int
    prev: str
    frontier: Frontier


def verify_lines(
    lines: Iterable[bytes],
    *,
    checkpoints: Iterable[Checkpoint] = (),
    held: Iterable[Checkpoint] = (),
    seq: int = 0,
    prev: str = NO_PREV,
    frontier: Frontier | None = None,
    each: Callable[[Entry], object] | None = None,
) -> Verified:
    """Verify lines against checkpoints whose signatures were verified before. Raises LogInvalid for the first bad entry.

    each: called with every entry that matches the one before it, even though no checkpoint has vouched for it yet.

    To start from a known state, pass seq, prev and a frontier of that size (it is not changed). Checkpoints of fewer than
    seq entries cannot be compared then, and are ignored.
    """
    tree = Frontier() if frontier is None else frontier.copy()
    anchors = _Anchors(checkpoints, held, seq)
    if wrong := anchors.compare(tree):
        raise wrong
    stop = anchors.next_size
    last: bytes | None = None
    rest = iter(lines)
    for line in rest:
        line = line.removesuffix(b"\n")
        entry = _entry(line, seq)
        if entry.prev != prev:
            raise _blame(_Break(seq=seq, line=line, named=entry.prev, last=last, tree=tree), anchors, rest)
        if each is not None:
            each(entry)
        if last is not None:
            tree.append(last)
        last = sha256(b"\x00" + line).digest()
        prev = last.hex()
        seq += 1
        if seq == stop:
            before = tree.copy()
            tree.append(last)
            last = None
            if wrong := anchors.compare(tree):
                raise _narrowed(wrong, before, anchors, rest)
            stop = anchors.next_size
    if last is not None:
        tree.append(last)
    anchors.end(seq)
    return Verified(size=seq, signed=anchors.signed, checkpoints=anchors.compared, prev=prev, frontier=tree)


def _entry(line: bytes, seq: int) -> Entry:
    """Decode a line, which must be entry `seq`. Raises LogInvalid."""
    try:
        entry = decode(line)
    except CodecError as error:
        raise LogInvalid(seq, str(error)) from error
    if entry.seq > seq:
        raise LogInvalid(seq, f"it is missing: entry {entry.seq} stands in its place")
    if entry.seq < seq:
        raise LogInvalid(seq, f"entry {entry.seq} stands in its place, a second time or out of order")
    return entry


class _Anchors:
    """The checkpoints that are still to be compared, the next one last, and how far the compared ones reach."""

    def __init__(self, own: Iterable[Checkpoint], held: Iterable[Checkpoint], start: int) -> None:
        both = [(point.size, False, point.root) for point in own] + [(point.size, True, point.root) for point in held]
        self._waiting = sorted((point for point in both if point[0] >= start), reverse=True)
        self._good = self._good_held = start
        self.signed = 0
        self.compared = 0

    @property
    def next_size(self) -> int:
        """The size of the next checkpoint, -1 if none is left."""
        return self._waiting[-1][0] if self._waiting else -1

    def fits(self, tree: Frontier) -> bool:
        """Whether a tree of the next checkpoint's size has its root."""
        return self._waiting[-1][2] == tree.root()

    def compare(self, tree: Frontier) -> LogInvalid | None:
        """Compare the checkpoints of the tree's size, the log's own before those held elsewhere.

        Returns the error if one does not match. That one stays the next one.
        """
        size = tree.size
        while self.next_size == size:
            _, is_held, _ = self._waiting[-1]
            if not self.fits(tree):
                return self._mismatch(size, is_held)
            self._waiting.pop()
            self.compared += 1
            self.signed = self._good = size
            if is_held:
                self._good_held = size
        return None

    def _mismatch(self, size: int, is_held: bool) -> LogInvalid:
        """Return the error for a checkpoint that does not match. A log that contradicts a held one may have been rewritten
        and signed again, so only held ones count as the last good checkpoint then.
        """
        last = size - 1
        first = max(min(self._good_held if is_held else self._good, last), 0)
        whose = "the checkpoint held elsewhere" if is_held else "the checkpoint"
        if first >= last:
            return LogInvalid(first, f"it is not the entry that {whose} of {size} entries signed")
        return LogInvalid(
            first, f"one of the entries {first} to {last} was changed: {whose} of {size} entries signed others"
        )

    def end(self, size: int) -> None:
        """Raise LogInvalid if the log ends before the largest signed size."""
        if self._waiting:
            signed = self._waiting[0][0]
            raise LogInvalid(
                size,
                f"it is missing: the log ends before it, but a checkpoint signed entries 0 to {signed - 1}",
            )


class _Break(Struct, frozen=True, kw_only=True):
    """A break of the chain: line `seq` names the leaf `named` as the one before it, but that leaf is `last`.

    last: None if the entry before is beyond doubt: there is none, or a checkpoint ends with it. tree: all leaves before
    `last`.
    """

    seq: int
    line: bytes
    named: str
    last: bytes | None
    tree: Frontier


def _blame(at: _Break, anchors: _Anchors, rest: Iterator[bytes]) -> LogInvalid:
    """Return the error for the one of the two entries at a break that was changed.

    Each later entry names its predecessor's original leaf. If the tree over these has the root that the next checkpoint
    signed, the entry before the break was changed, whatever else was. Otherwise the entry after it was, if its own
    successor names another leaf for it; and if that names the same, the entry before.
    """
    if at.last is None:
        return LogInvalid(at.seq, "it was changed: its prev is not the hash of the entry before it")
    tree = at.tree.copy()
    tree.append(bytes.fromhex(at.named))
    leaf = leaf_hash(at.line)
    is_disowned = False
    for following in rest:
        named = _prev_of(following, tree.size + 1)
        if named is None:
            break
        if tree.size == at.seq:
            is_disowned = named != leaf
        tree.append(named)
        leaf = leaf_hash(following.removesuffix(b"\n"))
        if tree.size >= anchors.next_size:
            break
    if tree.size == anchors.next_size - 1:
        tree.append(leaf)
    if is_disowned and not (tree.size == anchors.next_size and anchors.fits(tree)):
        return LogInvalid(
            at.seq, "it was changed: it does not name the entry before it, nor is it named by the one after"
        )
    return LogInvalid(at.seq - 1, f"it was changed: entry {at.seq} names another as the one before it")


def _narrowed(wrong: LogInvalid, before: Frontier, anchors: _Anchors, rest: Iterator[bytes]) -> LogInvalid:
    """Narrow an error of a root that does not match to the last entry, if the leaf that the next entry names for it fits."""
    named = _prev_of(next(rest, b""), before.size + 1)
    if named is None:
        return wrong
    before.append(named)
    if not anchors.fits(before):
        return wrong
    return LogInvalid(before.size - 1, "it was changed: the entry after it names, and the checkpoint signed, another")


def _prev_of(line: bytes, seq: int) -> bytes | None:
    """Return the leaf that line `seq` names as the one before it; None if the line is not that entry."""
    try:
        entry = decode(line.removesuffix(b"\n"))
    except CodecError:
        return None
    return bytes.fromhex(entry.prev) if entry.seq == seq else None
