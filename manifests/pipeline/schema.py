"""The types of a checked pipeline, which check.py returns and the interpreter executes (pure).

Durations are integers of milliseconds and end in `_ms`. keys.py documents each key. Texts in `given`, `when`, `for_each`
and `outputs` may contain expressions, which expressions.py has checked.
"""

from typing import Final

from msgspec import Struct

from manifests.schema import Capability

STOP: Final = "stop"
SKIP: Final = "skip"
"""The values of `on_failure` other than the name of a step."""


class Retry(Struct, frozen=True, kw_only=True):
    """times: further attempts; backoff_ms: before the first of them, doubled for each next; on: codes, () for any."""

    times: int
    backoff_ms: int = 1_000
    on: tuple[str, ...] = ()


class Work(Struct, frozen=True, kw_only=True):
    """One run, made again as `retry` says. given: its inputs; timeout_ms: 0 for none other than its Hand's `wall`.

    is_pipeline: the file calls the Hand a pipeline. approval: why it needs the operator's approval, "" if it does not.
    """

    hand: str
    is_pipeline: bool = False
    given: dict[str, object] = {}
    retry: Retry | None = None
    timeout_ms: int = 0
    approval: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """One step. needs: steps that must be over first, including those that its expressions name.

    for_each: None, a list, or an expression for one. on_failure: STOP, SKIP or a step that stands in. undo: the run that
    undoes a finished piece. stands_in: it runs only in place of another step.
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
    """A whole file. inputs: types by name; steps and last (`[finally]`): in file order; lends: None without that section.

    parallel: the most runs at once; wall_ms: the most time of a whole run; schedule: the table as written, {} for none.
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
        """Return the Hands of its steps and undos, each once, in file order."""
        works = [
            work for step in (*self.steps.values(), *self.last.values()) for work in (step.work, step.undo) if work
        ]
        return tuple(dict.fromkeys(work.hand for work in works))
