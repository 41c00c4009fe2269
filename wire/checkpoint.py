"""Checkpoints: the signed heads of a log's tree, as C2SP tlog-checkpoint notes (pure).

A checkpoint can be kept elsewhere: whoever has one can later tell whether the log still continues it. Its text has one line
each for origin, size and base64 root. Extension lines, which the specification permits and advises against, are refused:
nothing in our logs would check them.
"""

import binascii
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from wire.errors import NoteMalformed, SignatureInvalid
from wire.merkle import EMPTY_ROOT, HASH_SIZE
from wire.signing import NOTE_TYPES, SigningKey, VerifyKey, open_note, sign_note

_SIZE_DIGITS: Final = 19


class Checkpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The head of a log. origin: the log's name, which never changes. size: of entries. root: the tree's, 32 bytes."""

    origin: str
    size: int
    root: bytes


def format(checkpoint: Checkpoint) -> str:
    """Return the text of the note. Raises NoteMalformed for an origin, size or root that no checkpoint can have."""
    origin, size, root = checkpoint.origin, checkpoint.size, checkpoint.root
    if not origin or "\n" in origin:
        raise NoteMalformed("a checkpoint's origin is one line, not empty")
    if origin in NOTE_TYPES.values():
        raise NoteMalformed(f"{origin} is the first line of another type of note, no log's origin")
    if size < 0 or len(str(size)) > _SIZE_DIGITS:
        raise NoteMalformed("a checkpoint's size is a number of entries")
    if len(root) != HASH_SIZE or (size == 0 and root != EMPTY_ROOT):
        raise NoteMalformed("this is not the root of a tree of that size")
    return f"{origin}\n{size}\n{binascii.b2a_base64(root, newline=False).decode('ascii')}\n"


def parse(text: str) -> Checkpoint:
    """Parse the text of a note, which must be exactly as format() writes it. Raises NoteMalformed."""
    lines = text.split("\n")
    if len(lines) != 4:
        raise NoteMalformed("a checkpoint is three lines: origin, size and root")
    origin, size, root, _ = lines
    if not size.isdecimal() or len(size) > _SIZE_DIGITS:
        raise NoteMalformed("the second line of a checkpoint is its size")
    try:
        checkpoint = Checkpoint(origin=origin, size=int(size), root=binascii.a2b_base64(root))
    except ValueError as error:
        raise NoteMalformed("the third line of a checkpoint is its root in base64") from error
    if format(checkpoint) != text:
        raise NoteMalformed("this is not the one spelling that a checkpoint has")
    return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, *keys: SigningKey) -> str:
    """Sign a checkpoint as a note. A log never signs two checkpoints of which neither continues the other."""
    return sign_note(format(checkpoint), *keys)


def open_checkpoint(note: str | bytes, keys: Iterable[VerifyKey], origin: str) -> Checkpoint:
    """Verify a note by one of these keys, and return its checkpoint, which must be of the log of this origin.

    Raises NoteMalformed (also for another log's checkpoint) and SignatureInvalid.
    """
    checkpoint = parse(open_note(note, keys).text)
    if checkpoint.origin != origin:
        raise NoteMalformed(f"this is a checkpoint of the log {checkpoint.origin}, not of {origin}")
    return checkpoint


def open_checkpoints(notes: Iterable[str | bytes], keys: Iterable[VerifyKey], origin: str) -> Iterator[Checkpoint]:
    """Yield each note's checkpoint, in order, as open_checkpoint(). An error names the bad note by its number, from 1."""
    known = tuple(keys)
    for number, note in enumerate(notes, start=1):
        try:
            yield open_checkpoint(note, known, origin)
        except NoteMalformed as error:
            raise NoteMalformed(f"checkpoint {number}: {error}") from error
        except SignatureInvalid as error:
            raise SignatureInvalid(f"checkpoint {number}: {error}") from error
