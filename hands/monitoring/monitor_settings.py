"""Parses settings: which targets are watched, how, and every problem in them (pure).

A target that is written wrongly is left out and listed under `problems`; the others are watched all the same, since a typo
must not blind the whole Hand. README.md has the shape of `targets`. Times are milliseconds.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from manifests.capabilities import address, path, url
from manifests.errors import ResourceInvalid, ValueInvalid
from manifests.values import parse_duration
from monitor_metrics import DEFAULT_RULES, KIND_METRICS, METRICS, Kind
from monitor_rules import Rule, RuleInvalid, parse_rule

MACHINE: Final = "machine"
EVERYTHING: Final = "all"
"""The name for every target in a silence, so no target may have it."""

TARGETS_MOST: Final = 200
RULES_MOST: Final = 10
PROCESS_NAME_MOST: Final = 200
FOLLOW_DEFAULT: Final = 5
FOLLOW_MOST: Final = 10
TIMEOUT_MS: Final = 10_000
TIMEOUT_MOST_MS: Final = 60_000

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_SUBJECTS: Final[dict[str, Kind]] = {"process": "process", "file": "file", "url": "http", "address": "tcp"}
_OPTIONS: Final = frozenset(("every", "timeout", "off", "anomalies"))
_HTTP_OPTIONS: Final = frozenset(("contains", "expect", "follow", "head"))


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to watch. subject: path, process name, URL or address, "" for this machine. rules: (metric, rule)
    pairs.
    """

    name: str
    kind: Kind
    subject: str = ""
    every_ms: int
    timeout_ms: int = TIMEOUT_MS
    judged: bool = True
    contains: str = ""
    expect: int = 0
    follow: int = FOLLOW_DEFAULT
    head: bool = False
    rules: tuple[tuple[str, Rule], ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, checked. problems: one line each, for a person."""

    sensitivity: float
    learning_ms: int
    group_ms: int
    repeat_ms: int
    keep_values_ms: int
    keep_ms: int
    most_bytes: int
    targets: tuple[Target, ...]
    problems: tuple[str, ...]


class _Wrong(ValueError):
    """A target is written wrongly; the text is for a person."""


def read_plan(settings: Mapping[str, object]) -> Plan:
    """Parses the settings, as the runtime gives them: durations in seconds, sizes in bytes."""
    interval = _milliseconds(settings, "interval", 30)
    judged = settings.get("anomalies", True) is not False
    targets, problems = _targets(settings.get("targets"), interval, judged)
    return Plan(
        sensitivity=_number(settings, "sensitivity", 3.5),
        learning_ms=_milliseconds(settings, "learning", 86_400),
        group_ms=_milliseconds(settings, "group", 300),
        repeat_ms=_milliseconds(settings, "repeat", 14_400),
        keep_values_ms=_milliseconds(settings, "keep_values", 172_800),
        keep_ms=_milliseconds(settings, "keep", 60 * 86_400),
        most_bytes=int(_number(settings, "most", float(64 << 20))),
        targets=targets,
        problems=problems,
    )


def _number(settings: Mapping[str, object], name: str, default: float) -> float:
    value = settings.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _milliseconds(settings: Mapping[str, object], name: str, default_seconds: int) -> int:
    return round(_number(settings, name, float(default_seconds)) * 1000)


def _targets(given: object, interval: int, judged: bool) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """(every valid target, this machine first; what is wrong with the others)."""
    rows = given if isinstance(given, Mapping) else {}
    problems: list[str] = []
    found: list[Target] = []
    if MACHINE not in rows:
        rows = {MACHINE: {}, **rows}
    for name, row in rows.items():
        try:
            target = _target(str(name), row, interval, judged)
        except (_Wrong, RuleInvalid) as error:
            problems.append(f"target `{name}` is not watched: {error}")
            continue
        if target is not None:
            found.append(target)
    if len(found) > TARGETS_MOST:
        problems.append(f"{len(found)} targets are too many: only the first {TARGETS_MOST} are watched")
    return tuple(found[:TARGETS_MOST]), tuple(problems)


def _target(name: str, row: object, interval: int, judged: bool) -> Target | None:
    """The target, None if it is switched off. Raises _Wrong or RuleInvalid."""
    if not _NAME.fullmatch(name) or name == EVERYTHING:
        raise _Wrong(f'a name has 1 to 64 letters, digits and . _ @ + -, and is not "{EVERYTHING}"')
    if not isinstance(row, Mapping):
        raise _Wrong('write it as { url = "https://example.org/" } or with file, process or address')
    if _flag(row, "off", False):
        return None
    kind, subject = _subject(name, row)
    allowed = _OPTIONS | set(KIND_METRICS[kind]) | (_HTTP_OPTIONS if kind == "http" else frozenset())
    unknown = [str(key) for key in row if key not in allowed and key not in _SUBJECTS and key != MACHINE]
    if unknown:
        raise _Wrong(f"`{unknown[0]}` is not known here; a {kind} target has {', '.join(sorted(allowed))}")
    every = _duration(row, "every", interval)
    if every < 1_000:
        raise _Wrong('`every` is at least "1s"')
    head, contains = _flag(row, "head", False), _text(row, "contains")
    if head and contains:
        raise _Wrong("`head = true` asks for no body, so `contains` has nothing to search: leave one of them out")
    return Target(
        name=name,
        kind=kind,
        subject=subject,
        every_ms=every,
        timeout_ms=min(max(_duration(row, "timeout", TIMEOUT_MS), 100), TIMEOUT_MOST_MS),
        judged=_flag(row, "anomalies", judged),
        contains=contains,
        expect=_whole(row, "expect", 0, 599),
        follow=_whole(row, "follow", FOLLOW_DEFAULT, FOLLOW_MOST),
        head=head,
        rules=_rules(kind, row),
    )


def _subject(name: str, row: Mapping[object, object]) -> tuple[Kind, str]:
    """(the kind of target, its subject in its kind's normal form). Raises _Wrong."""
    given = [key for key in _SUBJECTS if key in row]
    if name == MACHINE and not given:
        return "machine", ""
    if len(given) != 1 or name == MACHINE:
        raise _Wrong("name exactly one of file, process, url and address; `machine` is this machine")
    key = given[0]
    text = row[key]
    if not isinstance(text, str) or not text:
        raise _Wrong(f"`{key}` is a text")
    try:
        match key:
            case "file":
                return "file", path.normalise(text)
            case "url":
                return "http", url.normalise(text)
            case "address":
                return "tcp", address.normalise(text)
            case _:
                if len(text) > PROCESS_NAME_MOST or not text.isprintable():
                    raise _Wrong("`process` is the name of a process, or a shell pattern of one")
                return "process", text
    except ResourceInvalid as error:
        raise _Wrong(f'`{key} = "{text}"`: {error.why}') from None


def _rules(kind: Kind, row: Mapping[object, object]) -> tuple[tuple[str, Rule], ...]:
    """The rules: the kind's defaults, replaced per metric by the row's; "off" means none."""
    rules: list[tuple[str, Rule]] = []
    for metric in KIND_METRICS[kind]:
        given = row.get(metric, list(DEFAULT_RULES[kind].get(metric, ())))
        texts = given if isinstance(given, list | tuple) else [given]
        if texts == ["off"]:
            continue
        if len(texts) > RULES_MOST:
            raise _Wrong(f"`{metric}` has more than {RULES_MOST} rules")
        for text in texts:
            if not isinstance(text, str):
                raise _Wrong(f'`{metric}` is a rule such as "> 90 for 5m", a list of them, or "off"')
            try:
                rules.append((metric, parse_rule(text, METRICS[metric].unit)))
            except RuleInvalid as error:
                raise _Wrong(f"`{metric}`: {error}") from None
    return tuple(rules)


def _duration(row: Mapping[object, object], key: str, default: int) -> int:
    given = row.get(key)
    if given is None:
        return default
    try:
        return parse_duration(given if isinstance(given, str) else "")
    except ValueInvalid:
        raise _Wrong(f'`{key}` is a duration such as "30s"') from None


def _flag(row: Mapping[object, object], key: str, default: bool) -> bool:
    given = row.get(key, default)
    if not isinstance(given, bool):
        raise _Wrong(f"`{key}` is true or false")
    return given


def _text(row: Mapping[object, object], key: str) -> str:
    given = row.get(key, "")
    if not isinstance(given, str) or len(given) > 1_000:
        raise _Wrong(f"`{key}` is a text of at most 1,000 characters")
    return given


def _whole(row: Mapping[object, object], key: str, default: int, most: int) -> int:
    given = row.get(key, default)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= most:
        raise _Wrong(f"`{key}` is a whole number from 0 to {most}")
    return given
