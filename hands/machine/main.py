"""The Hand that measures this machine: answers machine.stats and machine.processes (acts; thin).

It alone reads /proc and /sys, so that no other Hand needs to. It takes no grant and calls nobody.
"""

import asyncio
import time

from machine_processes import ProcessReader
from machine_rates import MATCH_MOST, MOST_DEFAULT, MOST_MAX, shortest_wait
from machine_sensors import SensorReader
from runtime import Call, Failure, Hand

Reply = dict[str, object]


class Machine(Hand):
    """machine.stats and machine.processes. What needs two readings (percentages) uses the one before, if there is
    one.
    """

    async def start(self) -> None:
        self.sensors = SensorReader()
        self.lister = ProcessReader()
        self.turn = asyncio.Lock()  # two readings at the same instant would tell each other "nothing happened"

    async def stats(self, call: Call) -> Reply:
        """Answer machine.stats: every sensor that can be read, and under `missing` each that cannot, with why."""
        async with self.turn:
            await self._space(self.sensors)
            return {"time_ms": time.time_ns() // 1_000_000, **self.sensors.read(time.monotonic())}

    async def processes(self, call: Call, match: str = "", most: int = MOST_DEFAULT) -> Reply:
        """Answer machine.processes. match: a process name or a shell pattern of one, "" for all; most: rows in the
        list.
        """
        if not 0 <= most <= MOST_MAX:
            raise Failure("arguments", f"most must be a number from 0 to {MOST_MAX}; it was {most}")
        if len(match) > MATCH_MOST:
            raise Failure("arguments", f"match may have at most {MATCH_MOST} characters; it had {len(match)}")
        async with self.turn:
            await self._space(self.lister)
            answer = self.lister.read(time.monotonic(), match, most)
        return {"time_ms": time.time_ns() // 1_000_000, **answer}

    async def _space(self, reader: SensorReader | ProcessReader) -> None:
        """Wait until the reader has an earlier reading to compare with; nothing when the last one will do."""
        now = time.monotonic()
        if (wait := shortest_wait(reader.last_read, now)) > 0:
            reader.mark(now)
            await asyncio.sleep(wait)
