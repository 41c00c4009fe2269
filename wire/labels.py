"""Labels: where a piece of content came from, as sets that only grow (pure).

A set in a header holds at most LABELS_MAX labels. What would be more becomes EVERYTHING, which stands for every label
there is: it says more than was true, never less, so no label is lost, nobody's link ends for what another Hand marked,
and whatever later asks "may this label go there?" must take it for all of them. Joining is associative, commutative and
idempotent, so the order in which replies, chunks and events arrive does not matter.
"""

from collections.abc import Iterable
from typing import Final

from wire import limits

Labels = frozenset[str]

ANY: Final = "*"
_NONE: Final[Labels] = frozenset()
_CONTROL: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\ufffd")
EVERYTHING: Final[Labels] = frozenset((ANY,))


def plain(label: str) -> str:
    """A label as it can travel: a control character, which a line that holds it would end at, is U+FFFD."""
    return label.translate(_CONTROL)


def join(*sets: Iterable[str]) -> Labels:
    """All labels of all sets, or EVERYTHING when these are more than a header can carry."""
    if not any(sets):
        return _NONE
    together = frozenset().union(*sets)
    return EVERYTHING if ANY in together or len(together) > limits.LABELS_MAX else together
