"""What follows for a run from the code of a failure of its model, or of an end of its own (values only)."""

from typing import Final

from runtime.models.failures import KINDS

LOST: Final = frozenset({"outcome unknown", "interrupted", "ended"})
"""Codes of answers that may have been made, and were lost. A model changes nothing, so it is asked again; what the first one
had reserved is counted as spent, as the kernel counts it.
"""

NO_PICTURES: Final = frozenset({"unfit", "request", "paused", "unconfigured"})
"""Codes of models that take no pictures, or not these, and of a route where those that do cannot be asked now: what a tool
returned must not end the work.
"""

TOO_LONG: Final = frozenset({"too_long", "too large"})
LIMITS: Final = TOO_LONG | {"steps", "tokens", "dollars", "time", "over_most", "over_budget"}
"""Codes of ends that take nothing from an answer which was finished before somebody said more."""

OVER: Final = {"over_most": "its next answer could have cost more than is left"}

PASSING: Final = frozenset(code for code, kind in KINDS.items() if kind.again) | {"paused"}
"""Codes of what passes without anybody's doing anything about it."""
