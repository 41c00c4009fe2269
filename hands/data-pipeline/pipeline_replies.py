"""What is told of a job, as facts that have room in one message (pure): columns, problems, notes, rejected rows.

Separate because every way to an end tells them, and a source decides how many there are: twenty thousand columns, or as
many faults in one row, must not turn a job that is done into a run that failed. What is left out is counted.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from pipeline_errors import Problem
from pipeline_rows import Column, Reject, raw_text
from pipeline_schema import Settled
from pipeline_spec import Spec

LIST_MOST: Final = 96 * 1024
"""Bytes of one list of a reply; a message has a mebibyte."""

WORDS_MOST: Final = 1_000
"""Characters that are shown of one reason, name or raw row."""


def bounded(items: Iterable[object], most: int = LIST_MOST) -> list[object]:
    """The first of them, as many as have room."""
    found: list[object] = []
    used = 0
    for item in items:
        used += len(msgspec.msgpack.encode(item))
        if used > most:
            break
        found.append(item)
    return found


def problem_facts(problems: Sequence[Problem]) -> list[object]:
    """Problems as a reply tells them."""
    return bounded({key: cut(text) for key, text in problem._asdict().items()} for problem in problems)


def column_facts(spec: Spec, settled: Settled, columns: Sequence[Column], notes: Iterable[str]) -> dict[str, object]:
    """schema, columns and notes of a reply."""
    declared = {rule.name for rule in spec.schema.columns if rule.kind is not None}
    schema = bounded(
        {"name": rule.name, "type": rule.kind, "declared": rule.name in declared} for rule in settled.rules
    )
    shown = bounded(column._asdict() for column in columns)
    told = bounded(map(cut, notes))
    if left := max(len(settled.rules) - len(schema), len(columns) - len(shown)):
        told.append(f"There are {left} more columns, which are not shown here.")
    return {"schema": schema, "columns": shown, "notes": told}


def reject_facts(rejects: Iterable[Reject]) -> list[dict[str, object]]:
    """Rejected rows as a reply shows them."""
    return [
        {
            **reject._asdict(),
            "column": cut(reject.column),
            "reason": cut(reject.reason),
            "raw": cut(raw_text(reject.raw)),
        }
        for reject in rejects
    ]


def cut(text: str, most: int = WORDS_MOST) -> str:
    """A text, or its beginning and a sign that it goes on."""
    return text if len(text) <= most else text[: most - 1] + "…"
