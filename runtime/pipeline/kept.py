"""Bounds the outputs that a pipeline keeps (pure): only those that an expression can still name, up to a maximum size.

All outputs are in the memory of the pipeline's own run. A run that exceeds its memory ends at once: nothing is undone, and
[finally] does not run. So outputs that nothing will name are dropped at once, and the others are weighed.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.msgpack import Ext

from manifests.pipeline.expressions import parse_text
from manifests.pipeline.schema import Pipeline

KEPT_MOST: Final = 64 << 20
"""The default bound on the weight of all steps' outputs, in bytes."""

SHARE: Final = 4
"""Outputs get one part in so many of a run's memory: values made from them take as much again, more than once."""

_PLAIN: Final = 64
_ITEM: Final = 8
_ROW: Final = 120
"""Bytes of a number or of any value's head, of an entry in a list, and of one in a table, rounded up."""


class Kept:
    """Weighs the outputs. most: bytes that all of them may weigh."""

    def __init__(self, pipeline: Pipeline, most: int) -> None:
        self.most = most
        self._left = most
        self._named = {path[1] for path in _paths([*_everything(pipeline)]) if path[0] == "steps"}

    def is_named(self, step: str) -> bool:
        """Whether any expression names a step's output."""
        return step in self._named

    def has_room(self, output: object) -> bool:
        """Adds an output's weight. Returns whether it fits beside the others."""
        self._left -= weight(output)
        return self._left >= 0


def names_output(undo: object) -> bool:
    """Whether the inputs of an undo name the output of the piece that it undoes."""
    return any(path[0] == "output" for path in _paths(undo))


def weight(value: object) -> int:
    """Bytes of memory that a value takes, roughly, rather too many. Without recursion: a value may be nested very deeply."""
    total, left = 0, [value]
    while left:
        total += _PLAIN
        match left.pop():
            case str() as text:
                total += len(text) * (1 if text.isascii() else 4)
            case bytes() as data:
                total += len(data)
            case Ext(data=data):
                total += memoryview(data).nbytes
            case list() as items:
                total += _ITEM * len(items)
                left += items
            case dict() as rows:
                total += _ROW * len(rows)
                left += (*rows, *rows.values())
    return total


def _everything(pipeline: Pipeline) -> Iterator[object]:
    """All values that may hold expressions."""
    yield pipeline.outputs
    for step in (*pipeline.steps.values(), *pipeline.last.values()):
        yield step.when
        yield step.for_each
        for work in (step.work, step.undo):
            if work is not None:
                yield work.given
                yield work.approval


def _paths(value: object) -> Iterator[tuple[str | int, ...]]:
    match value:
        case str() if "${" in value:
            for expression in parse_text(value).expressions:
                yield from expression.paths.values()
        case list() | tuple():
            for item in value:
                yield from _paths(item)
        case dict():
            for inner in value.values():
                yield from _paths(inner)
