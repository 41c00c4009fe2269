"""Facts about a job that fit into one message (pure): columns, problems, notes, rejected rows.

Separate because every way to an end needs them, and the source decides how many there are: twenty thousand columns, or as
many faults in one row, must not turn a finished job into a failed run. What is left out is counted.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from pipeline_errors import Problem
from pipeline_rows import Column, Reject, raw_text
from pipeline_schema import Settled
from pipeline_spec import Spec

LIST_MOST: Final = 96 * 1024
"""Bytes of one list of a reply; a message has 1 MiB."""

WORDS_MOST: Final = 1_000
"""Characters of one reason, name or raw row."""


def bounded(items: Iterable[object], most: int = LIST_MOST) -> list[object]:
    """The first items, as many as fit into `most` bytes."""
    found: list[object] = []
    used = 0
    for item in items:
        used += len(msgspec.msgpack.encode(item))
        if used > most:
            break
        found.append(item)
    return found


def problem_facts(problems: Sequence[Problem]) -> list[object]:
    """Problems as a reply."""
    return bounded({key: cut(text) for key, text in problem._asdict().items()} for problem in problems)


def column_facts(spec: Spec, settled: Settled, columns: Sequence[Column], notes: Iterable[str]) -> dict[str, object]:
    """The fields schema, columns and notes of a reply."""
    declared = {rule.name for rule in spec.schema.columns if rule.kind is not None}
    schema = bounded(
        {"name": rule.name, "type": rule.kind, "declared": rule.name in declared} for rule in settled.rules
    )
    shown = bounded(column._asdict() for column in columns)
    shown_notes = bounded(map(cut, notes))
    if left := max(len(settled.rules) - len(schema), len(columns) - len(shown)):
        shown_notes.append(f"There are {left} more columns, which are not shown here.")
    return {"schema": schema, "columns": shown, "notes": shown_notes}


def reject_facts(rejects: Iterable[Reject]) -> list[dict[str, object]]:
    """Rejected rows as a reply."""
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
    """The text, cut to `most` characters with a "…" at the end."""
    return text if len(text) <= most else text[: most - 1] + "…"
