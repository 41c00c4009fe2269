"""The formulas of the README, worked out by hand: what is normal, how far a value is from it, and when that is unusual.

Separate from test_detection.py, which shows how well they find what is wrong: most of them can be wrong and find it still.
"""

import math
from types import SimpleNamespace

import pytest

from tests.hands.doubles import hand_module

baselines = hand_module("monitoring", "monitor_baseline")
statistics = hand_module("monitoring", "monitor_statistics")
metrics = hand_module("monitoring", "monitor_metrics")

WEEK = baselines.WEEK_HOURS
NOW = 100 * WEEK
"""The hour that is judged, some hour of the week."""

FACTORS = {2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107, 10: 10 / 9.2, 25: 25 / 24.2}
"""Croux and Rousseeuw's, by the size of the sample."""


def metric(floor: float = 0.001, share: float = 0.0, side: str = "both") -> SimpleNamespace:
    found: SimpleNamespace = metrics.Metric(unit="ms", floor=floor, floor_share=share, side=side, hold_ms=1)
    return found


def hour(number: int, median: float, mad: float, count: int = 12) -> SimpleNamespace:
    found: SimpleNamespace = baselines.Hour(
        number=number, count=count, least=median - mad, most=median + mad, mean=median, median=median, mad=mad
    )
    return found


def normal(
    hours: list[SimpleNamespace], last_day: list[float] | None = None, of: SimpleNamespace | None = None
) -> SimpleNamespace:
    found: SimpleNamespace = baselines.baseline(
        of or metric(), hours, last_day or [], now=NOW * baselines.HOUR_MS, first=0, learning_ms=0
    )
    return found


@pytest.mark.parametrize("count", FACTORS)
def test_sigma_is_the_mad_in_normal_deviations_by_the_factor_for_so_many_values(count: int) -> None:
    seen = statistics.spread([3.0 * one for one in range(count)])
    assert seen.sigma == pytest.approx(seen.mad / 0.6745 * FACTORS[count])


@pytest.mark.parametrize(
    ("sigma", "floor", "share", "found"), [(5.0, 2.0, 0.01, 5.0), (1.0, 2.0, 0.01, 2.0), (1.0, 2.0, 0.1, 10.0)]
)
def test_a_spread_is_the_largest_of_sigma_floor_and_share_of_the_centre(
    sigma: float, floor: float, share: float, found: float
) -> None:
    assert statistics.scale(sigma, -100.0, floor, share) == found


OWN = [hour(NOW - WEEK, 40.0, 3.0), hour(NOW - 2 * WEEK, 50.0, 9.0), hour(NOW - 3 * WEEK, 70.0, 6.0)]
"""Of the hour that is judged: their median is 50, the median of their distances from it 10."""


@pytest.mark.parametrize(("distance", "between"), [(1.0, 10.0), (16.0, 16.0)])
def test_an_hour_of_the_week_varies_from_week_to_week_and_within_itself(distance: float, between: float) -> None:
    """Two other hours of the week, in which the weeks vary as much as `distance`, are most of all hours there are."""
    others = [
        hour(NOW + slot - back * WEEK, 20.0 + place * distance, 1.0)
        for slot in (1, 2)
        for place, back in enumerate((1, 2, 3))
    ]
    found = normal([*OWN, *others])
    spread = math.sqrt((between / 0.6745 * 1.495) ** 2 + (6.0 / 0.6745) ** 2)
    assert (found.basis, found.centre, found.low, found.high, found.samples) == ("hour of week", 50.0, 50.0, 50.0, 3)
    assert found.spread == pytest.approx(spread)


@pytest.mark.parametrize(
    "more", [hour(NOW - 3 * WEEK, 70.0, 6.0, count=2), hour(NOW, 70.0, 6.0), hour(NOW - 3 * WEEK - 1, 70.0, 6.0)]
)
def test_an_hour_with_two_values_one_that_is_not_over_and_another_of_the_week_make_no_third_week(
    more: SimpleNamespace,
) -> None:
    assert normal([*OWN[:2], more]).basis == "learning"


DAY = [100.0 + one for one in (-2.0, -1.0, 0.0, 1.0, 2.0) * 10]
"""Fifty values of the last day: the median of their distances from 100 is 1."""


def test_the_last_day_is_normal_until_then_and_so_is_where_the_hours_before_it_have_been() -> None:
    before = [hour(NOW - 30, 60.0, 2.0), hour(NOW - 26, 140.0, 4.0), hour(NOW - 25, 90.0, 9.0)]
    within_the_day = [hour(NOW - 23, 900.0, 1.0), hour(NOW - 1, 10.0, 1.0)]
    found = normal([*before, *within_the_day], DAY)
    assert (found.basis, found.centre, found.samples) == ("last day", 100.0, 50)
    assert found.spread == pytest.approx(1.0 / 0.6745 * 50 / 49.2)
    margin = 3.5 * 4.0 / 0.6745
    assert (found.low, found.high) == (pytest.approx(60.0 - margin), pytest.approx(140.0 + margin))
    alone = normal(within_the_day, DAY)
    assert (alone.low, alone.high) == (100.0, 100.0)


def test_a_floor_holds_for_both_the_spread_and_the_range() -> None:
    found = normal([hour(NOW - 30, 60.0, 0.0)], DAY, metric(floor=8.0))
    assert (found.spread, found.low, found.high) == (8.0, 60.0 - 28.0, 60.0 + 28.0)


SIGNALS = {2.4: "good", 2.5: "between", 3.4: "between", 3.5: "between", 3.6: "bad", 10.4: "bad", 10.6: "bad"}
"""By the distance in spreads: beyond 3.5 it is unusual, below 0.7 of that usual again."""


@pytest.mark.parametrize("distance", SIGNALS)
@pytest.mark.parametrize(
    ("side", "above", "below"), [("both", True, True), ("above", True, False), ("below", False, True)]
)
def test_a_value_is_unusual_beyond_three_and_a_half_spreads_on_the_side_that_matters(
    side: str, above: bool, below: bool, distance: float
) -> None:
    of, usual = metric(side=side), baselines.Baseline(basis="last day", centre=50.0, spread=2.0, low=50.0, high=50.0)
    for sign, matters in ((1, above), (-1, below)):
        judged = baselines.judge(50.0 + sign * 2.0 * distance, usual, of, 3.5)
        assert judged.signal == (SIGNALS[distance] if matters else "good")
        assert judged.spike == (matters and distance > 10.5)
        assert judged.score == pytest.approx(sign * distance, abs=0.01)


def test_of_what_rises_for_ever_or_is_yes_or_no_nothing_is_unusual() -> None:
    usual = baselines.Baseline(basis="hour of week", centre=50.0, spread=1.0, low=50.0, high=50.0)
    kept = [name for name, of in metrics.METRICS.items() if baselines.judge(1e9, usual, of, 3.5) == baselines.UNJUDGED]
    assert kept == ["uptime_seconds", "up", "exists", "changed", "status"]


def test_within_the_range_where_it_has_been_nothing_is_unusual() -> None:
    usual = baselines.Baseline(basis="last day", centre=50.0, spread=1.0, low=10.0, high=90.0)
    signals = [baselines.judge(value, usual, metric(), 3.5).signal for value in (9.9, 10.0, 90.0, 90.1)]
    assert signals == ["bad", "good", "good", "bad"]


@pytest.mark.parametrize(("missing", "is_told"), [(12, True), (13, False)])
def test_drift_needs_half_of_the_hours_of_two_neighbouring_days(missing: int, is_told: bool) -> None:
    hours = {one: float(one // 24) for one in range(7 * 24)}
    for one in range(missing):
        del hours[3 * 24 + one]
    found = statistics.drift(hours, 7 * 24 - 1, 1.0, 0.0)
    assert (found is not None) == is_told


def test_drift_is_measured_in_spreads_of_what_is_left_of_the_values() -> None:
    """Six days' change of 3 a day, by hours that lie 2 above and below it in turn."""
    hours = {
        one: 100.0 + 10 * (one % 24) + 3.0 * (one // 24) + 2.0 * (-1) ** (one // 24 + one % 24 + one // 24 % 3)
        for one in range(7 * 24)
    }
    found = statistics.drift(hours, 7 * 24 - 1, 0.001, 0.0)
    left = [hours[one] - 10 * (one % 24) - found.per_day * (one // 24) for one in range(7 * 24)]
    by_hour = [statistics.median(left[of_day::24]) for of_day in range(24)]
    sigma = statistics.spread([value - by_hour[place % 24] for place, value in enumerate(left)]).sigma
    assert found.score == pytest.approx(6 * found.per_day / sigma)
