"""When a memory fades, and when it has proved itself (pure): the curve of consolidation.

Strength is Ebbinghaus's curve as fitted by power laws (Wixted and Ebbesen, 1991) with the benefit of use (Anderson and
Schooler, 1991): ((1 + days / (PACE * (1 + again))) ** -DECAY) ** (1 - importance), where days count from the last use, and
again is how often it was used, or stored after the first time. Importance 1 never fades.
"""

import math
from typing import Final

DAY: Final = 24 * 3_600 * 1_000_000
PACE: Final = 30.0
"""Days after which what was never used is at 2 ** -DECAY of its strength."""

DECAY: Final = 1.0
ARCHIVED: Final = 0.2
"""Strength below which a fragment is archived: one that was never used after four months if its importance is 0, after two
years if it is 0.5, and never in practice if it is 0.9."""

RECURRING: Final = 3
PROMOTION: Final = 0.1
"""How often it was stored or used again for each step up in importance, and how much that is."""

PROMOTED_MOST: Final = 0.9


def strength(*, age: int, again: int, importance: float) -> float:
    """From 1 down to 0. age: microseconds since the last use; again: uses, and times that it was stored after the first."""
    days = max(0, age) / DAY
    faded = math.pow(1 + days / (PACE * (1 + again)), -DECAY)
    return math.pow(faded, 1 - importance)


def promoted(*, importance: float, before: int, again: int) -> float:
    """The importance of what recurred `again` times by now, and `before` times when it was last looked at."""
    steps = again // RECURRING - before // RECURRING
    return (
        importance if steps <= 0 or importance >= PROMOTED_MOST else min(PROMOTED_MOST, importance + steps * PROMOTION)
    )
