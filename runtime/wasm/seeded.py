"""Random bytes from a seed (pure): a replayed run gets the same ones.

SHA-256 over the seed and a counter. As hard to guess as the seed, which is not meant for keys.
"""

from hashlib import sha256


class Seeded:
    """A stream of random bytes."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._block, self._left = seed, 0, b""

    def take(self, size: int) -> bytes:
        """Returns the next bytes."""
        pieces, have = [self._left], len(self._left)
        while have < size:
            pieces.append(sha256(self._seed + self._block.to_bytes(8, "big")).digest())
            self._block += 1
            have += 32
        whole = b"".join(pieces)
        self._left = whole[size:]
        return whole[:size]
