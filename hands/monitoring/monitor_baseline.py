"""Computes what is normal for a series at an hour: by hour of the week, else by the last day, else unknown (pure).

Seasonal basis. For the hour of the week of `now` (UTC, 0 to 167) and the hourly medians m_1 .. m_n of that hour in
earlier weeks, with the MADs a_i of the values within each of those hours, and n >= 3:

    centre  = median(m_i)
    between = max(sigma(m_i), median over all hours of the week of their sigma)    week to week; few weeks borrow from all
    within  = median(a_i) / 0.6745                                                 within the hour
    spread  = scale(sqrt(between^2 + within^2), centre, floors)

Fallback, until an hour has three weeks: centre and sigma of the values of the last 24 hours, once `learning` has passed
and there are 30 values. A value within the range of the hourly medians older than a day, plus or minus 3.5 spreads of the
values within an hour, is then not unusual: the series was there before, perhaps on a Monday.

Before that nothing is judged. Hours are UTC, so a change of summer time shifts the rhythm once by an hour.
A value is unusual if its score is beyond the sensitivity (3.5), and usual again below 0.7 of that.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from monitor_metrics import Metric
from monitor_rules import Signal
from monitor_statistics import NORMAL_MAD, SENSITIVITY, SPIKE_TIMES, median, scale, score, spread

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
WEEK_HOURS: Final = 168
WEEKS_NEEDED: Final = 3
VALUES_NEEDED: Final = 30
HOUR_VALUES_NEEDED: Final = 3
"""An hour with fewer values does not count: the Hand was hardly running."""

USUAL_AGAIN: Final = 0.7

Basis = Literal["hour of week", "last day", "learning"]


class Hour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A summary of one hour of a series. number: epoch / 3,600 s; the other fields are over its values."""

    number: int
    count: int
    least: float
    most: float
    mean: float
    median: float
    mad: float


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is normal. low, high: a range that is never unusual (both equal to the centre if there is none)."""

    basis: Basis
    centre: float = 0.0
    spread: float = 1.0
    low: float = 0.0
    high: float = 0.0
    samples: int = 0


class Judgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value compared with its baseline. score: in spreads, None while learning. spike: far beyond the limit by itself."""

    signal: Signal
    score: float | None
    spike: bool


UNJUDGED: Final = Judgement(signal="unknown", score=None, spike=False)


def hour_number(at_ms: int) -> int:
    """The number of the hour since 1970 that a time lies in."""
    return at_ms // HOUR_MS


def hour_of_week(number: int) -> int:
    """The hour of the week; 0 is Monday 00:00 UTC. 1 January 1970 was a Thursday."""
    return (number + 72) % WEEK_HOURS


def summarise(number: int, values: Sequence[float]) -> Hour:
    """Summarises one hour's values, of which there must be at least one."""
    seen = spread(values)
    return Hour(
        number=number,
        count=len(values),
        least=min(values),
        most=max(values),
        mean=math.fsum(values) / len(values),
        median=seen.centre,
        mad=seen.mad,
    )


def baseline(
    metric: Metric, hours: Sequence[Hour], last_day: Sequence[float], *, now: int, first: int, learning_ms: int
) -> Baseline:
    """The baseline now. hours: the whole hours before this one; last_day: values of the last 24 hours, this one
    excluded; first: time of the series' first value; learning_ms: how long a series is only learnt."""
    solid = [hour for hour in hours if hour.count >= HOUR_VALUES_NEEDED and hour.number < hour_number(now)]
    seasonal = _seasonal(metric, solid, hour_of_week(hour_number(now)))
    if seasonal is not None:
        return seasonal
    if len(last_day) < VALUES_NEEDED or now - first < learning_ms:
        return Baseline(basis="learning", samples=len(last_day))
    seen = spread(last_day)
    before = [hour for hour in solid if (hour.number + 1) * HOUR_MS <= now - DAY_MS]
    medians = [hour.median for hour in before]
    within = median([hour.mad for hour in before]) / NORMAL_MAD if before else 0.0
    margin = SENSITIVITY * scale(within, seen.centre, metric.floor, metric.floor_share) if before else 0.0
    return Baseline(
        basis="last day",
        centre=seen.centre,
        spread=scale(seen.sigma, seen.centre, metric.floor, metric.floor_share),
        low=min(medians, default=seen.centre) - margin,
        high=max(medians, default=seen.centre) + margin,
        samples=seen.count,
    )


def _seasonal(metric: Metric, hours: Sequence[Hour], wanted: int) -> Baseline | None:
    weeks: dict[int, list[Hour]] = {}
    for hour in hours:
        weeks.setdefault(hour_of_week(hour.number), []).append(hour)
    own = weeks.get(wanted, [])
    if len(own) < WEEKS_NEEDED:
        return None
    sigmas = {
        slot: spread([hour.median for hour in rows]).sigma for slot, rows in weeks.items() if len(rows) >= WEEKS_NEEDED
    }
    between = max(sigmas[wanted], median(list(sigmas.values())))
    within = median([hour.mad for hour in own]) / NORMAL_MAD
    centre = median([hour.median for hour in own])
    return Baseline(
        basis="hour of week",
        centre=centre,
        spread=scale(math.hypot(between, within), centre, metric.floor, metric.floor_share),
        low=centre,
        high=centre,
        samples=len(own),
    )


def judge(value: float, normal: Baseline, metric: Metric, sensitivity: float) -> Judgement:
    """Whether a value is unusual (bad), usual (good), or between. UNJUDGED while learning."""
    if normal.basis == "learning" or not metric.judged:
        return UNJUDGED
    distance = score(value, normal.centre, normal.spread)
    if normal.low <= value <= normal.high:
        return Judgement(signal="good", score=round(distance, 2), spike=False)
    sided = abs(distance) if metric.side == "both" else distance if metric.side == "above" else -distance
    found: Signal = "bad" if sided > sensitivity else "good" if sided < sensitivity * USUAL_AGAIN else "between"
    return Judgement(signal=found, score=round(distance, 2), spike=sided > sensitivity * SPIKE_TIMES)
