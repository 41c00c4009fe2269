"""Bounds the memory for answers that a door is making (decides; a wait is for other answers)."""

import asyncio


class Room:
    """A number of bytes for all answers. Beyond it only the answer that began first goes on, so that one always does."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[object, int] = {}
        self._is_left = asyncio.Event()

    async def take(self, whose: object, size: int) -> None:
        """Takes so many more bytes for an answer, once there is room."""
        self._taken.setdefault(whose, 0)
        while self.taken + size > self._most and next(iter(self._taken)) is not whose:
            self._is_left.clear()
            await self._is_left.wait()
        self._taken[whose] += size

    @property
    def taken(self) -> int:
        """Bytes taken by all answers."""
        return sum(self._taken.values())

    def release(self, whose: object) -> None:
        """Frees the bytes of an answer that is made or given up."""
        self._taken.pop(whose, None)
        self._is_left.set()
