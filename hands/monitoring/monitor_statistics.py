"""Robust statistics: centre, spread, modified z-score, daily drift (pure).

Sources
- B. Iglewicz, D. C. Hoaglin, How to Detect and Handle Outliers, ASQC Basic References in Quality Control 16, 1993:
  the modified z-score M = 0.6745 (x - median) / MAD, and 3.5 as the limit of |M|; where MAD = 0, the mean absolute
  deviation from the median takes its place: M = (x - median) / (1.253314 meanAD).
- C. Croux, P. J. Rousseeuw, Time-efficient algorithms for two highly robust estimators of scale, COMPSTAT 1992: factors
  that make the MAD of a small sample unbiased.
- P. K. Sen 1968, and R. M. Hirsch, J. R. Slack, R. A. Smith, Techniques of trend analysis for monthly water quality
  data, Water Resources Research 18 (1982): a slope that is the median of slopes between values of the same season.

Every function is total for finite values; an empty sample is the caller's mistake and raises ValueError.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

NORMAL_MAD: Final = 0.6745
"""The MAD of a normal distribution in standard deviations: its 75 % quantile."""

NORMAL_MEAN_AD: Final = 1.253314
"""sqrt(pi / 2): standard deviations per mean absolute deviation of a normal distribution."""

SMALL_SAMPLE: Final = (1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)
"""Croux and Rousseeuw's factor for the MAD of n values, by n below 10; from there on n / (n - 0.8)."""

SENSITIVITY: Final = 3.5
SPIKE_TIMES: Final = 3.0
"""A value at this multiple of the limit is a spike: 10.5 standard deviations by default."""

DAY_HOURS: Final = 24
DRIFT_DAYS: Final = 7
DRIFT_PAIRS: Final = 12
"""Days of hourly medians that drift needs, and how many hours must be present in both of two neighbouring days."""


class Spread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Centre and spread of a sample: median, raw MAD, and sigma, the standard deviation if it were normal."""

    centre: float
    mad: float
    sigma: float
    count: int


class Drift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A steady daily change. per_day: in the metric's unit. whole: over all days. score: in spreads."""

    per_day: float
    whole: float
    score: float


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones."""
    if not values:
        raise ValueError("an empty sample has no median")
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return ordered[half - 1] + (ordered[half] - ordered[half - 1]) / 2


def spread(values: Sequence[float]) -> Spread:
    """Median and robust standard deviation: MAD / 0.6745 with the small-sample factor; 1.253314 meanAD if MAD = 0."""
    centre = median(values)
    distances = [abs(value - centre) for value in values]
    mad = median(distances)
    count = len(values)
    if mad > 0:
        sigma = mad / NORMAL_MAD * small_sample_factor(count)
    else:
        sigma = NORMAL_MEAN_AD * math.fsum(distances) / count
    return Spread(centre=centre, mad=mad, sigma=sigma, count=count)


def small_sample_factor(count: int) -> float:
    """The factor that makes the MAD of `count` values unbiased."""
    return SMALL_SAMPLE[count] if count < len(SMALL_SAMPLE) else count / (count - 0.8)


def scale(sigma: float, centre: float, floor: float, floor_share: float) -> float:
    """The spread that scores are measured in: sigma, but at least what a person would care about, and never 0."""
    return max(sigma, floor, floor_share * abs(centre), 1e-9 * max(1.0, abs(centre)))


def score(value: float, centre: float, spread_: float) -> float:
    """The modified z-score: how many spreads the value lies above (or, negative, below) the centre."""
    return (value - centre) / spread_


def drift(hours: Mapping[int, float], last_hour: int, floor: float, floor_share: float) -> Drift | None:
    """The steady daily change over the last seven whole days; None if too many hours are missing.

    hours: hourly medians by hour number (epoch / 3,600 s). For each pair of neighbouring days d, d + 1:
        change(d) = median over the hours h of  x(d + 1, h) - x(d, h)      so that a daily rhythm cancels
        per_day   = median of the six changes                              so that up to two odd days (a weekend) cancel
        score     = 6 per_day / scale(sigma of x(d, h) - d per_day, ...)   the whole change in spreads
    """
    first = last_hour - DRIFT_DAYS * DAY_HOURS + 1
    days = [[hours.get(first + day * DAY_HOURS + hour) for hour in range(DAY_HOURS)] for day in range(DRIFT_DAYS)]
    changes: list[float] = []
    for earlier, later in pairwise(days):
        steps = [b - a for a, b in zip(earlier, later, strict=True) if a is not None and b is not None]
        if len(steps) < DRIFT_PAIRS:
            return None
        changes.append(median(steps))
    per_day = median(changes)
    level = [
        value - day * per_day - _typical(days, hour, per_day)
        for day, row in enumerate(days)
        for hour, value in enumerate(row)
        if value is not None
    ]
    centre = median([value for row in days for value in row if value is not None])
    whole = per_day * (DRIFT_DAYS - 1)
    return Drift(per_day=per_day, whole=whole, score=whole / scale(spread(level).sigma, centre, floor, floor_share))


def _typical(days: Sequence[Sequence[float | None]], hour: int, per_day: float) -> float:
    """The median value of an hour of the day, with the drift removed."""
    seen = [row[hour] for row in days]
    return median([value - day * per_day for day, value in enumerate(seen) if value is not None])
