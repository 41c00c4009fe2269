"""How long a run waits for its model, when that cannot be asked for a while (pure).

`model` itself tries again for some seconds; a provider may be gone for minutes. What a run has worked out by then is worth
more than these. A run that has had no answer yet loses nothing by ending at once, and whoever began it hears why.
"""

from typing import Final

from runtime.agent.codes import PASSING

MOST: Final = 600
"""Seconds that are waited in all, from one answer to the next."""

_FIRST: Final = 5
_LONGEST: Final = 60


class Outage:
    """The failures since the model last answered."""

    def __init__(self) -> None:
        self._waited = self._times = 0
        self._last = ""

    def pause(self, code: str, text: str) -> int:
        """Seconds, at most, until it is asked again after such a failure; 0 where it is not."""
        if code not in PASSING:
            return 0
        self._last = f"{code}: {text}"
        pause = min(_FIRST << self._times, _LONGEST, MOST - self._waited)
        self._waited, self._times = self._waited + pause, self._times + 1
        return pause

    def waiting_note(self, pause: int) -> str:
        """That it waits now, for people."""
        left = MOST - self._waited + pause
        return f"{self._last}; it is asked again in at most {pause} s, for {left} s more"

    def final_text(self, text: str) -> str:
        """Why it ends, of a failure's text."""
        return f"{text}; it was waited for, {self._waited} s in all" if self._waited else text

    def late(self) -> str:
        """What else there is to say of a run whose time is over."""
        return f"; it waited for its model ({self._last})" if self._waited else ""
