"""A pipeline as values: what the checker returns and the interpreter follows (pure).

Durations are integers of milliseconds and end in `_ms`. What each key means stands in keys.py. Texts in `given`, `when`,
`for_each` and `outputs` may hold expressions, which expressions.py has found to be in order.
"""

from typing import Final

from msgspec import Struct

from manifests.schema import Capability

STOP: Final = "stop"
SKIP: Final = "skip"
"""What `on_failure` may say besides the name of a step."""


class Retry(Struct, frozen=True, kw_only=True):
    """times: further attempts; backoff_ms: before the first of them, doubled for each next; on: codes, () for any."""

    times: int
    backoff_ms: int = 1_000
    on: tuple[str, ...] = ()


class Work(Struct, frozen=True, kw_only=True):
    """One run to be made, and again as `retry` says. given: its inputs; timeout_ms: 0 for none but its Hand's `wall`.

    is_pipeline: the Hand is said to be a pipeline. approval: why it begins only after the operator's yes, "" for at once.
    """

    hand: str
    is_pipeline: bool = False
    given: dict[str, object] = {}
    retry: Retry | None = None
    timeout_ms: int = 0
    approval: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """One step. needs: steps that must be over first, those that its expressions name among them.

    for_each: None, a list, or the text that gives one. on_failure: STOP, SKIP or a step that stands in. undo: what takes
    back a piece of it that was done. stands_in: it runs only in the place of another.
    """

    name: str
    work: Work
    needs: tuple[str, ...] = ()
    when: str = ""
    for_each: object = None
    parallel: int = 1
    on_failure: str = STOP
    undo: Work | None = None
    stands_in: bool = False


class Pipeline(Struct, frozen=True, kw_only=True):
    """A whole file. inputs: types by name; steps and last (`[finally]`) in the order of the file; lends: None if not said.

    parallel: most runs at once; wall_ms: most time of a whole run; schedule: the table as it was written, {} for none.
    """

    name: str
    version: str
    description: str
    wall_ms: int
    parallel: int
    inputs: dict[str, str] = {}
    lends: tuple[Capability, ...] | None = None
    steps: dict[str, Step] = {}
    last: dict[str, Step] = {}
    outputs: dict[str, object] = {}
    schedule: dict[str, object] = {}

    def hands(self) -> tuple[str, ...]:
        """The Hands whose runs it makes, each once, in the order of the file."""
        works = [
            work for step in (*self.steps.values(), *self.last.values()) for work in (step.work, step.undo) if work
        ]
        return tuple(dict.fromkeys(work.hand for work in works))
