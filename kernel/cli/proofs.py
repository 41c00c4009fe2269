"""Formats, parses and checks proofs about a log (pure).

That one entry is in it: c2sp.org/tlog-proof with the entry as its extra. That it continues an older state of itself: what a
witness is sent, the body of add-checkpoint in c2sp.org/tlog-witness.
"""

import binascii
from typing import Final

from msgspec import Struct

from wire.checkpoint import Checkpoint, open_checkpoint
from wire.errors import NoteMalformed, ProofInvalid
from wire.merkle import HASH_SIZE, leaf_hash, verify_consistency, verify_inclusion
from wire.signing import VerifyKey

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
OLD: Final = "old "
"""The first line of a proof of growth begins with this; the size of the older tree follows."""


class Proof(Struct, frozen=True, kw_only=True):
    """entry: the line's bytes, without newline. index: its seq. hashes: in RFC 9162's order. checkpoint: a note."""

    entry: bytes
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str


def format(proof: Proof) -> str:
    """Format a proof as text."""
    lines = [FIRST_LINE, f"extra {_base64(proof.entry)}", f"index {proof.index}", *map(_base64, proof.hashes)]
    return "\n".join(lines) + "\n\n" + proof.checkpoint


def parse(text: str) -> Proof:
    """Parse a proof's text, which must be exactly what format() makes of it. Raises NoteMalformed."""
    head, _, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != FIRST_LINE or len(lines) < 2:
        raise NoteMalformed(f"a proof begins with the line {FIRST_LINE}, the entry and its index")
    extra, index, *hashes = lines
    try:
        proof = Proof(
            entry=binascii.a2b_base64(extra.removeprefix("extra "), strict_mode=True),
            index=int(index.removeprefix("index ")),
            hashes=tuple(binascii.a2b_base64(each, strict_mode=True) for each in hashes),
            checkpoint=checkpoint,
        )
    except ValueError as error:
        raise NoteMalformed(f"a line of the proof is not as it should be: {error}") from None
    if format(proof) != text or any(len(each) != HASH_SIZE for each in proof.hashes):
        raise NoteMalformed("a proof has one spelling, and this is another")
    return proof


def check(proof: Proof, key: VerifyKey) -> int:
    """Verify a proof; returns the size of its tree. Raises NoteMalformed, SignatureInvalid or ProofInvalid."""
    checkpoint = open_checkpoint(proof.checkpoint, [key], key.name)
    verify_inclusion(leaf_hash(proof.entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint.size


class Growth(Struct, frozen=True, kw_only=True):
    """old: the size of the older tree. hashes: in RFC 9162's order. checkpoint: the note of the newer tree."""

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: str


def format_growth(growth: Growth) -> str:
    """Format a proof of growth as text."""
    return "\n".join([f"{OLD}{growth.old}", *map(_base64, growth.hashes)]) + "\n\n" + growth.checkpoint


def parse_growth(text: str) -> Growth:
    """Parse a proof's text, which must be exactly what format_growth() makes of it. Raises NoteMalformed."""
    head, _, checkpoint = text.partition("\n\n")
    old, *hashes = head.split("\n")
    try:
        growth = Growth(
            old=int(old.removeprefix(OLD)),
            hashes=tuple(binascii.a2b_base64(each, strict_mode=True) for each in hashes),
            checkpoint=checkpoint,
        )
    except ValueError as error:
        raise NoteMalformed(f"a line of the proof is not as it should be: {error}") from None
    if format_growth(growth) != text:
        raise NoteMalformed("a proof has one spelling, and this is another")
    return growth


def check_growth(growth: Growth, since: Checkpoint, key: VerifyKey) -> int:
    """Verify that the proof leads from an older checkpoint; returns the newer tree's size. Raises as check()."""
    checkpoint = open_checkpoint(growth.checkpoint, [key], key.name)
    if growth.old != since.size:
        raise ProofInvalid(f"the proof begins at {growth.old} entries, and that checkpoint has {since.size}")
    verify_consistency(since.size, checkpoint.size, since.root, checkpoint.root, growth.hashes)
    return checkpoint.size


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
