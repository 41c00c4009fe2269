"""Names for the things that have identities (pure): each is text, made once and never reused.

An id is a letter that tells its kind, a dash and sixteen characters of Crockford's base 32 (80 random bits), such as
`r-4kz8w1m3q0v7x2ab`. Names of Hands may come back after a removal; ids never do, and so no grant, memory or schedule
passes from a removed Hand to its namesake.
"""

from typing import Final, NewType

RunId = NewType("RunId", str)
"""One run: one process doing one piece of a Hand's work."""

HandId = NewType("HandId", str)
"""One installation of a Hand. An upgrade keeps it, a removal ends it."""

Principal = NewType("Principal", str)
"""Whoever may send: `operator`, or a run's id."""

OPERATOR: Final = Principal("operator")
KERNEL: Final = Principal("kernel")
NOBODY: Final = Principal("nobody")
"""In the log: whoever could not prove to be anybody."""
ID_BYTES: Final = 10

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def run_id(randomness: bytes) -> RunId:
    """A run's id from ID_BYTES random bytes."""
    return RunId("r-" + _base32(randomness))


def hand_id(randomness: bytes) -> HandId:
    """An installation's id from ID_BYTES random bytes."""
    return HandId("h-" + _base32(randomness))


def key_id(randomness: bytes) -> str:
    """A trusted key's id from ID_BYTES random bytes."""
    return "k-" + _base32(randomness)


def _base32(randomness: bytes) -> str:
    if len(randomness) != ID_BYTES:
        raise ValueError(f"an id is made of {ID_BYTES} random bytes, not {len(randomness)}")
    number = int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * 16 - 5, -1, -5))
