"""The first line of a file of output: what it says of the bytes that are gone, whatever a Hand or a disk left there."""

import pytest

from manifests.printed import bytes_gone, first_line


def test_the_next_first_line_adds_to_what_is_gone() -> None:
    first = first_line(b"", 0, 500)
    assert bytes_gone(first_line(first, 1_000 + len(first), 0)) + len(first_line(first, 1_000 + len(first), 0)) == 1_500


@pytest.mark.parametrize(
    "first", [b"", b"hello\n", b'{"level":"\xff","event":"x","bytes":1}\n', b"[" * 10_000, b'{"bytes":-1}']
)
def test_a_first_line_that_is_none_of_the_kernels_says_that_nothing_is_gone(first: bytes) -> None:
    assert bytes_gone(first) == 0
