"""A SQLite file is a source like any other, and its contents are never trusted."""

import apsw
import pytest

from tests.hands.data_pipeline.conftest import Place, database
from tests.hands.doubles import hand_module

pipeline_database = hand_module("data-pipeline", "pipeline_database")
JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed


def test_a_database_is_read_with_its_types(place: Place) -> None:
    database(place, "CREATE TABLE t (a, b, c)", "INSERT INTO t VALUES (1, 2.5, 'x'), (NULL, 3, 'y')", name="in.db")
    found = place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv")
    assert found == [{"a": 1, "b": 2.5, "c": "x"}, {"a": None, "b": 3.0, "c": "y"}]


def test_a_view_can_be_read_and_the_only_table_needs_no_name(place: Place) -> None:
    database(
        place,
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW v AS SELECT a + 1 AS b FROM t",
        name="in.db",
    )
    found = place.load("", source={"path": "data/in.db", "format": "sqlite", "table": "V"}, name="unused.csv")
    assert found == [{"b": 2}]
    with pytest.raises(JobFailed, match="has 2 tables"):
        place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv")
    with pytest.raises(JobFailed, match='no table "tt". Did you mean "t"'):
        place.load("", source={"path": "data/in.db", "format": "sqlite", "table": "tt"}, name="unused.csv")


def test_a_table_with_rejects_beside_it_is_still_the_only_one(place: Place) -> None:
    rows = place.put("rows.csv", "id,name,price\n1,x,2\n1\n")
    place.job({"source": {"path": rows}, "target": {"path": "data/in.db", "table": "t"}, "reject_at_most": 1})
    assert place.query("in.db", "SELECT count(*) FROM t_rejected") == [(1,)]
    found = place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv")
    assert found == [{"id": 1, "name": "x", "price": 2}]


def test_binary_values_are_rejected_with_their_column(place: Place) -> None:
    database(place, "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, x'00ff'), (2, 'x')", name="in.db")
    place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv", reject_at_most=1)
    assert [(reject["row"], reject["column"]) for reject in place.rejects()] == [(1, "b")]
    assert "binary" in str(place.rejects()[0]["reason"])


def test_a_hostile_view_cannot_call_what_is_not_harmless(place: Place) -> None:
    database(place, "CREATE TABLE t (a)", "CREATE VIEW v AS SELECT load_extension('/tmp/x') AS b", name="in.db")
    with pytest.raises(JobFailed):
        place.load("", source={"path": "data/in.db", "format": "sqlite", "table": "v"}, name="unused.csv")


def test_rows_that_need_more_memory_than_there_is_end_the_job_with_their_file(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_error(*_: object) -> None:  # instead of rows of gigabytes, which would take seconds
        raise MemoryError

    monkeypatch.setattr(pipeline_database, "batched", raise_error)
    database(place, "CREATE TABLE t (a)", name="in.db")
    with pytest.raises(JobFailed, match=r"data/in.db: the rows after row 0 need more memory") as raised:
        place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv")
    assert raised.value.code == "source"


def test_a_source_that_is_not_there_says_so(place: Place) -> None:
    with pytest.raises(JobFailed, match="data/none.csv: there is no such file") as raised:
        place.job({"source": {"path": "data/none.csv"}, "target": {"path": "data/x.csv"}})
    assert raised.value.code == "source"


def test_a_large_table_comes_in_order(place: Place) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
    database(place, "CREATE TABLE t (i INTEGER, x)", f"{numbers} INSERT INTO t SELECT i, 'x' FROM n", name="in.db")
    found = place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv")
    assert [row["i"] for row in found] == list(range(1, 10_001))


def test_a_source_with_unmerged_changes_beside_it_is_refused(place: Place) -> None:
    database(place, "CREATE TABLE t (a)", name="in.db")
    place.put("in.db-wal", "changes")
    with pytest.raises(JobFailed, match="not merged") as raised:
        place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv")
    assert raised.value.code == "source"


def test_a_text_that_is_no_utf_8_ends_the_job_with_why(place: Place) -> None:
    database(place, "CREATE TABLE t (a)", "INSERT INTO t VALUES (CAST(x'66ff' AS TEXT))", name="in.db")
    with pytest.raises(JobFailed, match="has a text after row 0 that is not UTF-8"):
        place.load("", source={"path": "data/in.db", "format": "sqlite"}, name="unused.csv")


def test_of_two_tables_that_differ_in_a_capital_beyond_ascii_the_named_one_is_read(place: Place) -> None:
    database(
        place, 'CREATE TABLE "É" (a)', 'CREATE TABLE "é" (a)', """INSERT INTO "é" VALUES ('small')""", name="in.db"
    )
    found = place.load("", source={"path": "data/in.db", "format": "sqlite", "table": "é"}, name="unused.csv")
    assert found == [{"a": "small"}]


def test_nothing_that_a_database_from_elsewhere_declares_is_trusted(place: Place) -> None:
    database(place, "CREATE TABLE t (a)")
    source = pipeline_database.DatabaseSource(place.path("shop.db"), "t", "shop.db")
    settings = (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, apsw.SQLITE_DBCONFIG_DEFENSIVE)
    assert [source._connection.config(setting, -1) for setting in settings] == [0, 1]
    source.close()
