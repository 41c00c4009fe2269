"""Joining labels: no label is ever lost, whatever the order, and what a header carries stays within its limit."""

from hypothesis import given
from hypothesis import strategies as st

from wire.labels import ANY, EVERYTHING, Labels, join
from wire.limits import LABELS_MAX

SETS = st.frozensets(st.integers(0, 80).map(str) | st.just(ANY), max_size=LABELS_MAX + 8)


def _says(some: Labels, label: str) -> bool:
    return label in some or some == EVERYTHING


@given(SETS, SETS)
def test_whatever_either_says_both_together_say(one: Labels, other: Labels) -> None:
    joined = join(one, other)
    assert all(_says(joined, label) for label in one | other)
    assert len(joined) <= LABELS_MAX


@given(SETS, SETS, SETS)
def test_the_order_in_which_things_arrive_does_not_matter(one: Labels, other: Labels, third: Labels) -> None:
    assert join(join(one, other), third) == join(one, join(other, third)) == join(third, other, one)
    assert join(one, one) == join(one)


@given(SETS)
def test_what_fits_is_kept_as_it_is(one: Labels) -> None:
    assert join(one) == (one if len(one) <= LABELS_MAX and ANY not in one else EVERYTHING)
