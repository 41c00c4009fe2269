"""Joining labels: no label is ever lost, whatever the order, and what a header carries stays within its limit."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import codec, headers
from wire.errors import CodecError
from wire.labels import ANY, EVERYTHING, Labels, join, plain
from wire.limits import LABEL_MAX, LABELS_MAX

CONTROL = [chr(code) for code in range(0x100) if unicodedata.category(chr(code)) == "Cc"]
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


@pytest.mark.parametrize("character", CONTROL)
def test_no_label_with_a_control_character_travels(character: str) -> None:
    for label in (f"a{character}b", f"a{character}", character):
        with pytest.raises(CodecError):
            codec.decode_from_run(codec.encode(headers.Chunk(number=1, labels=(label,))))
        kept = headers.Chunk(number=1, labels=(plain(label),))
        assert codec.decode_from_run(codec.encode(kept)) == kept


@given(st.text(min_size=1, max_size=LABEL_MAX).filter(lambda text: not set(text) & set(CONTROL)))
def test_every_other_label_stays_as_it_is(label: str) -> None:
    assert plain(label) == label
    chunk = headers.Chunk(number=1, labels=(label,))
    assert codec.decode_from_run(codec.encode(chunk)) == chunk
