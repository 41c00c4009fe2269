"""Decides whether and when the same request is made to the same model again (pure).

Only if failures.KINDS says so; never after any of the answer was shown; at most TRIES times in all; never later than the time
left allows. The pause doubles from FIRST to LONGEST seconds, of which a random half to all is waited, so that requests that
failed together are not repeated together. If the provider said how long to wait, the pause is that long, or there is no retry
if that is more than PATIENCE or than the time left.
"""

from typing import Final

from runtime.models.failures import ModelFailed

TRIES: Final = 4
FIRST: Final = 0.5
LONGEST: Final = 20.0
PATIENCE: Final = 60.0


def retry_pause(failure: ModelFailed, tries: int, *, shown: bool, left: float, chance: float) -> float | None:
    """Return the seconds until the next try, None for no retry. tries: made so far. left: seconds. chance: random, 0 to 1."""
    if shown or not failure.kind.again or tries >= TRIES:
        return None
    if failure.after is not None:
        pause = max(0.0, failure.after)
        return pause if pause <= PATIENCE and pause < left else None
    pause = min(LONGEST, FIRST * 2 ** max(0, tries - 1)) * (0.5 + min(1.0, max(0.0, chance)) / 2)
    return pause if pause < left else None
