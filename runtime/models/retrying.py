"""Whether the same request is made to the same model again, and when (pure).

Only what failures.KINDS says may be tried again; never after anything of the answer was shown; at most TRIES times in all;
and never later than there is time for. The wait doubles from FIRST to LONGEST, shortened by chance to between a half and
all of it, so that many who failed together do not come back together. Where the provider said how long to wait, it is that
long, or not at all when it is more than PATIENCE or than is left.
"""

from typing import Final

from runtime.models.failures import ModelFailed

TRIES: Final = 4
FIRST: Final = 0.5
LONGEST: Final = 20.0
PATIENCE: Final = 60.0


def wait(failure: ModelFailed, tries: int, *, shown: bool, left: float, chance: float) -> float | None:
    """Seconds to the next try, None for no other. tries: made so far; left: seconds there are; chance: from 0 to 1."""
    if shown or not failure.kind.again or tries >= TRIES:
        return None
    if failure.after is not None:
        pause = max(0.0, failure.after)
        return pause if pause <= PATIENCE and pause < left else None
    pause = min(LONGEST, FIRST * 2 ** max(0, tries - 1)) * (0.5 + min(1.0, max(0.0, chance)) / 2)
    return pause if pause < left else None
