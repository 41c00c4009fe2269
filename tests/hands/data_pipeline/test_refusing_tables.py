"""Target tables that refuse rows in ways of their own: none is lost in silence, none is counted twice."""

import pytest

from tests.hands.data_pipeline.conftest import Place, database
from tests.hands.doubles import hand_module

JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed
APPEND = {"path": "data/shop.db", "table": "t", "mode": "append"}
PLAIN = "CREATE TABLE t (id INTEGER, name TEXT)"


def append(place: Place, *schema: str, **target: object) -> dict[str, object]:
    """Three rows, the second of which the table that the schema makes does not like."""
    database(place, *schema, "INSERT INTO t VALUES (2, 'first')")
    source = {"path": place.put("in.csv", "id,name\n1,a\n2,b\n3,c\n")}
    return place.job({"source": source, "target": {**APPEND, **target}, "reject_at_most": "100%"})


def trigger(when: str, raises: str) -> tuple[str, str]:
    return PLAIN, f"CREATE TRIGGER x {when} INSERT ON t WHEN new.name = 'b' BEGIN SELECT RAISE({raises}); END"


@pytest.mark.parametrize(
    "schema",
    [
        ("CREATE TABLE t (id INTEGER UNIQUE ON CONFLICT IGNORE, name TEXT)",),
        ("CREATE TABLE t (id INTEGER UNIQUE, name TEXT)",),
        trigger("BEFORE", "IGNORE"), trigger("BEFORE", "ABORT, 'no'"), trigger("AFTER", "FAIL, 'no'"),
    ],
)  # fmt: skip
def test_a_row_that_the_table_leaves_out_is_rejected_and_not_counted_as_written(
    place: Place, schema: tuple[str, ...]
) -> None:
    result = append(place, *schema)
    assert (result["rows_written"], result["rejected"]) == (2, {"constraint": 1})
    assert place.query("shop.db", "SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "first"), (3, "c")]
    assert place.query("shop.db", 'SELECT "row", code FROM t_rejected') == [(2, "constraint")]


@pytest.mark.parametrize(
    "schema",
    [("CREATE TABLE t (id INTEGER UNIQUE ON CONFLICT ROLLBACK, name TEXT)",), trigger("BEFORE", "ROLLBACK, 'no'")],
)
def test_a_table_that_ends_the_transaction_ends_the_job_and_says_so(place: Place, schema: tuple[str, ...]) -> None:
    with pytest.raises(JobFailed, match=r"ends the whole transaction.*ROLLBACK") as failed:
        append(place, *schema)
    assert failed.value.code == "target"
    assert place.query("shop.db", "SELECT * FROM t") == [(2, "first")]


def test_a_row_whose_number_is_none_is_rejected_by_a_table_of_numbered_rows(place: Place) -> None:
    database(place, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    source = {"path": place.put("in.csv", "id,name\n1,a\nX2,b\n3,c\n")}
    result = place.job({"source": source, "target": APPEND, "reject_at_most": "50%"})
    assert (result["rows_written"], result["rejected"]) == (2, {"constraint": 1})
    assert place.query("shop.db", "SELECT * FROM t ORDER BY id") == [(1, "a"), (3, "c")]


def test_what_a_table_does_besides_taking_a_row_is_its_own_affair(place: Place) -> None:
    log = "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT OR IGNORE INTO log VALUES (1); END"
    result = append(place, PLAIN, "CREATE TABLE log (n UNIQUE)", log)
    assert (result["rows_written"], result["rows_rejected"]) == (3, 0)
    assert place.query("shop.db", "SELECT * FROM log") == [(1,)]


def test_nothing_of_a_rejected_row_stands_whatever_its_trigger_did_before_it_left_it_out(place: Place) -> None:
    does = "UPDATE t SET name = new.name WHERE id = new.id; SELECT RAISE(IGNORE);"
    result = append(place, PLAIN, f"CREATE TRIGGER x BEFORE INSERT ON t WHEN new.name = 'b' BEGIN {does} END")
    assert (result["rows_written"], result["rejected"]) == (2, {"constraint": 1})
    assert place.query("shop.db", "SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "first"), (3, "c")]


def test_a_row_whose_key_is_all_that_it_has_and_is_there_already_is_not_rejected(place: Place) -> None:
    database(place, "CREATE TABLE t (id INTEGER UNIQUE ON CONFLICT IGNORE)", "INSERT INTO t VALUES (2)")
    source = {"path": place.put("in.csv", "id\n1\n2\n")}
    result = place.job({"source": source, "target": {**APPEND, "mode": "upsert", "key": ["id"]}})
    assert result["rows_rejected"] == 0


def test_a_database_whose_names_are_no_text_is_told_as_damaged(place: Place) -> None:
    database(place, "CREATE TABLE t (id INTEGER, name TEXT, other TEXT)")
    place.path("shop.db").write_bytes(place.path("shop.db").read_bytes().replace(b"other", b"oth\xffr"))
    out = {"path": "data/out.jsonl"}
    with pytest.raises(JobFailed) as failed:
        place.job({"source": {"path": "data/shop.db"}, "target": out})
    assert failed.value.code == "source"
    with pytest.raises(JobFailed) as failed:
        place.job({"source": {"path": place.put("in.csv", "id,name\n1,a\n")}, "target": APPEND})
    assert failed.value.code == "target"


@pytest.mark.parametrize(
    ("declared", "kind", "told"),
    [
        ("INTEGER", "text", "007"), ("DOUBLE", "text", "007"), ("DECIMAL(10,2)", "decimal", "15 digits"),
        ("REAL", "decimal", "15 digits"), ("REAL", "int", "2^53"), ("TEXT", "text", ""), ("", "decimal", ""),
        ("VARCHAR(9)", "decimal", ""), ("INTEGER", "int", ""), ("NUMERIC", "date", ""), ("BIGINT", "bool", ""),
    ],
)  # fmt: skip
def test_a_column_that_may_change_what_is_put_into_it_is_told(
    place: Place, declared: str, kind: str, told: str
) -> None:
    database(place, f'CREATE TABLE t (id INTEGER, "a" {declared})')
    value = {"date": "2012-12-31", "bool": "true"}.get(kind, "7")
    source = {"path": place.put("in.csv", f"id,a\n1,{value}\n")}
    result = place.job({"source": source, "schema": {"columns": {"a": kind}}, "target": APPEND})
    notes = list(result["notes"])  # type: ignore[call-overload]  # a list of texts
    assert [told in note for note in notes] == ([True] if told else [])
