"""How long a run waits while its model cannot be asked (pure).

The Hand `model` itself retries for some seconds; a provider may be gone for minutes, and what a run has worked out by
then is worth the wait. A run that has had no answer yet loses nothing by ending at once, and its caller learns why.
"""

from typing import Final

from runtime.agent.codes import TRANSIENT

MOST: Final = 600
"""Seconds of waiting in all, from one answer to the next."""

_FIRST: Final = 5
_LONGEST: Final = 60


class Outage:
    """The failures since the model last answered."""

    def __init__(self) -> None:
        self._waited = self._failures = 0
        self._last = ""

    def next_pause(self, code: str, text: str) -> int:
        """Count a failure; return the seconds until the model is asked again, at most, or 0 to give up."""
        if code not in TRANSIENT:
            return 0
        self._last = f"{code}: {text}"
        pause = min(_FIRST << self._failures, _LONGEST, MOST - self._waited)
        self._waited, self._failures = self._waited + pause, self._failures + 1
        return pause

    def waiting_note(self, pause: int) -> str:
        """Return the note for people that the run waits."""
        left = MOST - self._waited + pause
        return f"{self._last}; asking again in at most {pause} s, giving up after {left} s more"

    def end_reason(self, text: str) -> str:
        """Return why the run ends. text: of the last failure."""
        return f"{text}; gave up after waiting {self._waited} s" if self._waited else text

    def late_note(self) -> str:
        """Return what to add to the reason of a run whose time is over, "" if it was not waiting."""
        return f"; it was waiting for its model ({self._last})" if self._waited else ""
