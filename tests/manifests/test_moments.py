"""A moment is typed as a date, a time of a day, or how long it is from now."""

import pytest

from manifests import moments
from manifests.errors import ValueInvalid

NOW = 1_764_547_200_000_000  # 2025-12-01T00:00:00Z
DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2025-12-01", NOW),
        ("2025-12-01T00:00", NOW),
        ("2025-12-01T01:00+01:00", NOW),
        ("2025-12-01T00:00:00.000001Z", NOW + 1),
        ("0s", NOW),
        ("2d", NOW - 2 * DAY),
        ("soon", None),
        ("2 d", None),
        ("2w", None),
        ("2025-13-01", None),
        ("", None),
    ],
)
def test_a_moment_is_read_and_what_is_none_is_not(text: str, micros: int | None) -> None:
    assert moments.parse_moment(text, NOW, ahead=False) == micros


def test_a_span_leads_to_either_side() -> None:
    assert moments.parse_moment("2d", NOW, ahead=True) == NOW + 2 * DAY
    with pytest.raises(ValueInvalid, match="more than ten years"):
        moments.parse_moment("4000d", NOW, ahead=True)
