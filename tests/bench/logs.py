"""Measures the log: entries written to disk, and entries verified, per second (acts)."""

import os
import select
import time
from pathlib import Path
from typing import Final

from kernel.record.log import Log
from kernel.record.recovery import Lines, read_notes, recover
from tests.bench.samples import Row
from wire.checkpoint import open_checkpoints
from wire.entries import Body
from wire.signing import SigningKey
from wire.snapshot import Snapshot
from wire.verify import verify_lines

ENTRIES: Final = 40_000
GROUP: Final = 100
"""How many entries are added for each one that is waited for until it is on disk."""

_ORIGIN: Final = "maniple.local/log/bench"
_KEY: Final = SigningKey(_ORIGIN, bytes(range(32)))
_BODY: Final = Body(digest="ab" * 32, size=30)


def _write_rate(home: Path) -> float:
    """Write ENTRIES entries to a new log; entries per second until all are on disk."""
    folder = home / "log"
    (home / "journal").mkdir(parents=True)
    recovered = recover(folder, Snapshot(origin=_ORIGIN, size=0), lambda entry: None, key=_KEY.verify_key)
    wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    log = Log(folder, key=_KEY, origin=_ORIGIN, chain=recovered.chain, wake=wake, clock=lambda: time.time_ns() // 1000)
    told: list[int] = []
    begun = time.perf_counter()
    for number in range(ENTRIES):
        seq = log.append(
            "call", principal="r-0123456789abcdef", run="r-0123456789abcdef", method="files.read",
            resource="reports/2026/november.csv", verdict="allowed", arguments=_BODY, call=number * 2,
            detail={"effect": "read"},
        )  # fmt: skip
        if number % GROUP == 0:
            log.after(seq, lambda: told.append(1))
            log.run_due_acts()
    log.after(log.size - 1, lambda: told.append(1))
    while log.durable < log.size:
        select.select([wake], [], [], 1)
        log.run_due_acts()
    taken = time.perf_counter() - begun
    log.close()
    os.close(wake)
    return ENTRIES / taken


def _plain_write_rate(folder: Path) -> float:
    """Write as many lines of the same length, synced by GROUP, with nothing computed; lines per second."""
    line = b"x" * 400 + b"\n"
    group = line * GROUP
    descriptor = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    begun = time.perf_counter()
    for _ in range(ENTRIES // GROUP):
        os.write(descriptor, group)
        os.fdatasync(descriptor)
    taken = time.perf_counter() - begun
    os.close(descriptor)
    return ENTRIES / taken


def _verify_rate(home: Path) -> float:
    """Verify the whole log; entries per second of processor time."""
    lines = Lines(home / "log")
    begun = time.process_time()
    own = open_checkpoints(read_notes(home / "log", _ORIGIN), [_KEY.verify_key], _ORIGIN)
    verify_lines(lines, checkpoints=own)
    return ENTRIES / (time.process_time() - begun)


def log(folder: Path, rounds: int) -> list[Row]:
    """In each round write a log, write as many plain lines, and verify the log."""
    written, plain, verified = [], [], []
    for number in range(rounds):
        home = folder / f"home-{number}"
        written.append(_write_rate(home))
        plain.append(_plain_write_rate(folder))
        verified.append(_verify_rate(home))
    what = f"log: durable entries per second, one of {GROUP} waited for (bare: plain lines, synced by {GROUP})"
    return [
        Row(
            name="log", what=what, unit="/s", ours=tuple(written), bare=tuple(plain), judged="median",
            limit=20_000, at_least=True,
        ),
        Row(
            name="verify", what="log: entries verified per second of one core", unit="/s", ours=tuple(verified),
            judged="median", limit=50_000, at_least=True,
        ),
    ]  # fmt: skip
