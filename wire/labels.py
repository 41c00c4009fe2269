"""Labels: where a piece of content came from, as sets that only grow (pure).

A set in a header holds at most LABELS_MAX labels. A larger set becomes EVERYTHING, which stands for all labels: it claims
more than is true, never less. So no label is lost, and no peer is ended for labels that another Hand set; a rule about
where a label may go must treat it as all of them. Joining is associative, commutative and idempotent, so the order in
which replies, chunks and events arrive does not matter.
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
    """Replace control characters in a label by U+FFFD: labels are kept one per line."""
    return label.translate(_CONTROL)


def join(*sets: Iterable[str]) -> Labels:
    """Return the union of all sets; EVERYTHING if that is more than a header can carry."""
    if not any(sets):
        return _NONE
    together = frozenset().union(*sets)
    return EVERYTHING if ANY in together or len(together) > limits.LABELS_MAX else together
