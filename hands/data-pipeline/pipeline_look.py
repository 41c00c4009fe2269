"""Checks a spec or previews its first rows, without doing the job (acts through Files; reads only)."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from pipeline_chain import Chain
from pipeline_errors import JobFailed, Problem, SpecInvalid
from pipeline_intake import Intake
from pipeline_job import Bench
from pipeline_plan import Sink
from pipeline_replies import column_facts, problem_facts, reject_facts
from pipeline_rows import Batch, Column, Ledger, Value
from pipeline_schema import SAMPLE_ROWS
from pipeline_spec import Save
from pipeline_values import written

ROWS_MAX: Final = 500
BROKEN_MOST: Final = 20 * SAMPLE_ROWS
"""Rows that are read while fewer than SAMPLE_ROWS of them are whole."""

CELL_MAX: Final = 1_000
"""Characters of one value in a preview."""
SHOWN_MAX: Final = 400_000
"""Bytes of all rows of a preview, with column names; a preview ends before the row that would exceed them."""


class _Nowhere:
    """The sink of a `save` step in a preview."""

    def write(self, batch: Batch, ledger: Ledger) -> None:
        """Drops the rows."""


def _nowhere(_: Save, __: Sequence[Column]) -> Sink:
    return _Nowhere()


async def problems_of(bench: Bench) -> dict[str, object]:
    """The reply of check for a spec whose keys are right: unreadable sources, missing columns, wrong types."""
    try:
        intake, chain = (await _sample(bench))[:2]
    except SpecInvalid as invalid:
        return {"ok": False, "problems": problem_facts(invalid.problems), "columns": [], "schema": [], "notes": []}
    except JobFailed as failed:
        problem = Problem("source", failed.text.rstrip("."), "Mend the source, or what the spec says of it.")
        return {"ok": False, "problems": problem_facts([problem]), "columns": [], "schema": [], "notes": []}
    problems = await _target_problems(bench)
    assert intake.settled is not None
    return {
        "ok": not problems,
        "problems": problem_facts(problems),
        **column_facts(bench.spec, intake.settled, chain.columns, [*bench.supply.notes, *intake.settled.notes]),
    }


async def _target_problems(bench: Bench) -> list[Problem]:
    target = bench.spec.target
    try:
        size = await bench.supply.files.size(target.path)
    except JobFailed as failed:
        return [Problem("target.path", failed.text.rstrip("."), "Write a path that is granted.")]
    if size is not None and target.mode == "create" and target.format != "sqlite":
        return [Problem("target.mode", f"{target.path} is there already", 'Write mode = "append" or "replace".')]
    return []


async def preview(bench: Bench, rows: int) -> dict[str, object]:
    """The first rows after the steps, from the first SAMPLE_ROWS rows of the source. Writes nothing."""
    intake, chain, batches, whole = await _sample(bench)
    found: list[dict[str, object]] = []
    shown = 0
    done = [batch for given in batches for batch in chain.feed(given, bench.ledger)]
    for batch in (*done, *chain.finish(bench.ledger)):
        names = [column.name for column in chain.columns]
        for row in zip(*batch.columns, strict=True):
            cells = {name: _cell(value) for name, value in zip(names, row, strict=True)}
            if len(found) < rows and shown <= SHOWN_MAX:
                shown += len(msgspec.msgpack.encode(cells))
                if shown <= SHOWN_MAX:
                    found.append(cells)
    assert intake.settled is not None
    return {
        "rows": found,
        "rows_read": intake.rows,
        "whole": whole,
        "rows_rejected": bench.ledger.total,
        "rejected": dict(bench.ledger.by_code),
        "rejects": reject_facts(bench.ledger.first),
        **column_facts(bench.spec, intake.settled, chain.columns, [*bench.supply.notes, *intake.settled.notes]),
    }


async def _sample(bench: Bench) -> tuple[Intake, Chain, list[Batch], bool]:
    """(intake, chain, the source's first rows, whether these are all)."""
    await bench.supply.measure(bench.sources)
    make_chain = await bench.planner(_nowhere)
    spec, found = bench.spec, list[Batch]()
    intake: Intake | None = None
    whole = True
    async with aclosing(bench.supply.source(spec.source, spec.schema, bench.ledger, "schema")) as supplied:  # type: ignore[type-var]
        async for intake, batches in supplied:
            found += batches
            if intake.settled is None and intake.rows >= BROKEN_MOST:
                found += intake.settle()
            if intake.settled is not None and not intake.ended:
                whole = False
                break
    assert intake is not None
    assert intake.settled is not None
    left = SAMPLE_ROWS
    first: list[Batch] = []
    for batch in found:
        first.append(batch.keep([at < left for at in range(batch.size)]))
        whole = whole and batch.size <= left
        left = max(0, left - batch.size)
    return intake, make_chain(intake.settled), first, whole


def _cell(value: Value) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = written(value)
    return text if len(text) <= CELL_MAX else text[: CELL_MAX - 1] + "…"
