"""The report for a person counts what happened, and says when there was more."""

from typing import Any

import pytest

from tests.hands.doubles import hand_module

report: Any = hand_module("monitoring", "monitor_report")


@pytest.mark.parametrize(
    ("count", "more", "told"),
    [
        (0, False, "nothing changed."),
        (1, False, "1 change."),
        (2, False, "2 changes."),
        (200, False, "200 changes."),
        (200, True, "more than 200 changes."),
    ],
)
def test_changes_are_counted(count: int, more: bool, told: str) -> None:
    changes = [report.Change(at=0, target="door", kind="note", text="it opened")] * count
    first, *rest = report.report_text([], changes, [], [], 0, more=more).splitlines()
    assert first == f"Since 1970-01-01T00:00:00Z: {told}"
    assert len(rest) == min(count, 51)
    assert count <= 50 or rest[-1] == ("  and more" if more else "  and 150 more")
