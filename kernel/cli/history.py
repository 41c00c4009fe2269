"""Reconstructs runs from entries of the log (pure): when they started, how they ended, how many calls they made."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from manifests.waiting import AWAITS_DECISION
from wire.entries import Entry

NEEDLES: Final = (b'"kind":"kernel.start"', b'"kind":"run.', b'"kind":"decision"', b'"method":"run"')
"""Texts, one of which each line of the log that gather() needs contains."""


NOT_RESUMED: Final = "run ended: "
"""How the reason of a `run.end` begins if a start of the kernel found the run unfinished and could not resume it."""


class PastRun(Struct, kw_only=True):
    """One run. outcome: working, waits: upgraded, done, failed, refused, cancelled, ended (of a service) or died.

    Times are texts as in the log. While the run lives, cpu_seconds and memory_peak cover only processes that have ended.
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
    """All runs in these entries, by id, in the order of their starts."""
    runs: dict[str, PastRun] = {}
    work: dict[int, str] = {}
    for entry in entries:
        match entry.kind:
            case "run.start" if entry.run not in runs:  # a later one is a new process of the same run
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
                run.outcome, run.why = (AWAITS_DECISION, entry.why) if entry.verdict == "asked" else ("working", "")
            case "kernel.start":
                _end_lost_services(runs.values(), entry.time)
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


def _end_lost_services(runs: Iterable[PastRun], time: str) -> None:
    """At a kernel's start, end services that have no end: the kernel before was killed, and they are not resumed."""
    for run in runs:
        if run.kind == "service" and not run.ended:
            run.ended, run.outcome, run.why = time, "died", "the kernel ended before it"


def _end(run: PastRun, entry: Entry) -> None:
    run.ended = entry.time
    if run.outcome in ("working", AWAITS_DECISION):
        run.outcome, run.why = entry.verdict, entry.why
    elif entry.why.startswith(NOT_RESUMED):  # tells more than the end of its work
        run.why = entry.why
    detail = entry.detail
    run.exit = str(detail.get("exit", ""))
    run.cpu_seconds = _number(detail.get("cpu_us")) / 1_000_000
    run.memory_peak = max(run.memory_peak, _number(detail.get("memory_peak")))
    run.calls = _number(detail.get("calls"))


def _names(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
