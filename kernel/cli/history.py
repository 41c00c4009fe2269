"""Runs as the log tells them (pure but for reading it): when they began, how they ended, what they called."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from manifests.waiting import WAITS
from wire.entries import Entry

NEEDLES: Final = (b'"kind":"kernel.start"', b'"kind":"run.', b'"kind":"decision"', b'"method":"run"')
"""What a line of the log holds that says something of a run as a whole."""


class PastRun(Struct, kw_only=True):
    """One run. outcome: working, waits: upgraded, done, failed, refused, cancelled, ended (a service's) or died.

    Times are the log's. Of one that lives, processor time and memory are those of its processes that have ended.
    """

    run: str
    hand: str
    version: str
    kind: str
    started: str
    ended: str = ""
    outcome: str = "working"
    why: str = ""
    exit: str = ""
    cpu_seconds: float = 0.0
    memory_peak: int = 0
    calls: int = 0
    confinement: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    seq: int = 0


def gather(entries: Iterable[Entry]) -> dict[str, PastRun]:
    """Every run that these entries tell of, in the order of their starts."""
    runs: dict[str, PastRun] = {}
    work: dict[int, str] = {}
    for entry in entries:
        match entry.kind:
            case "run.start" if entry.run not in runs:  # and not another process of a run that goes on
                runs[entry.run] = PastRun(
                    run=entry.run,
                    hand=str(entry.detail.get("name", "")),
                    version=str(entry.detail.get("version", "")),
                    kind=str(entry.detail.get("kind", "")),
                    started=entry.time,
                    seq=entry.seq,
                )
                if entry.call:
                    work[entry.call] = entry.run
            case "run.confined" if entry.run in runs:
                run = runs[entry.run]
                run.confinement, run.lacking = (_names(entry.detail.get(name)) for name in ("applied", "missing"))
            case "decision" if entry.run in runs and not runs[entry.run].ended:
                run = runs[entry.run]
                run.outcome, run.why = (WAITS, entry.why) if entry.verdict == "asked" else ("working", "")
            case "kernel.start":
                _lose(runs.values(), entry.time)
            case "run.left" if entry.run in runs:
                run = runs[entry.run]
                run.cpu_seconds += _number(entry.detail.get("cpu_us")) / 1_000_000
                run.memory_peak = max(run.memory_peak, _number(entry.detail.get("memory_peak")))
            case "run.end" if entry.run in runs:
                _end(runs[entry.run], entry)
            case "end" if entry.call in work:
                run = runs[work[entry.call]]
                run.outcome, run.why = entry.verdict, entry.why
            case _:
                pass
    return runs


def how_to_decide(run: str) -> str:
    """The next command for a run whose code was upgraded."""
    return f"`maniple decide {run} finish`, or `… restart`, or `maniple cancel {run}`"


def _lose(runs: Iterable[PastRun], time: str) -> None:
    """A kernel has started: what a killed one before it ran, and nobody takes up, has no end of its own."""
    for run in runs:
        if run.kind == "service" and not run.ended:
            run.ended, run.outcome, run.why = time, "died", "the kernel ended before it"


def _end(run: PastRun, entry: Entry) -> None:
    run.ended = entry.time
    if run.outcome in ("working", WAITS):
        run.outcome, run.why = entry.verdict, entry.why
    detail = entry.detail
    run.exit = str(detail.get("exit", ""))
    run.cpu_seconds = _number(detail.get("cpu_us")) / 1_000_000
    run.memory_peak = max(run.memory_peak, _number(detail.get("memory_peak")))
    run.calls = _number(detail.get("calls"))


def _names(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
