"""The displayed state of a run that waits for its operator (pure); separate for commands that only show it."""

from typing import Final

AWAITS_DECISION: Final = "waits: upgraded"
"""Shown for a run that waits for the operator's decision on an upgrade."""
