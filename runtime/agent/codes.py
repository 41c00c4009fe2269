"""Failure codes of a model, and codes of a run's own end, by what the machine does about them (pure)."""

from typing import Final

from runtime.models.failures import KINDS, LARGER_WINDOW

LOST: Final = frozenset({"outcome unknown", "interrupted", "ended"})
"""The answer may have been made, and was lost. Asking a model changes nothing, so it is asked again; what the lost
answer had reserved counts as spent, as it does in the kernel.
"""

RETRY_WITHOUT_PICTURES: Final = frozenset({"unfit", "request", "paused", "unconfigured"})
"""The models of the route take no pictures, or not these, or those that do cannot be asked now. A picture that a tool
returned must not end the work.
"""

TOO_LONG: Final = frozenset({"too_long", "too large"})
LIMITS: Final = TOO_LONG | {"steps", "tokens", "dollars", "time", "over_most", "over_budget"}
"""A run that ends with one of these keeps an answer that was final before somebody said more."""

REASONS: Final = {"over_most": "its next answer could cost more than is left"}
"""Reasons that replace the text of a failure."""

TRANSIENT: Final = frozenset(code for code, kind in KINDS.items() if kind.again) | {"paused"}
"""Failures that pass without anybody doing anything about them."""


def too_long_reason(window: int, frame: int, answer: int) -> str:
    """Return why a request is too long. All are tokens; frame: of the request without messages."""
    why = f"the task and its last turn do not fit into the {window:,} tokens of its model's window"
    parts = f"its playbook, skills and tools take {frame:,}, its answer may take {answer:,}"
    return f"{why}: {parts}; {LARGER_WINDOW}"
