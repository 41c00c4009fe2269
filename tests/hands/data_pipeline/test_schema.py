"""Columns are inferred by the rules of the page, and every row is held to what was inferred or declared."""

import sys
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.data_pipeline.conftest import Place
from tests.hands.doubles import hand_module

schema_of = hand_module("data-pipeline", "pipeline_schema")
SpecInvalid = hand_module("data-pipeline", "pipeline_errors").SpecInvalid
JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-2"], "int"),
        (["1", "2.5"], "float"),
        (["007", "100"], "text"),
        (["1e3"], "float"),
        (["0"], "int"),
        (["0.5"], "float"),
        (["true", "FALSE"], "bool"),
        (["yes"], "text"),
        (["2012-01-01"], "date"),
        (["2012/01/01"], "date"),
        (["2012-01-01", "2012-01-01T10:00"], "datetime"),
        (["01/02/2012"], "text"),
        (["nan"], "text"),
        (["9" * 20], "text"),
        (["1.5", "9" * 20], "text"),
        (["9223372036854775807", "0.5"], "float"),
        (["+4915112345678"], "text"),
        (["+1.5"], "text"),
        ([], "text"),
        (["a"], "text"),
    ],
)
def test_a_csv_columns_type_is_the_first_that_all_values_fit(texts: list[str], kind: str) -> None:
    assert schema_of.infer(texts, texts_may_be_numbers=True)[0] == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5], "float"),
        ([1], "int"),
        ([12345678901234567890], "text"),
        ([Decimal("1E+30")], "float"),
        (["1"], "text"),
        ([True], "bool"),
        ([True, 1], "text"),
        (["2012-01-01"], "date"),
        ([{"a": 1}], "text"),
        ([2.0], "float"),
        ([date(2012, 1, 1)], "date"),
    ],
)
def test_json_texts_never_become_numbers(values: list[object], kind: str) -> None:
    assert schema_of.infer(values, texts_may_be_numbers=False)[0] == kind


def test_a_stray_value_makes_a_column_text_and_a_note_says_so(place: Place) -> None:
    place.load("n\n" + "1\n" * 30 + "oops\n")
    notes = place.result["notes"]
    assert isinstance(notes, list)
    assert len(notes) == 1
    assert '30 of 31 sampled values are int; it is text because of "oops"' in notes[0]


def test_many_stray_values_are_no_note(place: Place) -> None:
    place.load("n\n" + "1\n" * 30 + "oops\n" * 10)
    assert place.result["notes"] == []


def test_rows_after_the_sample_are_held_to_what_was_inferred(place: Place) -> None:
    rows = "n\n" + "1\n" * 1_500 + "oops\n" + "2\n"
    found = place.load(rows, reject_at_most=1)
    assert len(found) == 1_501
    assert [(r["row"], r["column"], r["code"]) for r in place.rejects()] == [(1501, "n", "type")]


def test_how_the_bytes_are_cut_changes_nothing(place: Place) -> None:
    wide = "x" * 300
    rows = "n,m\n" + "".join(f"{n if n < 900 else n / 2},{wide}\n" for n in range(1_200)) + "x,1\n"
    results = []
    for chunk in (5_000, 70_000, 10**6):
        place.kernel.chunk = chunk
        results.append((place.load(rows, reject_at_most=1), place.rejects()))
    assert results[0] == results[1] == results[2]
    assert len(results[0][0]) == 1_200  # the sample reaches beyond the first chunk, so that the column is float


@pytest.mark.parametrize(
    ("rule", "value", "code"),
    [
        ({"type": "int"}, "x", "type"),
        ({"type": "int", "required": True}, "", "required"),
        ({"type": "int", "min": 5}, "4", "min"),
        ({"type": "float", "max": 5}, "5.1", "max"),
        ({"type": "text", "choices": ["a"]}, "b", "choices"),
        ({"type": "text", "pattern": "[a-z]+"}, "A1", "pattern"),
        ({"type": "text", "pattern": "[a-z]+"}, "ab1", "pattern"),
        ({"type": "text", "max_length": 2}, "abc", "length"),
        ({"type": "text", "min_length": 2}, "a", "length"),
        ({"type": "date", "min": date(2012, 1, 1)}, "2011-12-31", "min"),
        ({"type": "int", "unique": True}, "1", "unique"),
        ({"type": "date", "format": "%d.%m.%Y"}, "2012-01-01", "type"),
        ({"type": "decimal", "max": 1}, "1.01", "max"),
        ({"type": "decimal", "min": 0.3, "max": 1}, "0.29", "min"),
        ({"type": "bool"}, "maybe", "type"),
    ],
)
def test_each_rule_rejects_with_its_code_and_keeps_the_row(
    place: Place, rule: dict[str, object], value: str, code: str
) -> None:
    good = {"int": "1", "float": "5", "text": "ab", "date": "2012-06-01", "decimal": "1", "bool": "true"}[
        str(rule["type"])
    ]
    good = "01.06.2012" if "format" in rule else "7" if rule.get("min") == 5 else "a" if "choices" in rule else good
    place.load(f"k,v\n1,{good}\n2,{value}\n", schema={"columns": {"v": rule}}, reject_at_most=1)
    assert place.result["rows_written"] == 1
    assert [(r["row"], r["column"], r["code"], r["raw"]) for r in place.rejects()] == [
        (2, "v", code, f'["2","{value}"]')
    ]


@pytest.mark.parametrize("key", ["min", "max"])
@pytest.mark.parametrize(("offset", "fits", "does_not"), [("Z", "+00:00", ""), ("", "", "Z")])
def test_a_datetime_and_a_bound_of_which_only_one_has_an_offset_do_not_fit(
    place: Place, key: str, offset: str, fits: str, does_not: str
) -> None:
    moment = "2012-01-01T00:00:00"
    path = place.put("in.csv", f"at\n{moment}{fits}\n{moment}{does_not}\n")
    spec = f"""
reject_at_most = 1
source.path = "{path}"
target = {{ path = "data/out.jsonl" }}
schema.columns.at = {{ type = "datetime", {key} = {moment}{offset} }}
"""
    assert place.job(spec)["rows_written"] == 1
    assert [(one["row"], one["code"]) for one in place.rejects()] == [(2, "type")]
    reason = str(place.rejects()[0]["reason"])
    assert "only one has an offset" in reason
    assert "None" not in reason  # the bound that there is


def test_a_bound_of_a_decimal_is_as_exact_as_its_values(place: Place) -> None:
    rule = {"type": "decimal", "min": 0.1, "max": 0.3}
    assert len(place.load("v\n0.1\n0.3\n", schema={"columns": {"v": rule}})) == 2


def test_a_row_with_two_faults_is_rejected_once_with_both(place: Place) -> None:
    place.load("a,b\nx,y\n", schema={"columns": {"a": "int", "b": "int"}}, reject_at_most=1)
    assert place.result["rejected"] == {"type": 1}
    assert place.rejects()[0]["reason"] == 'a: "x" is not an int; b: "y" is not an int'


def test_no_value_passes_every_rule_but_required(place: Place) -> None:
    rules = {"v": {"type": "int", "min": 1, "unique": True}, "w": {"type": "text", "pattern": "x", "choices": ["x"]}}
    assert place.load("v,w,k\n,,1\n,,2\n", schema={"columns": rules}) == [
        {"v": None, "w": None, "k": 1}, {"v": None, "w": None, "k": 2},
    ]  # fmt: skip


def test_nulls_are_what_the_source_says(place: Place) -> None:
    assert place.load("a\nNA\n1\n-\n", source={"nulls": ["NA", "-"]}) == [{"a": None}, {"a": 1}, {"a": None}]


def test_declared_columns_that_are_not_there_are_told_all_at_once_with_the_nearest(place: Place) -> None:
    with pytest.raises(SpecInvalid) as raised:
        place.load("date,wnid,x\n", schema={"columns": {"wind": "float", "dates": "date"}})
    assert [(p.key, p.instead) for p in raised.value.problems] == [
        ("schema.columns.wind", 'Did you mean "wnid"?'), ("schema.columns.dates", 'Did you mean "date"?'),
    ]  # fmt: skip


def test_a_json_column_that_no_row_has_is_a_problem_only_if_it_is_required(place: Place) -> None:
    found = place.load('{"a":1}\n', name="in.jsonl", schema={"columns": {"a": "int", "b": "int"}})
    assert [row["b"] for row in found] == [None]
    with pytest.raises(SpecInvalid) as raised:
        place.load('{"a":1}\n', name="in.jsonl", schema={"columns": {"b": {"type": "int", "required": True}}})
    assert [(p.key, p.what) for p in raised.value.problems] == [("schema.columns.b", "the source has no such column")]


@pytest.mark.parametrize(("extra", "names"), [("infer", ["a", "b"]), ("ignore", ["b"])])
def test_columns_that_are_not_declared(place: Place, extra: str, names: list[str]) -> None:
    assert list(place.load("a,b\n1,2\n", schema={"extra": extra, "columns": {"b": "int"}})[0]) == names
    found = place.load('{"a":1,"b":2}\n', name="in.jsonl", schema={"extra": extra, "columns": {"b": "int"}})
    assert list(found[0]) == names


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python 3.13 shows a value that lies this deep")
@pytest.mark.parametrize("kind", ["int", "bool", "datetime", "text", None])
def test_a_value_that_lies_too_deep_costs_its_row(place: Place, kind: str | None) -> None:
    deep = '{"a":' + "[" * 2_000 + "]" * 2_000 + "}"
    schema = {"columns": {"a": kind}} if kind else {}
    place.load(f'[{{"a":null}},{deep}]', name="in.json", schema=schema, reject_at_most=1)
    (rejected,) = place.rejects()
    assert (rejected["row"], rejected["code"], rejected["raw"]) == (
        2,
        "type",
        "it lies too deep within itself to be shown",
    )


def test_undeclared_columns_can_be_refused(place: Place) -> None:
    with pytest.raises(SpecInvalid, match='a column "a" that is not declared'):
        place.load("a,b\n1,2\n", schema={"extra": "reject", "columns": {"b": "int"}})


def test_a_json_row_with_a_column_nobody_knew_is_rejected_not_trimmed(place: Place) -> None:
    lines = '{"a":1}\n' * 1_000 + '{"a":2,"aa":3}\n'
    place.load(lines, name="in.jsonl", reject_at_most=1)
    assert [(r["row"], r["column"], r["code"]) for r in place.rejects()] == [(1001, "aa", "extra")]


def test_a_source_without_columns_says_so(place: Place) -> None:
    with pytest.raises(JobFailed, match="no columns"):
        place.load("", name="in.jsonl")


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.json"])
def test_two_ids_that_differ_in_their_last_digit_stay_two(place: Place, name: str) -> None:
    ids = ["12345678901234567890", "12345678901234567891"]
    rows = [f'{{"id":{one}}}' for one in ids]
    content = {"in.csv": "\n".join(["id", *ids]), "in.jsonl": "\n".join(rows), "in.json": f"[{','.join(rows)}]"}
    assert place.load(content[name], name=name) == [{"id": one} for one in ids]


@given(
    st.lists(
        st.one_of(st.integers().map(str), st.floats().map(str), st.dates().map(str), st.text(max_size=5)), max_size=12
    )
)
def test_every_sampled_value_fits_what_was_inferred(texts: list[str]) -> None:
    kind, _ = schema_of.infer(texts, texts_may_be_numbers=True)
    scalar = hand_module("data-pipeline", "pipeline_values").scalar(kind)
    assert all(scalar(text) is not None for text in texts)
