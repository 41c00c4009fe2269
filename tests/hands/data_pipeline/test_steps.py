"""Each step does what it says to real rows, from a file to a file."""

import random
import statistics
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hands.data_pipeline.conftest import Place
from tests.hands.doubles import hand_module

chain_of = hand_module("data-pipeline", "pipeline_plan").plan
rows_of = hand_module("data-pipeline", "pipeline_rows")
spec_of = hand_module("data-pipeline", "pipeline_spec")
scratch_of = hand_module("data-pipeline", "pipeline_scratch")
SpecInvalid = hand_module("data-pipeline", "pipeline_errors").SpecInvalid
JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed

CITIES = "city,day,rain\nRome,2012-01-01,1.5\nOslo,2012-01-02,\nRome,2012-02-01,2.5\nBern,2012-02-02,0\n"


def test_select_keeps_columns_in_their_new_order_or_drops_some(place: Place) -> None:
    assert place.load(CITIES, {"do": "select", "columns": ["rain", "city"]})[0] == {"rain": 1.5, "city": "Rome"}
    assert list(place.load(CITIES, {"do": "select", "columns": ["rain", "city"]})[0]) == ["rain", "city"]
    assert place.load(CITIES, {"do": "select", "drop": ["rain", "day"]})[1] == {"city": "Oslo"}


def test_rename_may_exchange_names(place: Place) -> None:
    found = place.load("a,b\n1,2\n", {"do": "rename", "columns": {"a": "b", "b": "a"}})
    assert found == [{"b": 1, "a": 2}]


def test_cast_changes_the_type_and_rejects_what_cannot(place: Place) -> None:
    found = place.load("a,b\n1,x\n2,3\n", {"do": "cast", "columns": {"a": "text", "b": "int"}}, reject_at_most=1)
    assert found == [{"a": "2", "b": 3}]
    assert place.rejects() == [
        {"source": "data/in.csv", "row": 1, "column": "b", "code": "type", "reason": 'b: "x" is not an int',
         "raw": '["1","x"]', "loaded": "2026-11-21T00:00:00Z"}
    ]  # fmt: skip


def test_cast_takes_a_form_for_dates(place: Place) -> None:
    found = place.load("d\n31.12.2012\n", {"do": "cast", "columns": {"d": "date"}, "format": "%d.%m.%Y"})
    assert found == [{"d": "2012-12-31"}]


def test_derive_adds_a_column_or_replaces_one_and_rejects_rows_that_cannot(place: Place) -> None:
    found = place.load(
        "a,b\n6,2\n1,0\n,1\n",
        {"do": "derive", "column": "c", "value": "a / b"},
        {"do": "derive", "column": "a", "value": "text(a)"},
        reject_at_most=1,
    )
    assert found == [{"a": "6", "b": 2, "c": 3.0}, {"a": None, "b": 1, "c": None}]
    assert [(r["row"], r["column"], r["code"]) for r in place.rejects()] == [(2, "c", "expression")]
    assert "division by zero" in str(place.rejects()[0]["reason"])


def test_a_derived_int_beyond_64_bits_is_rejected(place: Place) -> None:
    huge = 2**62
    assert not place.load(f"a\n{huge}\n", {"do": "derive", "column": "b", "value": "a * 4"}, reject_at_most=1)
    assert place.rejects()[0]["code"] == "type"


def test_a_decimal_division_is_settled_to_38_places(place: Place) -> None:
    schema = {"columns": {"a": "decimal"}}
    found = place.load("a\n0.01\n", {"do": "derive", "column": "b", "value": "a / 3"}, schema=schema)
    assert found[0]["b"] == pytest.approx(0.01 / 3)


def test_filter_keeps_rows_for_which_it_is_true_and_not_those_without_a_value(place: Place) -> None:
    assert [row["city"] for row in place.load(CITIES, {"do": "filter", "where": "rain < 2"})] == ["Rome", "Bern"]
    assert [row["city"] for row in place.load(CITIES, {"do": "filter", "where": "is_null(rain)"})] == ["Oslo"]
    assert [row["city"] for row in place.load(CITIES, {"do": "filter", "where": 'city in ("Bern", "Oslo")'})] == [
        "Oslo",
        "Bern",
    ]


@pytest.mark.parametrize(
    ("unmatched", "expected"),
    [
        ("drop", [("Rome", "Italy"), ("Rome", "Italy"), ("Bern", "CH"), ("Bern", "Suisse")]),
        ("keep", [("Rome", "Italy"), ("Oslo", None), ("Rome", "Italy"), ("Bern", "CH"), ("Bern", "Suisse")]),
        ("reject", [("Rome", "Italy"), ("Rome", "Italy"), ("Bern", "CH"), ("Bern", "Suisse")]),
    ],
)
def test_join_adds_every_partner(place: Place, unmatched: str, expected: list[tuple[str, str | None]]) -> None:
    source = place.put(
        "countries.jsonl",
        '{"town":"Rome","land":"Italy"}\n{"town":"Bern","land":"CH"}\n{"town":"Bern","land":"Suisse"}',
    )
    join = {"do": "join", "source": {"path": source}, "on": {"city": "town"}, "unmatched": unmatched}
    found = place.load(CITIES, join, {"do": "select", "columns": ["city", "land"]}, reject_at_most=1)
    assert [(row["city"], row["land"]) for row in found] == expected
    rejected = [(r["row"], r["code"]) for r in place.rejects()] if unmatched == "reject" else []
    assert rejected == ([(2, "join")] if unmatched == "reject" else [])


def test_join_renames_with_a_prefix_and_takes_what_is_named(place: Place) -> None:
    source = place.put("other.csv", "city,rain,more\nRome,9,x\n")
    join = {"do": "join", "source": {"path": source}, "on": ["city"], "prefix": "o_", "take": ["rain"]}
    assert place.load(CITIES, join)[0] == {"city": "Rome", "day": "2012-01-01", "rain": 1.5, "o_rain": 9}


def test_a_key_without_a_value_has_no_partner(place: Place) -> None:
    source = place.put("other.csv", "k,v\n,none\n1,one\n")
    join = {"do": "join", "source": {"path": source}, "on": ["k"], "unmatched": "keep"}
    assert [row["v"] for row in place.load("k,n\n1,1\n,2\n", join)] == ["one", None]


def test_broken_rows_of_a_second_source_are_kept_under_its_name(place: Place) -> None:
    source = place.put("other.csv", "k,v\n1,one\n2\n")
    place.load("k\n1\n", {"do": "join", "source": {"path": source}, "on": ["k"]}, reject_at_most=1)
    assert [(r["source"], r["row"], r["code"]) for r in place.rejects()] == [("data/other.csv", 2, "fields")]


@pytest.mark.parametrize(("keep", "expected"), [("first", [1, 2, 4]), ("last", [2, 3, 4])])
def test_deduplicate_keeps_the_first_or_the_last(place: Place, keep: str, expected: list[int]) -> None:
    found = place.load("k,n\nx,1\n,2\nx,3\ny,4\n", {"do": "deduplicate", "by": ["k"], "keep": keep})
    assert [row["n"] for row in found] == expected


def test_deduplicate_over_all_columns_tells_no_value_from_a_text(place: Place) -> None:
    found = place.load('{"a":null}\n{"a":"N"}\n{"a":null}\n{"a":"\\u001fN"}\n', {"do": "deduplicate"}, name="in.jsonl")
    assert [row["a"] for row in found] == [None, "N", "\x1fN"]


def test_deduplicate_compares_values_and_not_their_spelling(place: Place) -> None:
    schema = {"columns": {"k": "decimal"}}
    assert len(place.load("k\n1.0\n1.00\n-0\n0\n", {"do": "deduplicate"}, schema=schema)) == 2
    assert len(place.load("k\n1\n\n1\n2\n", {"do": "deduplicate"})) == 2
    assert len(place.load("k\n0.0\n-0.0\n0.5\n", {"do": "deduplicate"})) == 2


def test_sort_is_stable_in_both_directions_with_no_value_as_the_smallest(place: Place) -> None:
    found = place.load(CITIES, {"do": "sort", "by": ["-city", "rain"]})
    assert [(row["city"], row["rain"]) for row in found] == [("Rome", 1.5), ("Rome", 2.5), ("Oslo", None), ("Bern", 0)]
    assert [row["rain"] for row in place.load(CITIES, {"do": "sort", "by": ["rain"]})] == [None, 0, 1.5, 2.5]


def test_decimals_are_sorted_by_their_value(place: Place) -> None:
    found = place.load("d\n10\n9.5\n-1\n", {"do": "sort", "by": ["d"]}, schema={"columns": {"d": "decimal"}})
    assert [row["d"] for row in found] == [-1, 9.5, 10]


def test_aggregate_by_a_key_that_is_worked_out(place: Place) -> None:
    found = place.load(
        CITIES,
        {
            "do": "aggregate",
            "by": ["month = month(day)"],
            "columns": {
                "days": "count()",
                "measured": "count(rain)",
                "rain": "sum(rain)",
                "towns": "count_distinct(city)",
                "first": "first(rain)",
                "last": "last(city)",
                "least": "min(city)",
                "latest": "max(day)",
                "mid": "median(rain)",
            },
        },
    )
    assert found == [
        {"month": 1, "days": 2, "measured": 1, "rain": 1.5, "towns": 2, "first": 1.5, "last": "Oslo", "least": "Oslo",
         "latest": "2012-01-02", "mid": 1.5},
        {"month": 2, "days": 2, "measured": 2, "rain": 2.5, "towns": 2, "first": 2.5, "last": "Bern", "least": "Bern",
         "latest": "2012-02-02", "mid": 1.25},
    ]  # fmt: skip


def test_aggregate_of_everything_is_one_row_even_of_no_rows(place: Place) -> None:
    step = {"do": "aggregate", "columns": {"n": "count()", "s": "sum(rain)"}}
    assert place.load(CITIES, step) == [{"n": 4, "s": 4.0}]
    assert place.load("rain\n", {"do": "cast", "columns": {"rain": "float"}}, step) == [{"n": 0, "s": None}]


def test_the_median_of_an_even_number_of_decimals_is_exact(place: Place) -> None:
    place.job(
        {
            "source": {"path": place.put("d.csv", "d\n1.00000000000000000001\n1.00000000000000000003\n")},
            "schema": {"columns": {"d": "decimal"}},
            "steps": [{"do": "aggregate", "columns": {"h": "median(d)"}}],
            "target": {"path": "data/out.csv"},
        }
    )
    assert place.text("out.csv") == "h\n1.00000000000000000002\n"


def test_sums_of_decimals_are_exact_and_of_ints_never_wrap(place: Place) -> None:
    schema = {"columns": {"d": "decimal"}}
    step = {"do": "aggregate", "columns": {"s": "sum(d)", "m": "mean(d)", "h": "median(d)"}}
    target = {"path": "data/out.csv", "mode": "replace"}
    place.job(
        {
            "source": {"path": place.put("d.csv", "d\n" + "0.1\n" * 15 + "0.3\n" * 15)},
            "schema": schema,
            "steps": [step],
            "target": target,
        }
    )
    assert place.text("out.csv") == "s,m,h\n6.0,0.2,0.2\n"
    with pytest.raises(JobFailed, match="64 bits") as raised:
        place.load(f"a\n{2**62}\n{2**62}\n", {"do": "aggregate", "columns": {"s": "sum(a)"}})
    assert raised.value.code == "step"


ROWS = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(-100, 100) | st.none()), max_size=40)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=ROWS, cuts=st.integers(1, 50))
def test_measures_are_what_pythons_statistics_say(
    tmp_path: Path, table: list[tuple[str, int | None]], cuts: int
) -> None:
    functions = ("sum", "mean", "median", "stddev", "min", "max", "count", "count_distinct", "first", "last")
    measures = tuple(spec_of.Measure(name=f, function=f, column="v") for f in functions)
    scratch = scratch_of.Scratch(":memory:")
    columns = (rows_of.Column("k", "text"), rows_of.Column("v", "int"))
    step = spec_of.Aggregate(by=(("k", ""),), measures=measures)
    chain = chain_of([step], columns, unique=(), scratch=scratch, partners={}, open_table=None)
    ledger = rows_of.Ledger(lambda _: None)
    for start in range(0, len(table), cuts):
        part = table[start : start + cuts]
        list(chain.feed(rows_of.Batch([[k for k, _ in part], [v for _, v in part]], range(len(part))), ledger))
    found = [row for batch in chain.finish(ledger) for row in zip(*batch.columns, strict=True)]
    scratch.close()
    groups: dict[str, list[int]] = defaultdict(list)
    for key, value in table:
        groups[key] += [] if value is None else [value]
    assert [row[0] for row in found] == sorted(groups)
    for key, *values in found:
        got, some = dict(zip(functions, values, strict=True)), groups[key]
        assert (got["count"], got["count_distinct"]) == (len(some), len(set(some)))
        assert got["sum"] == (sum(some) if some else None)
        assert (got["min"], got["max"]) == ((min(some), max(some)) if some else (None, None))
        assert (got["first"], got["last"]) == ((some[0], some[-1]) if some else (None, None))
        assert got["mean"] == (pytest.approx(statistics.mean(some)) if some else None)
        assert got["median"] == (pytest.approx(statistics.median(some)) if some else None)
        assert got["stddev"] == (pytest.approx(statistics.stdev(some)) if len(some) > 1 else None)


def test_more_rows_than_one_batch_go_through_every_waiting_step(place: Place) -> None:
    numbers = list(range(10_000))
    random.Random(1).shuffle(numbers)
    place.kernel.chunk = 5_000
    found = place.load(
        "n,k\n" + "".join(f"{n},{n % 5000}\n" for n in numbers),
        {"do": "deduplicate", "by": ["n"]},
        {"do": "sort", "by": ["n"]},
        {"do": "aggregate", "by": ["k"], "columns": {"c": "count()", "last": "last(n)"}},
    )
    assert [(row["k"], row["c"], row["last"]) for row in found] == [(k, 2, k + 5000) for k in range(5000)]


def test_steps_tell_their_rows_and_no_time_that_a_replay_would_not_meet_again(place: Place) -> None:
    place.load(CITIES, {"do": "filter", "where": "rain > 0"}, {"do": "sort", "by": ["city"]})
    assert place.result["steps"] == [
        {"step": "1 filter", "rows_in": 4, "rows_out": 2}, {"step": "2 sort", "rows_in": 2, "rows_out": 2},
    ]  # fmt: skip
    assert "ms" not in place.result
    assert place.result["rows_read"] == 4
    assert place.result["rows_written"] == 2


def test_decimals_of_json_keep_their_digits(place: Place) -> None:
    place.job(
        {
            "source": {"path": place.put("p.jsonl", '{"p": 12345678901234567890.12}\n')},
            "schema": {"columns": {"p": "decimal"}},
            "target": {"path": "data/p.csv"},
        }
    )
    assert Decimal(place.text("p.csv").split()[1]) == Decimal("12345678901234567890.12")
