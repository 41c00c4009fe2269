"""The statistics are right: against known numbers, against each other, and for every sample that can be."""

import math
import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

statistics = hand_module("monitoring", "monitor_statistics")
baselines = hand_module("monitoring", "monitor_baseline")
metrics = hand_module("monitoring", "monitor_metrics")

values = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 6))
samples = st.lists(values, min_size=1, max_size=60)
LATENCY = metrics.METRICS["latency_ms"]


def test_the_modified_z_score_finds_what_stands_apart_where_the_mean_would_not() -> None:
    """Two equal outliers mask each other in mean and standard deviation, but not in median and MAD."""
    sample = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]
    seen = statistics.spread(sample)
    assert seen.centre == pytest.approx(2.45)
    assert seen.mad == pytest.approx(0.15)
    scores = [0.6745 * (value - seen.centre) / seen.mad for value in sample]
    assert [value for value, score in zip(sample, scores, strict=True) if abs(score) > 3.5] == [8.2, 8.3]
    ours = [statistics.score(value, seen.centre, seen.mad / statistics.NORMAL_MAD) for value in sample]
    assert ours == pytest.approx(scores)


def test_sigma_of_normal_values_is_their_standard_deviation_at_every_sample_size() -> None:
    random_ = random.Random(1)
    for size in (3, 5, 9, 20, 200):
        sigmas = [statistics.spread([random_.gauss(50, 4) for _ in range(size)]).sigma for _ in range(1500)]
        assert sum(sigmas) / len(sigmas) == pytest.approx(4, rel=0.06)


def test_where_the_mad_is_zero_the_mean_deviation_takes_its_place() -> None:
    seen = statistics.spread([10.0] * 9 + [20.0])
    assert seen.mad == 0
    assert seen.sigma == pytest.approx(1.253314 * 1.0)


def test_an_empty_sample_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="empty"):
        statistics.median([])


@given(samples, values, st.sampled_from([1.0, 2.0, 0.5]))
def test_spread_moves_and_stretches_with_its_sample(sample: list[float], shift: float, factor: float) -> None:
    seen = statistics.spread(sample)
    other = statistics.spread([value * factor + shift for value in sample])
    assert other.centre == pytest.approx(seen.centre * factor + shift, abs=1e-3)
    assert other.sigma == pytest.approx(seen.sigma * factor, abs=1e-3)


@given(samples, values)
def test_no_series_divides_by_zero(sample: list[float], value: float) -> None:
    seen = statistics.spread(sample)
    spread = statistics.scale(seen.sigma, seen.centre, 0.0, 0.0)
    assert spread > 0
    assert math.isfinite(statistics.score(value, seen.centre, spread))


@given(values, st.integers(30, 200))
def test_a_constant_series_is_never_unusual(value: float, count: int) -> None:
    now = 40 * baselines.DAY_MS
    normal = baselines.baseline(LATENCY, [], [value] * count, now=now, first=0, learning_ms=baselines.DAY_MS)
    assert normal.basis == "last day"
    judged = baselines.judge(value, normal, LATENCY, 3.5)
    assert (judged.signal, judged.score, judged.spike) == ("good", 0.0, False)


@given(st.lists(values, min_size=40, max_size=60), st.lists(values, max_size=15))
def test_a_quarter_of_outliers_moves_the_centre_only_within_the_good_values(
    good: list[float], bad: list[float]
) -> None:
    centre = statistics.median(good + [value + 1e12 for value in bad[: len(good) // 4]])
    assert min(good) <= centre <= max(good)


def test_nothing_is_judged_before_there_are_enough_values_and_enough_time() -> None:
    day = baselines.DAY_MS
    few = baselines.baseline(LATENCY, [], [1.0] * 29, now=9 * day, first=0, learning_ms=day)
    early = baselines.baseline(LATENCY, [], [1.0] * 500, now=day - 1, first=0, learning_ms=day)
    assert few.basis == early.basis == "learning"
    assert baselines.baseline(LATENCY, [], [1.0] * 30, now=day, first=0, learning_ms=day).basis == "last day"
    assert baselines.judge(1e9, few, LATENCY, 3.5) == baselines.UNJUDGED


def test_an_hour_of_the_week_needs_three_weeks_and_then_takes_over() -> None:
    def weeks(count: int) -> SimpleNamespace:
        now = 100 * baselines.WEEK_HOURS * baselines.HOUR_MS
        hours = [
            baselines.summarise(100 * baselines.WEEK_HOURS - back * baselines.WEEK_HOURS, [40.0, 50.0, 60.0])
            for back in range(1, count + 1)
        ]
        found: SimpleNamespace = baselines.baseline(LATENCY, hours, [], now=now, first=0, learning_ms=0)
        return found

    assert weeks(2).basis == "learning"
    normal = weeks(3)
    assert (normal.basis, normal.centre) == ("hour of week", 50.0)


def test_hour_zero_of_the_week_is_monday_midnight_utc() -> None:
    monday = 1_795_996_800  # 2026-11-30 00:00:00 UTC
    assert baselines.hour_of_week(baselines.hour_number(monday * 1000)) == 0


def test_drift_is_the_daily_change_whatever_the_daily_rhythm() -> None:
    rhythm = [20 * math.sin(hour / 24 * math.tau) for hour in range(24)]
    hours = {hour: 100 + rhythm[hour % 24] + 3.0 * (hour // 24) for hour in range(7 * 24)}
    found = statistics.drift(hours, 7 * 24 - 1, 1.0, 0.0)
    assert found.per_day == pytest.approx(3.0)
    assert found.whole == pytest.approx(18.0)
    assert found.score == pytest.approx(18.0)


def test_drift_says_nothing_when_a_day_is_missing() -> None:
    hours = {hour: float(hour) for hour in range(7 * 24) if hour // 24 != 3}
    assert statistics.drift(hours, 7 * 24 - 1, 1.0, 0.0) is None


@given(st.dictionaries(st.integers(0, 7 * 24), values, max_size=170))
def test_drift_is_total(hours: dict[int, float]) -> None:
    found = statistics.drift(hours, 7 * 24 - 1, 1.0, 0.1)
    assert found is None or math.isfinite(found.score)
