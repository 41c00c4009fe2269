"""Formats, parses and checks proofs that one entry is in a log: c2sp.org/tlog-proof with the entry as its extra (pure)."""

import binascii
from typing import Final

from msgspec import Struct

from wire.checkpoint import open_checkpoint
from wire.errors import NoteMalformed
from wire.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from wire.signing import VerifyKey

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"


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


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
