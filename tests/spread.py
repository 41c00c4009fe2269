"""Which cases of a test `./just test` runs: some, evenly spread; `./just soak` runs the others, which are `wide` (pure)."""

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet


def spread(cases: Iterable[object], most: int) -> list[ParameterSet]:
    """All cases, as parametrize takes them, and all but `most` of them marked. A tuple is one case of several arguments."""
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
