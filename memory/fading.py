"""Fading and promotion of fragments: the formulas of consolidation (pure).

Strength is Ebbinghaus's curve as fitted by power laws (Wixted and Ebbesen, 1991) with the benefit of use (Anderson and
Schooler, 1991): ((1 + days / (PACE * (1 + again))) ** -DECAY) ** (1 - importance), where days count from the last use, and
again is the number of uses and of repeated stores. Importance 1 never fades.
"""

import math
from typing import Final

DAY: Final = 24 * 3_600 * 1_000_000
PACE: Final = 30.0
"""Days after which a fragment that was never used has 2 ** -DECAY of its strength."""

DECAY: Final = 1.0
ARCHIVED: Final = 0.2
"""The strength below which a fragment is archived. Never used, it takes four months if its importance is 0, two years if
0.5, and practically for ever if 0.9."""

RECURRING: Final = 3
PROMOTION: Final = 0.1
"""The number of repeated stores or uses per step of importance, and the size of a step."""

PROMOTED_MOST: Final = 0.9


def strength(*, age: int, again: int, importance: float) -> float:
    """Return the strength, from 1 down to 0. age: microseconds since the last use; again: uses and repeated stores."""
    days = max(0, age) / DAY
    faded = math.pow(1 + days / (PACE * (1 + again)), -DECAY)
    return math.pow(faded, 1 - importance)


def promoted_importance(*, importance: float, before: int, again: int) -> float:
    """Return the importance of a fragment that has recurred `again` times, and `before` times at its last promotion."""
    steps = again // RECURRING - before // RECURRING
    return (
        importance if steps <= 0 or importance >= PROMOTED_MOST else min(PROMOTED_MOST, importance + steps * PROMOTION)
    )
