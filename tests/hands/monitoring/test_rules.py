"""A threshold's text means what it says, and settings report every problem while the rest is watched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

rules = hand_module("monitoring", "monitor_rules")
settings = hand_module("monitoring", "monitor_settings")
metrics = hand_module("monitoring", "monitor_metrics")


@pytest.mark.parametrize(
    ("text", "unit", "limit", "clear", "held_ms", "level"),
    [
        ("> 90", "percent", 90, 85.5, 0, "warning"),
        (">90%   for 5m clear 80%", "percent", 90, 80, 300_000, "warning"),
        ("critical < 1 for 1m", "flag", 1, 1, 60_000, "critical"),
        ("notice >= 3", "count", 3, 2, 0, "notice"),
        ("<= 3", "count", 3, 4, 0, "warning"),
        ("> 500MiB", "bytes", 500 << 20, 475 << 20, 0, "warning"),
        ("> 10m", "seconds", 600, 570, 0, "warning"),
        ("> 2s for 30s", "ms", 2000, 1900, 30_000, "warning"),
        ("!= 200", "count", 200, 200, 0, "warning"),
    ],
)
def test_a_rule_is_read(text: str, unit: str, limit: float, clear: float, held_ms: int, level: str) -> None:
    rule = rules.parse_rule(text, unit)
    assert (rule.limit, rule.clear, rule.held_ms, rule.level) == (limit, pytest.approx(clear), held_ms, level)


@pytest.mark.parametrize(
    "text",
    ["", "90", "> ", "> ninety", "> 90 clear 95", "< 5 clear 4", "= 1 clear 1", "> 5 for soon", "very > 5", "> 1e999",
     "> nan", "> 5 for 5m clear 4 and more", "> 10MiB"],
)  # fmt: skip
def test_what_is_not_a_rule_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(rules.RuleInvalid, match=r"."):
        rules.parse_rule(text, "percent")


@given(
    st.sampled_from([">", ">=", "<", "<=", "=", "!="]),
    st.integers(-1000, 1000),
    st.sampled_from(["percent", "count", "ms", "bytes"]),
    st.floats(-5000, 5000),
)
def test_a_value_is_bad_exactly_when_the_comparison_holds(op: str, limit: int, unit: str, value: float) -> None:
    rule = rules.parse_rule(f"{op} {limit}", unit)
    holds = {
        ">": value > limit, ">=": value >= limit, "<": value < limit,
        "<=": value <= limit, "=": value == limit, "!=": value != limit,
    }[op]  # fmt: skip
    assert (rules.signal(rule, value) == "bad") == holds


@pytest.mark.parametrize(
    ("text", "bad", "between", "good"),
    [
        ("> 90 clear 85", [90.1], [90.0, 85.1], [85.0]),
        (">= 90 clear 85", [90.0], [89.9, 85.1], [85.0]),
        ("< 10 clear 15", [9.9], [10.0, 14.9], [15.0]),
        ("<= 10 clear 15", [10.0], [10.1, 14.9], [15.0]),
        ("> 90 clear 90", [90.1], [], [90.0]),
        ("= 5", [5.0], [], [4.9]),
        ("!= 5", [4.9], [], [5.0]),
    ],
)
def test_at_its_limit_and_at_its_clear_value(
    text: str, bad: list[float], between: list[float], good: list[float]
) -> None:
    rule = rules.parse_rule(text, "percent")
    for signal, values in (("bad", bad), ("between", between), ("good", good)):
        assert [rules.signal(rule, value) for value in values] == [signal] * len(values)


@pytest.mark.parametrize("unit", ["count", "bytes", "seconds", "ms"])
def test_only_what_is_measured_in_percent_has_a_limit_in_percent(unit: str) -> None:
    with pytest.raises(rules.RuleInvalid):
        rules.parse_rule("> 90%", unit)


@given(st.sampled_from([">", ">=", "<", "<="]), st.integers(-1000, 1000), st.sampled_from(["percent", "count", "ms"]))
def test_every_rule_can_clear(op: str, limit: int, unit: str) -> None:
    rule = rules.parse_rule(f"{op} {limit}", unit)
    assert rules.signal(rule, rule.clear) == "good"


@given(st.text(max_size=40) | st.from_regex(r"[<>=!]{1,2} ?[0-9]{1,4}[kMG%]?( for [0-9]{1,3}[smh])?", fullmatch=True))
def test_any_text_is_no_rule_or_one_that_reads_back_as_itself(text: str) -> None:
    try:
        rule = rules.parse_rule(text, "bytes")
    except rules.RuleInvalid:
        return
    assert rules.parse_rule(rule.text, "bytes") == rule


def test_without_settings_this_machine_is_watched() -> None:
    plan = settings.read_plan({})
    assert [target.name for target in plan.targets] == ["machine"]
    assert plan.problems == ()
    assert {metric for metric, _ in plan.targets[0].rules} >= {"cpu_percent", "memory_percent", "disk_percent"}


def test_all_kinds_of_targets_are_read() -> None:
    plan = settings.read_plan(
        {
            "interval": 10.0,
            "targets": {
                "log": {"file": "logs/app.log", "age_seconds": "> 10m"},
                "db": {"process": "postgres", "up": "off", "processes": ["< 2", "critical < 1"]},
                "site": {"url": "HTTPS://Example.ORG", "contains": "Welcome", "every": "1m", "latency_ms": "> 2s"},
                "mail": {"address": "mail.example.org:25", "timeout": "3s"},
                "machine": {"cpu_percent": "> 50", "swap_percent": "off"},
            },
        }
    )
    assert plan.problems == ()
    by_name = {target.name: target for target in plan.targets}
    assert by_name["site"].subject == "https://example.org/"
    assert (by_name["site"].every_ms, by_name["mail"].every_ms, by_name["mail"].timeout_ms) == (60_000, 10_000, 3_000)
    assert [rule.text for _, rule in by_name["db"].rules] == ["< 2", "critical < 1"]
    assert [rule.text for metric, rule in by_name["machine"].rules if metric == "cpu_percent"] == ["> 50"]
    assert "swap_percent" not in {metric for metric, _ in by_name["machine"].rules}


@pytest.mark.parametrize(
    "row",
    [
        None, "https://example.org/", {}, {"url": "ftp://example.org/"}, {"url": "https://example.org/", "file": "a/b"},
        {"file": "../secret"}, {"address": "example.org"}, {"process": ""}, {"url": 5},
        {"url": "https://example.org/", "latency": "> 5"}, {"url": "https://example.org/", "latency_ms": 5},
        {"url": "https://example.org/", "latency_ms": ["> x"]}, {"url": "https://example.org/", "every": "0s"},
        {"url": "https://example.org/", "every": 5}, {"url": "https://example.org/", "expect": "200"},
        {"url": "https://example.org/", "off": "yes"}, {"process": "x", "contains": "y"},
        {"url": "https://example.org/", "head": True, "contains": "y"},
    ],
)  # fmt: skip
def test_a_wrong_target_is_named_and_the_others_are_watched(row: object) -> None:
    plan = settings.read_plan({"targets": {"wrong": row, "right": {"process": "init"}}})
    assert [target.name for target in plan.targets] == ["machine", "right"]
    assert len(plan.problems) == 1
    assert "`wrong`" in plan.problems[0]


@pytest.mark.parametrize("name", ["", "all", "a b", "ü", "-x", "x" * 65])
def test_a_wrong_name_is_a_problem(name: str) -> None:
    assert len(settings.read_plan({"targets": {name: {"process": "init"}}}).problems) == 1


def test_the_machine_can_be_switched_off() -> None:
    assert settings.read_plan({"targets": {"machine": {"off": True}}}).targets == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=12,
    )
)
def test_no_setting_breaks_the_plan(given_: object) -> None:
    plan = settings.read_plan({"targets": given_})
    assert all(target.every_ms >= 1000 for target in plan.targets)


def test_every_default_rule_is_of_a_metric_its_kind_has_and_can_be_read() -> None:
    for kind, of_kind in metrics.DEFAULT_RULES.items():
        for metric, texts in of_kind.items():
            assert metric in metrics.KIND_METRICS[kind]
            for text in texts:
                rules.parse_rule(text, metrics.METRICS[metric].unit)
    assert {metric for row in metrics.KIND_METRICS.values() for metric in row} == set(metrics.METRICS)


def test_a_disk_without_inodes_is_as_critical_as_one_without_room() -> None:
    machine = metrics.DEFAULT_RULES["machine"]
    assert machine["inodes_percent"] == machine["disk_percent"]
    assert any(text.startswith("critical > 97") for text in machine["disk_percent"])
