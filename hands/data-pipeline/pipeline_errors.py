"""The errors that end a job (pure).

    PipelineError
    ├── SpecInvalid    the description of the job is wrong; holds all its problems; nothing was touched
    └── JobFailed      the description is fine, but this input or target cannot be worked with; the target is as it was

A single row that does not fit is neither: it becomes a Reject (pipeline_rows.py) and the job goes on.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from manifests.suggestions import suggestion

PROBLEMS_TOLD: Final = 100
"""Problems in the text of a SpecInvalid; further ones are only counted."""


class Problem(NamedTuple):
    """One problem in a spec. key: dotted, such as `steps[2].column`. instead: what to write."""

    key: str
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}. {self.instead}"


class PipelineError(Exception):
    """The base class of both."""


class SpecInvalid(PipelineError):
    """The job's description is wrong. problems: all of them, in the order of the keys."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        head = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        told = [f"  {str(problem)[:2000]}" for problem in self.problems[:PROBLEMS_TOLD]]
        left = len(self.problems) - len(told)
        more = [f"  and {left} more"] if left else []
        super().__init__("\n".join([f"the pipeline spec has {head}:", *told, *more]))


class JobFailed(PipelineError):
    """The job cannot be done; the target is unchanged. code: a key of CODES."""

    def __init__(self, code: str, text: str, **detail: object) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.detail = detail


CODES: Final = {
    "spec": "The description of the job is wrong; `detail.problems` has each problem.",
    "source": "The source cannot be read as what the spec says it is.",
    "target": "The target cannot take the rows: another shape, an existing table, a damaged file.",
    "rejects": "More rows were rejected than `reject_at_most` allows.",
    "conflict": "Somebody changed the target while the job ran; their change was kept.",
    "step": "A step cannot give its result, such as a sum beyond 64 bits.",
    "files": "The Hand `files` refused or failed; the text has its words.",
}
"""The codes of a failed job."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A sentence that suggests a known name for an unknown one."""
    told = suggestion(wrong, known)
    return told[0].upper() + told[1:] + ("" if told.endswith("?") else ".")
