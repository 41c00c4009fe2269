"""What a pipeline keeps of what its steps gave (pure): what an expression can still name, and not more than it has room for.

All outputs lie in the memory of the pipeline's own run. One that fills it ends as it stands: nothing is undone, and no
[finally] comes. So what nobody will name is let go at once, and the rest is weighed.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.msgpack import Ext

from manifests.pipeline.expressions import parse_text
from manifests.pipeline.schema import Pipeline

KEPT_MOST: Final = 64 << 20
"""What the outputs of all steps may weigh, where nothing else is said."""

SHARE: Final = 4
"""One part in so many of a run's memory is for outputs: what is made of them takes as much again, more than once."""

_PLAIN: Final = 64
_ITEM: Final = 8
_ROW: Final = 120
"""Bytes of a number or of any value's head, of a place in a list and of one in a table, generously."""


class Kept:
    """The outputs' weight. most: what all of them may weigh."""

    def __init__(self, pipeline: Pipeline, most: int) -> None:
        self.most = most
        self._left = most
        self._named = {path[1] for path in _paths([*_everything(pipeline)]) if path[0] == "steps"}

    def is_named(self, step: str) -> bool:
        """Whether any expression names what a step gave."""
        return step in self._named

    def has_room(self, output: object) -> bool:
        """Whether an output can be kept besides all that are; then it is."""
        self._left -= weight(output)
        return self._left >= 0


def names_output(undo: object) -> bool:
    """Whether the inputs of an undo name what the piece gave that it takes back."""
    return any(path[0] == "output" for path in _paths(undo))


def weight(value: object) -> int:
    """Bytes of a process's memory that a value takes, about and rather too many. It may lie deeper than functions can."""
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
    """All that may hold expressions."""
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
