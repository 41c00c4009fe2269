"""What answers that are being made may take of a door's memory together (decides; a wait is for its neighbours)."""

import asyncio


class Room:
    """So many bytes for all of them. Beyond that only the one that began first goes on, so that one always does."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[object, int] = {}
        self._is_left = asyncio.Event()

    async def take(self, whose: object, size: int) -> None:
        """Take so much more for one of them, when there is room."""
        self._taken.setdefault(whose, 0)
        while self.taken + size > self._most and next(iter(self._taken)) is not whose:
            self._is_left.clear()
            await self._is_left.wait()
        self._taken[whose] += size

    @property
    def taken(self) -> int:
        """Bytes of all of them."""
        return sum(self._taken.values())

    def leave(self, whose: object) -> None:
        """It is made, or given up."""
        self._taken.pop(whose, None)
        self._is_left.set()
