"""Threshold rules: one line of text each, and what a value means under one (pure).

    [notice|warning|critical] OP NUMBER[UNIT] [for DURATION] [clear NUMBER[UNIT]]

    "> 90"                            above 90, at once
    "> 90 for 5m clear 85"            above 90 for five minutes; over again at 85 or below
    "critical < 1 for 1m"             below 1 for a minute, and that is critical
    "> 500MiB", "> 10m"               sizes for metrics of bytes, durations for metrics of time

OP is > >= < <= = or !=. A rule without a level is a warning. Between the limit and the clear value nothing changes
(hysteresis), so a value that hovers around the limit makes one alert and not a hundred. The default clear value is 5 % of
the limit on the good side; for counts and flags, the limit itself.
"""

import re
from typing import Final, Literal

import msgspec

from manifests.errors import ValueInvalid
from manifests.values import parse_duration, parse_size
from monitor_metrics import Unit, base_name

Level = Literal["notice", "warning", "critical"]
Operator = Literal[">", ">=", "<", "<=", "=", "!="]
Signal = Literal["bad", "between", "good", "unknown"]

LEVELS: Final[tuple[Level, ...]] = ("notice", "warning", "critical")
CLEAR_SHARE: Final = 0.05
EXACT_UNITS: Final[frozenset[Unit]] = frozenset(("count", "flag"))

_RULE: Final = re.compile(
    r"(?:(?P<level>notice|warning|critical)\s+)?(?P<op>>=|<=|!=|>|<|=)\s*(?P<limit>\S+)"
    r"(?:\s+for\s+(?P<held>\S+))?(?:\s+clear\s+(?P<clear>\S+))?"
)


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One threshold. limit, clear: in the metric's unit. held_ms: how long it must be bad before it counts."""

    text: str
    level: Level
    op: Operator
    limit: float
    clear: float
    held_ms: int


class RuleInvalid(ValueError):
    """A rule's text does not follow the grammar, or its numbers contradict each other."""


def parse_rule(text: str, unit: Unit) -> Rule:
    """Parses a rule for a metric of this unit. Raises RuleInvalid, which says what to write instead."""
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise RuleInvalid(f'"{text}" is not a rule: write one like "> 90 for 5m clear 85"')
    op = _operator(match["op"])
    limit = _number(match["limit"], unit)
    clear = _number(match["clear"], unit) if match["clear"] else _default_clear(op, limit, unit)
    if (op in (">", ">=") and clear > limit) or (op in ("<", "<=") and clear < limit):
        raise RuleInvalid(f'"{text}": the clear value must lie on the good side of the limit')
    if op in ("=", "!=") and match["clear"]:
        raise RuleInvalid(f'"{text}": {op} has no clear value')
    level: Level = next((each for each in LEVELS if each == match["level"]), "warning")
    return Rule(text=_plain(match), level=level, op=op, limit=limit, clear=clear, held_ms=_held(match["held"]))


def check_name(metric: str, rule: Rule) -> str:
    """The name of a check: `disk_percent:/home > 90`."""
    return f"{metric} {rule.text}"


def metric_of(check: str, rule: Rule) -> str:
    """The metric of a check by this rule, without the thing after the colon; "" if it is by another rule.

    That may be the same rule with a level: the thing, such as a mount point with spaces, does not tell where it ends.
    """
    metric = check.removesuffix(check_name("", rule))
    return "" if metric == check or metric.rpartition(" ")[2] in LEVELS else base_name(metric)


def signal(rule: Rule, value: float) -> Signal:
    """A value's signal: bad, good, or between the limit and the clear value."""
    limit, clear = rule.limit, rule.clear
    match rule.op:
        case ">":
            return "bad" if value > limit else "good" if value <= clear else "between"
        case ">=":
            return "bad" if value >= limit else "good" if value <= clear else "between"
        case "<":
            return "bad" if value < limit else "good" if value >= clear else "between"
        case "<=":
            return "bad" if value <= limit else "good" if value >= clear else "between"
        case "=":
            return "bad" if value == limit else "good"
        case "!=":
            return "bad" if value != limit else "good"


def _operator(text: str) -> Operator:
    operators: tuple[Operator, ...] = (">", ">=", "<", "<=", "=", "!=")
    return next(each for each in operators if each == text)


def _held(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return parse_duration(text)
    except ValueInvalid as error:
        raise RuleInvalid(f'"for {text}": {error}') from None


def _number(text: str, unit: Unit) -> float:
    """A number in the metric's unit: plain, or with a unit if the metric has one. Raises RuleInvalid."""
    plain = text.removesuffix("%") if unit == "percent" else text
    if re.fullmatch(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?", plain, re.ASCII):
        return float(plain)
    try:
        match unit:
            case "bytes" | "bytes_per_second":
                return float(parse_size(text))
            case "seconds":
                return parse_duration(text) / 1000
            case "ms":
                return float(parse_duration(text))
            case _:
                raise RuleInvalid(f'"{text}" is not a number')
    except ValueInvalid as error:
        raise RuleInvalid(str(error)) from None


def _default_clear(op: Operator, limit: float, unit: Unit) -> float:
    step = abs(limit) * CLEAR_SHARE
    if unit in EXACT_UNITS or op in ("=", "!=") or step == 0:
        return _just_good(op, limit)
    return limit - step if op in (">", ">=") else limit + step


def _just_good(op: Operator, limit: float) -> float:
    """For counts: the limit, or the next whole number if the limit itself is bad."""
    return limit - 1 if op == ">=" else limit + 1 if op == "<=" else limit


def _plain(match: re.Match[str]) -> str:
    """The rule in one spelling. It names the check, so the same rule with other spaces is the same check."""
    level = f"{match['level']} " if match["level"] else ""
    held = f" for {match['held']}" if match["held"] else ""
    clear = f" clear {match['clear']}" if match["clear"] else ""
    return f"{level}{match['op']} {match['limit']}{held}{clear}"
