"""A wrong spec gets every problem at once, each with its key and what to write instead; one row here per problem."""

import time
from datetime import UTC, datetime

import pytest

from tests.hands.data_pipeline.conftest import Place
from tests.hands.doubles import HANDS, hand_module

check = hand_module("data-pipeline", "pipeline_check")
steps_of = hand_module("data-pipeline", "pipeline_check_steps")
errors = hand_module("data-pipeline", "pipeline_errors")
rows = hand_module("data-pipeline", "pipeline_rows")

GOOD = {"source": {"path": "data/in.csv"}, "target": {"path": "data/out.db", "table": "t"}}
MISSING = "it is missing"
MOMENT = datetime(2012, 1, 1)  # noqa: DTZ001  without an offset


def problems(table: object) -> list[tuple[str, str, str]]:
    with pytest.raises(errors.SpecInvalid) as raised:
        check.check_table(table)
    return [tuple(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("change", "key", "what", "instead"),
    [
        ({"sorce": 1}, "sorce", "no such key", '"source"'),
        ({"source": {}}, "source.path", MISSING, "path ="),
        ({"source": 5}, "source", "a number, not a table", "[source]"),
        ({"source": {"path": "data/in.xls"}}, "source.format", "suffix", "csv or json or jsonl or sqlite"),
        ({"source": {"path": "data/in.csv", "format": "cvs"}}, "source.format", "'cvs'", '"csv"'),
        ({"source": {"path": "data/in.csv", "delimeter": ";"}}, "source.delimeter", "no such key", '"delimiter"'),
        ({"source": {"path": "data/in.csv", "delimiter": ";;"}}, "source.delimiter", "2 characters", "at most 1"),
        ({"source": {"path": "data/in.csv", "delimiter": '"'}}, "source.delimiter", "cannot separate", ";"),
        ({"source": {"path": "data/in.csv", "encoding": "latin1"}}, "source.encoding", "latin1", '"latin-1"'),
        ({"source": {"path": "data/in.csv", "encoding": "klingon"}}, "source.encoding", "klingon", "utf-8"),
        ({"source": {"path": "data/in.json", "encoding": "latin-1"}}, "source.encoding", "always UTF-8", "out"),
        ({"source": {"path": "data/in.csv", "header": "yes"}}, "source.header", "a text", "true or"),
        ({"source": {"path": "data/in.csv", "table": "t"}}, "source.table", "no table", "sqlite"),
        ({"source": {"path": "data/in.csv", "nulls": [1]}}, "source.nulls", "not a list of texts", "nulls ="),
        ({"source": {"path": "data/in.csv", "columns": ["a", "a"]}}, "source.columns", "twice", "once"),
        ({"schema": {"extra": "drop"}}, "schema.extra", "'drop'", "ignore"),
        ({"schema": {"columns": {"a": "integer"}}}, "schema.columns.a.type", "'integer'", '"int"'),
        ({"schema": {"columns": {"a": {"type": "int", "mini": 1}}}}, "schema.columns.a.mini", "no such key", '"min"'),
        (
            {"schema": {"columns": {"a": {"type": "int", "min": "1"}}}},
            "schema.columns.a.min",
            "not a number",
            "min = 10",
        ),
        (
            {"schema": {"columns": {"a": {"type": "date", "min": "x"}}}},
            "schema.columns.a.min",
            "not a date",
            "without quotes",
        ),
        (
            {"schema": {"columns": {"a": {"type": "int", "min": 2, "max": 1}}}},
            "schema.columns.a.min",
            "more than max",
            "Exchange",
        ),
        (
            {"schema": {"columns": {"a": {"type": "datetime", "min": MOMENT, "max": MOMENT.replace(tzinfo=UTC)}}}},
            "schema.columns.a.min",
            "only one has an offset",
            "both",
        ),
        (
            {"schema": {"columns": {"a": {"type": "date", "format": "%d.%m.%d"}}}},
            "schema.columns.a.format",
            "no date can be of this form",
            "%d.%m.%Y",
        ),
        ({"schema": {"columns": {"a": {"type": "text", "pattern": "("}}}}, "schema.columns.a.pattern", "regular", "re"),
        (
            {"schema": {"columns": {"a": {"type": "int", "pattern": "x"}}}},
            "schema.columns.a.pattern",
            "only a text",
            "text",
        ),
        (
            {"schema": {"columns": {"a": {"type": "int", "format": "%Y"}}}},
            "schema.columns.a.format",
            "only a date",
            "date",
        ),
        (
            {"schema": {"columns": {"a": {"type": "int", "choices": ["x"]}}}},
            "schema.columns.a.choices",
            "int values",
            "choices",
        ),
        ({"schema": {"columns": {"a": {"min": 1}}}}, "schema.columns.a.min", "only a number", "type"),
        ({"schema": {"columns": {"a\n": "int"}}}, "schema.columns", "cannot be a name", "control"),
        ({"steps": {"do": "sort"}}, "steps", "not a list", "[[steps]]"),
        ({"steps": [{}]}, "steps[1].do", MISSING, "select"),
        ({"steps": [{"do": "sorted", "by": ["a"]}]}, "steps[1].do", "no step", '"sort"'),
        ({"steps": [{"do": "select"}]}, "steps[1].columns", "either columns or drop", "columns ="),
        ({"steps": [{"do": "rename"}]}, "steps[1].columns", MISSING, "old"),
        ({"steps": [{"do": "rename", "columns": {"a": 1}}]}, "steps[1].columns.a", "a number, not a text", "a ="),
        ({"steps": [{"do": "cast", "columns": {"a": "itn"}}]}, "steps[1].columns.a", "no type", '"int"'),
        ({"steps": [{"do": "cast", "columns": {"a": "int"}, "format": "%Y"}]}, "steps[1].format", "only a date", "out"),
        (
            {"steps": [{"do": "cast", "columns": {"a": "date"}, "format": "%q.%m"}]},
            "steps[1].format",
            "bad directive",
            "%d.%m.%Y",
        ),
        ({"steps": [{"do": "derive", "value": "1"}]}, "steps[1].column", MISSING, "column ="),
        ({"steps": [{"do": "derive", "column": "a", "value": "b."}]}, "steps[1].value", "cannot be read", "README"),
        ({"steps": [{"do": "filter", "where": "f(x)"}]}, "steps[1].where", "no function f()", "abs"),
        ({"steps": [{"do": "join", "on": ["a"]}]}, "steps[1].source.path", MISSING, "path"),
        ({"steps": [{"do": "join", "source": {"path": "data/o.csv"}}]}, "steps[1].on", "no column", "on ="),
        (
            {"steps": [{"do": "join", "source": {"path": "o.csv"}, "on": ["a"], "unmatched": "x"}]},
            "steps[1].unmatched",
            "'x'",
            "drop",
        ),
        ({"steps": [{"do": "aggregate"}]}, "steps[1].columns", MISSING, "count()"),
        (
            {"steps": [{"do": "aggregate", "columns": {"a": "avg(b)"}}]},
            "steps[1].columns.a",
            "not a measure",
            "sum(column)",
        ),
        ({"steps": [{"do": "aggregate", "columns": {"a": "sum()"}}]}, "steps[1].columns.a", "of what", "sum(column)"),
        (
            {"steps": [{"do": "aggregate", "by": ["a"], "columns": {"a": "count()"}}]},
            "steps[1].columns",
            'two columns "a"',
            "another",
        ),
        (
            {"steps": [{"do": "aggregate", "by": ["m = mnth(d)"], "columns": {"a": "count()"}}]},
            "steps[1].by",
            "mnth",
            '"month"',
        ),
        ({"steps": [{"do": "deduplicate", "keep": "all"}]}, "steps[1].keep", "'all'", "first"),
        ({"steps": [{"do": "sort"}]}, "steps[1].by", "no column", "-date"),
        ({"steps": [{"do": "save"}]}, "steps[1].table", MISSING, "table ="),
        ({"steps": [{"do": "save", "table": "T"}]}, "steps[1].table", "written twice", "another"),
        ({"steps": [{"do": "sort", "by": ["a"]}] * 65}, "steps", "there are 65", "at most 64"),
        ({"target": {}}, "target.path", MISSING, "path ="),
        ({"target": {"path": "data/x.db"}}, "target.table", MISSING, "table ="),
        ({"target": {"path": "data/x.json"}}, "target.format", "cannot be json", "csv or jsonl or sqlite"),
        ({"target": {"path": "data/x.db", "table": "sqlite_x"}}, "target.table", "for itself", "another"),
        ({"target": {"path": "data/x.db", "table": "t", "mode": "upsert"}}, "target.key", "needs it", "key ="),
        ({"target": {"path": "data/x.db", "table": "t", "key": ["a"]}}, "target.key", "has no key", "upsert"),
        ({"target": {"path": "data/x.csv", "mode": "upsert", "key": ["a"]}}, "target.mode", "no keys", "replace"),
        ({"target": {"path": "data/x.csv", "table": "t"}}, "target.table", "no tables", "out"),
        ({"target": {"path": "data/x.db", "table": "t", "mode": "put"}}, "target.mode", "'put'", "append"),
        (
            {"target": {"path": "data/x.jsonl"}, "steps": [{"do": "save", "table": "u"}]},
            "steps[1]",
            "SQLite target",
            ".db",
        ),
        ({"reject_at_most": "some"}, "reject_at_most", "'some'", "1%"),
        ({"reject_at_most": -1}, "reject_at_most", "-1", "1%"),
        ({"reject_at_most": "200%"}, "reject_at_most", "200%", "1%"),
    ],
)
def test_each_problem_names_its_key_and_its_mend(change: dict[str, object], key: str, what: str, instead: str) -> None:
    found = problems({**GOOD, **change})
    assert len(found) == 1, found
    assert found[0][0] == key
    assert what in found[0][1]
    assert instead in found[0][2]


def test_all_problems_are_told_at_once() -> None:
    found = problems(
        {"source": {"path": 5}, "steps": [{"do": "sort"}, {"do": "srt"}], "target": {"mode": "x"}, "nmae": "y"}
    )
    assert {key for key, _, _ in found} >= {
        "source.path",
        "steps[1].by",
        "steps[2].do",
        "target.mode",
        "target.path",
        "nmae",
    }


def test_a_byte_order_mark_before_a_spec_is_no_part_of_it() -> None:
    text = b'source = { path = "data/a.csv" }\ntarget = { path = "data/b.csv", mode = "replace" }\n'
    assert check.check_text(b"\xef\xbb\xbf" + text) == check.check_text(text)


def test_what_is_not_toml_says_where() -> None:
    with pytest.raises(errors.SpecInvalid, match="line 2"):
        check.check_text(b"a = 1\nb = \n")
    with pytest.raises(errors.SpecInvalid, match="not TOML"):
        check.check_text(b"\xff")
    with pytest.raises(errors.SpecInvalid, match="at most"):
        check.check_text(b"#" * 300_000)


@pytest.mark.parametrize(
    ("step", "key", "what", "instead"),
    [
        ({"do": "select", "columns": ["wnid"]}, "steps[1].columns", 'no column "wnid"', '"wind"'),
        ({"do": "select", "drop": ["wind", "day", "kind"]}, "steps[1].drop", "no column is left", "Keep"),
        ({"do": "rename", "columns": {"wind": "kind"}}, "steps[1].columns", 'called "kind"', "another"),
        ({"do": "cast", "columns": {"Wind": "int"}}, "steps[1].columns", 'no column "Wind"', '"wind"'),
        ({"do": "derive", "column": "x", "value": "winds * 2"}, "steps[1].value", '"winds"', '"wind"'),
        ({"do": "derive", "column": "x", "value": "kind * 2"}, "steps[1].value", "int and text", "float(x)"),
        ({"do": "filter", "where": "wind"}, "steps[1].where", "gives float", "x > 0"),
        ({"do": "aggregate", "by": ["kin"], "columns": {"n": "count()"}}, "steps[1].by", '"kin"', '"kind"'),
        ({"do": "aggregate", "columns": {"n": "sum(kind)"}}, "steps[1].columns.n", "needs numbers", "cast"),
        (
            {"do": "aggregate", "by": ["kind = lower(kind)"], "columns": {"n": "count()"}},
            "steps[1].by",
            "already",
            "another",
        ),
        ({"do": "deduplicate", "by": ["dya"]}, "steps[1].by", '"dya"', '"day"'),
        ({"do": "sort", "by": ["-wnd"]}, "steps[1].by", '"wnd"', '"wind"'),
        (
            {"do": "join", "source": {"path": "data/other.csv"}, "on": ["kind"], "prefix": ""},
            "steps[1].prefix",
            '"wind"',
            "prefix",
        ),
        ({"do": "join", "source": {"path": "data/other.csv"}, "on": {"kind": "knd"}}, "steps[1].on", '"knd"', '"kind"'),
        ({"do": "join", "source": {"path": "data/other.csv"}, "on": {"wind": "kind"}}, "steps[1].on", "float", "Cast"),
        (
            {"do": "join", "source": {"path": "data/other.csv"}, "on": ["kind"], "take": ["x"]},
            "steps[1].take",
            '"x"',
            "wind",
        ),
    ],
)
def test_problems_with_the_sources_columns_are_told_before_anything_is_written(
    place: Place, step: dict[str, object], key: str, what: str, instead: str
) -> None:
    place.put("other.csv", "kind,wind\nrain,1\n")
    with pytest.raises(errors.SpecInvalid) as raised:
        place.load("day,wind,kind\n2012-01-01,1.5,rain\n", step, {"do": "sort", "by": ["nope"]})
    found = [tuple(problem) for problem in raised.value.problems]
    assert found[0][0] == key
    assert what in found[0][1]
    assert instead in found[0][2]
    assert any(key == "steps[2].by" for key, _, _ in found) or step["do"] == "join"
    assert not place.path("out.jsonl").exists()


def test_a_key_of_the_target_that_no_row_has(place: Place) -> None:
    with pytest.raises(errors.SpecInvalid, match='target.key: the rows have no column "idd"'):
        place.job(
            {
                "source": {"path": place.put("in.csv", "id\n1\n")},
                "target": {"path": "data/x.db", "table": "t", "mode": "upsert", "key": ["idd"]},
            }
        )


def test_inputs_alone_describe_a_job_and_go_before_a_file() -> None:
    short = {
        "source": "data/a.csv",
        "target": "data/b.db",
        "table": "t",
        "mode": "upsert",
        "key": "a, b",
        "delimiter": ";",
    }
    spec = check.check_inputs({**short, "reject_at_most": "3"})
    assert (spec.source.path, spec.source.delimiter) == ("data/a.csv", ";")
    assert (spec.target.table, spec.target.mode, spec.target.key) == ("t", "upsert", ("a", "b"))
    assert spec.reject_at_most.count == 3
    text = b'[source]\npath = "data/x.csv"\nquote = "\'"\n[target]\npath = "data/y.csv"\n'
    spec = check.check_text(text, {"source": "data/a.csv", "mode": "replace"})
    assert (spec.source.path, spec.source.quote, spec.target.path, spec.target.mode) == (
        "data/a.csv",
        "'",
        "data/y.csv",
        "replace",
    )


def test_a_measure_of_many_blanks_is_read_in_time_proportional_to_them() -> None:
    begun = time.process_time()
    for text in ("sum(" + " " * 3000, "sum(" + " " * 3000 + "x", "sum" + " " * 3000 + "()"):
        assert problems(GOOD | {"steps": [{"do": "aggregate", "columns": {"a": text}}]})[0][0] == "steps[1].columns.a"
    assert time.process_time() - begun < 3  # it takes a hundredth of one, and took 60


def test_the_page_tells_every_step_measure_reason_and_code() -> None:
    page = (HANDS / "data-pipeline" / "README.md").read_text(encoding="utf-8")
    words = [*steps_of.STEPS, *steps_of.FUNCTIONS, *rows.REASONS, *errors.CODES, *rows.KINDS]
    assert [word for word in words if f"`{word}" not in page] == []


def test_a_column_that_a_wrong_step_was_to_make_is_no_further_problem(place: Place) -> None:
    with pytest.raises(errors.SpecInvalid) as raised:
        place.load(
            "a\n1\n",
            {"do": "derive", "column": "b", "value": "aa + 1"},
            {"do": "derive", "column": "c", "value": "b * 2"},
            {"do": "sort", "by": ["c", "d"]},
        )
    assert [problem.key for problem in raised.value.problems] == ["steps[1].value", "steps[3].by"]
