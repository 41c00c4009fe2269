"""Selects the cases of a test that `./just test` runs, evenly spread; the rest are `wide`, for `./just soak` (pure)."""

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet


def spread(cases: Iterable[object], most: int) -> list[ParameterSet]:
    """Cases for parametrize, all but `most` of them marked `wide`. A tuple is one case with several arguments."""
    found = [_as_param(case) for case in cases]
    count = min(most, len(found))
    kept = {number * len(found) // count for number in range(count)}
    return [
        case if number in kept else case._replace(marks=[*case.marks, pytest.mark.wide])
        for number, case in enumerate(found)
    ]


def _as_param(case: object) -> ParameterSet:
    if isinstance(case, ParameterSet):
        return case
    return pytest.param(*case) if isinstance(case, tuple) else pytest.param(case)
