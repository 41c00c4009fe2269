"""Ids of runs, Hands and keys (pure): texts that are made once and never reused.

An id is a letter for its kind, a dash and sixteen characters of Crockford's base 32 (80 random bits), such as
`r-4kz8w1m3q0v7x2ab`. A Hand's name may be reused after a removal; an id never is, so no grant, memory or schedule passes
from a removed Hand to its namesake.
"""

from typing import Final, NewType

RunId = NewType("RunId", str)
"""A run's id."""

HandId = NewType("HandId", str)
"""The id of a Hand's installation. An upgrade keeps it; a removal ends it."""

Principal = NewType("Principal", str)
"""Whoever may send: `operator`, or a run's id."""

OPERATOR: Final = Principal("operator")
KERNEL: Final = Principal("kernel")
NOBODY: Final = Principal("nobody")
"""In the log: a connection that could not prove a key."""
ID_BYTES: Final = 10

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def run_id(randomness: bytes) -> RunId:
    """Make a run's id from ID_BYTES random bytes."""
    return RunId("r-" + _base32(randomness))


def hand_id(randomness: bytes) -> HandId:
    """Make an installation's id from ID_BYTES random bytes."""
    return HandId("h-" + _base32(randomness))


def key_id(randomness: bytes) -> str:
    """Make a trusted key's id from ID_BYTES random bytes."""
    return "k-" + _base32(randomness)


def _base32(randomness: bytes) -> str:
    if len(randomness) != ID_BYTES:
        raise ValueError(f"an id is made of {ID_BYTES} random bytes, not {len(randomness)}")
    number = int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * 16 - 5, -1, -5))
