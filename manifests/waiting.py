"""The words for a run that waits for its operator (pure): apart from what decides that, for commands that only show it."""

from typing import Final

WAITS: Final = "waits: upgraded"
"""The state of a run that waits for the operator's decision, as people see it."""
