"""The Hand `machine`: measures this machine (acts; thin). Provides machine.stats and machine.processes.

Only this Hand reads /proc and /sys, so that no other needs to. It needs no grant and calls nobody.
"""

import asyncio
import time

from machine_processes import ProcessReader
from machine_rates import MATCH_MOST, MOST_DEFAULT, MOST_MAX, shortest_wait
from machine_sensors import SensorReader
from runtime import Call, Failure, Hand

Reply = dict[str, object]


class Machine(Hand):
    """Provides machine.*. Percentages need two readings: the earlier one is the last call's, if recent enough."""

    async def start(self) -> None:
        self.sensors = SensorReader()
        self.lister = ProcessReader()
        self.turn = asyncio.Lock()  # of two readings at the same instant, the second would show no load

    async def stats(self, call: Call) -> Reply:
        """machine.stats: every sensor that can be read; under `missing`, each that cannot and why."""
        async with self.turn:
            await self._await_earlier_reading(self.sensors)
            return {"time_ms": time.time_ns() // 1_000_000, **self.sensors.read(time.monotonic())}

    async def processes(self, call: Call, match: str = "", most: int = MOST_DEFAULT) -> Reply:
        """machine.processes. match: a process name or a shell pattern, "" for all. most: rows of the list."""
        if not 0 <= most <= MOST_MAX:
            raise Failure("arguments", f"most must be a number from 0 to {MOST_MAX}; it was {most}")
        if len(match) > MATCH_MOST:
            raise Failure("arguments", f"match may have at most {MATCH_MOST} characters; it had {len(match)}")
        async with self.turn:
            await self._await_earlier_reading(self.lister)
            answer = self.lister.read(time.monotonic(), match, most)
        return {"time_ms": time.time_ns() // 1_000_000, **answer}

    async def _await_earlier_reading(self, reader: SensorReader | ProcessReader) -> None:
        """Takes an earlier reading to compare with, and waits, unless the last one will do."""
        now = time.monotonic()
        if (wait := shortest_wait(reader.last_read, now)) > 0:
            reader.mark(now)
            await asyncio.sleep(wait)
