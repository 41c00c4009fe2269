"""What the log tells of an unfinished run's scratch folder is known to the next kernel."""

from typing import Any

from manifests.installed import Package
from manifests.state import State, fold, from_bytes, to_bytes
from wire.entries import NO_PREV, Entry
from wire.limits import LABELS_MAX


def _load(folder: str) -> Package:
    raise AssertionError(f"nothing is installed from {folder}")


def _folded(said: list[dict[str, Any]]) -> State:
    state = State()
    for seq, one in enumerate(said):
        time = "2026-11-21T00:00:00.000000Z"
        fold(state, Entry(seq=seq, prev=NO_PREV, time=time, principal="kernel", **one), _load)
    return from_bytes(to_bytes(state))


def test_what_may_lie_in_a_runs_scratch_folder_is_marked_for_the_next_kernel() -> None:
    full = tuple(sorted(f"mark-{number}" for number in range(LABELS_MAX)))
    said: list[dict[str, Any]] = [
        {"kind": "run.start", "run": "r-1", "call": 4, "detail": {"kind": "task", "name": "a", "hand": "h"}},
        {"kind": "call", "call": 4, "method": "run", "labels": ("mcp",)},
        {"kind": "label", "run": "r-1", "labels": ("web",)},
        {"kind": "label", "run": "r-gone", "labels": ("web",)},
        {"kind": "label", "run": "r-1", "labels": full},
    ]
    known = [_folded(said[:count]).unfinished["r-1"] for count in (1, 2, 4, 5)]
    assert [one.labels for one in known] == [(), ("mcp",), ("mcp", "web"), ("*",)]
    assert known[2].seen({"files"}) == {"files", "mcp", "web"}
