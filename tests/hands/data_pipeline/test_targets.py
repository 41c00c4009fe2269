"""A target gets all rows or stays as it was, whatever happens on the way; nobody else's change is ever lost."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.hands.data_pipeline.conftest import Place, database
from tests.hands.doubles import hand_module
from tests.spread import spread

JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed
SpecInvalid = hand_module("data-pipeline", "pipeline_errors").SpecInvalid
pipeline_database = hand_module("data-pipeline", "pipeline_database")

ROWS = "id,name,price\n1,nut,1.5\n2,bolt,2\n3,cog,\n"


def digest(place: Place, name: str = "shop.db") -> str:
    return hashlib.sha256(place.path(name).read_bytes()).hexdigest()


def load(place: Place, rows: str = ROWS, steps: Sequence[object] = (), /, **target: object) -> dict[str, object]:
    """Loads rows into the table `parts` of shop.db."""
    return place.job(
        {
            "source": {"path": place.put("in.csv", rows)},
            "steps": list(steps),
            "reject_at_most": 5,
            "target": {"path": "data/shop.db", "table": "parts", **target},
        }
    )


def refused(place: Place, code: str, why: str, rows: str = ROWS, **target: object) -> None:
    """The job fails with this code and the target is as it was."""
    before = place.path("shop.db").read_bytes() if place.path("shop.db").exists() else None
    with pytest.raises(JobFailed, match=why) as raised:
        load(place, rows, **target)
    assert raised.value.code == code
    assert (place.path("shop.db").read_bytes() if place.path("shop.db").exists() else None) == before


# SQLite --------------------------------------------------------------------------------------------------------------


def test_create_makes_a_table_with_the_types_of_its_columns(place: Place) -> None:
    rows = "a,b,c,d,e,f\n1,1.5,true,2012-01-01,2012-01-01T10:00:00Z,x\n"
    result = load(place, rows)
    assert place.query("shop.db", "SELECT * FROM parts") == [(1, 1.5, 1, "2012-01-01", "2012-01-01T10:00:00Z", "x")]
    types = [row[2] for row in place.query("shop.db", "PRAGMA table_info(parts)")]
    assert types == ["INTEGER", "REAL", "BOOLEAN", "TEXT", "TEXT", "TEXT"]
    target = result["target"]
    assert isinstance(target, dict)
    assert (target["sha256"], target["size"]) == (digest(place), place.path("shop.db").stat().st_size)


def test_create_refuses_a_table_that_is_there_and_leaves_it(place: Place) -> None:
    database(place, "CREATE TABLE Parts (id)", "INSERT INTO Parts VALUES (9)")
    refused(place, "target", 'has a table "parts" already')


def test_replace_keeps_the_other_tables(place: Place) -> None:
    database(place, "CREATE TABLE parts (old)", "CREATE TABLE other (x)", "INSERT INTO other VALUES (7)")
    load(place, mode="replace")
    assert place.query("shop.db", "SELECT count(*) FROM parts") == [(3,)]
    assert place.query("shop.db", "SELECT x FROM other") == [(7,)]


def test_append_needs_the_columns_and_respects_the_constraints_row_by_row(place: Place) -> None:
    database(
        place,
        "CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT NOT NULL CHECK (name <> 'bolt'), price, more DEFAULT 5)",
        "INSERT INTO parts VALUES (1, 'old', 0, 0)",
    )
    result = load(place, mode="append")
    assert place.query("shop.db", "SELECT * FROM parts ORDER BY id") == [(1, "old", 0, 0), (3, "cog", None, 5)]
    assert (result["rows_written"], result["rejected"]) == (1, {"constraint": 2})
    found = place.query("shop.db", 'SELECT "row", code, reason, raw FROM parts_rejected ORDER BY "row"')
    assert [row[0] for row in found] == [1, 2]
    assert "UNIQUE" in str(found[0][2])
    assert found[1][3] == '["2","bolt","2"]'


def test_rows_before_a_refused_one_are_written_once(place: Place) -> None:
    database(place, "CREATE TABLE parts (id CHECK (id < 5), name, price)")
    result = load(place, "id,name,price\n1,a,1\n9,b,1\n2,c,1\n", mode="append")
    assert place.query("shop.db", "SELECT id FROM parts") == [(1,), (2,)]
    assert (result["rows_written"], result["rows_rejected"]) == (2, 1)


def test_append_to_a_table_of_another_shape_tells_every_difference(place: Place) -> None:
    database(place, "CREATE TABLE parts (id, nam, must NOT NULL, made AS (id + 1))")
    with pytest.raises(JobFailed) as raised:
        load(place, "id,name,made\n1,nut,2\n", mode="append")
    text = raised.value.text
    assert 'no column "name". Did you mean "nam"?' in text
    assert '"must" needs a value' in text
    assert '"made" is generated' in text


def test_columns_of_a_table_that_do_not_fit_are_told_in_its_rows_order(place: Place) -> None:
    names = [f"made{number}" for number in range(9)]
    database(place, f"CREATE TABLE parts (id, {', '.join(f'{name} AS (id + 1)' for name in names)})")
    with pytest.raises(JobFailed) as raised:
        load(place, f"id,{','.join(names)}\n1{',2' * len(names)}\n", mode="append")
    told = [raised.value.text.index(f'"{name}" is generated') for name in names]
    assert told == sorted(told)


def test_upsert_changes_known_rows_and_adds_new_ones(place: Place) -> None:
    load(place)
    load(place, "id,price,name\n2,9,bolt\n4,1,pin\n", mode="upsert", key=["id"])
    assert place.query("shop.db", "SELECT id, name, price FROM parts ORDER BY id") == [
        (1, "nut", 1.5), (2, "bolt", 9), (3, "cog", None), (4, "pin", 1),
    ]  # fmt: skip
    load(place, "id,price,name\n4,2,pin\n", mode="upsert", key=["id"])
    assert place.query("shop.db", "SELECT price FROM parts WHERE id = 4") == [(2,)]


def indexes(place: Place) -> list[tuple[object, ...]]:
    return place.query("shop.db", "SELECT tbl_name FROM sqlite_schema WHERE type = 'index' ORDER BY 1")


def test_two_tables_and_keys_that_read_alike_are_upserted_both(place: Place) -> None:
    for table, key in (("parts", "line_id"), ("parts_line", "id"), ("parts", "line_id")):
        load(place, f"{key},price\n1,2\n", mode="upsert", key=[key], table=table)
        load(place, f"{key},price\n1,3\n", mode="upsert", key=[key], table=table)
        assert place.query("shop.db", f"SELECT {key}, price FROM {table}") == [(1, 3)]
    assert indexes(place) == [("parts",), ("parts_line",)]


@pytest.mark.parametrize(
    "made", ["(id INTEGER PRIMARY KEY, name, price)", "(id UNIQUE, name, price)", "(id, name, price)"]
)
def test_upsert_takes_what_keeps_its_keys_apart_already(place: Place, made: str) -> None:
    database(place, f"CREATE TABLE parts {made}")
    if made == "(id, name, price)":
        database(place, "CREATE UNIQUE INDEX parts_id_key ON parts (id)")  # as earlier versions did
    before = indexes(place)
    load(place, mode="upsert", key=["id"])
    load(place, mode="upsert", key=["id"])
    assert place.query("shop.db", "SELECT count(*) FROM parts") == [(3,)]
    assert indexes(place) == before


def test_upsert_into_a_table_with_two_rows_of_one_key_is_refused(place: Place) -> None:
    database(place, "CREATE TABLE parts (id, name, price)", "INSERT INTO parts VALUES (1, 2, 3), (1, 4, 5)")
    refused(place, "target", "UNIQUE", mode="upsert", key=["id"])


@pytest.mark.parametrize("path", ["data/out.jsonl", "data/out.db"])
def test_a_row_whose_bytes_are_not_of_the_encoding_is_kept_among_the_rejected(place: Place, path: str) -> None:
    source = {"path": place.put("in.csv", "id,name\n1,nut\n2,M\u00f6hre\n".encode("latin-1"))}
    table = {"table": "parts"} if path.endswith(".db") else {}
    result = place.job({"source": source, "reject_at_most": 1, "target": {"path": path, **table}})
    assert (result["rows_written"], result["rejected"]) == (1, {"malformed": 1})
    rejected = place.query("out.db", "SELECT raw FROM parts_rejected")[0][0] if table else place.rejects()[0]["raw"]
    assert rejected == '["2","M\\udcf6hre"]'


def test_save_writes_rows_on_their_way_in_the_same_transaction(place: Place) -> None:
    save = {"do": "save", "table": "every", "mode": "replace"}
    result = load(place, ROWS, [save, {"do": "aggregate", "columns": {"n": "count()"}}])
    assert place.query("shop.db", "SELECT count(*) FROM every") == [(3,)]
    assert place.query("shop.db", "SELECT n FROM parts") == [(3,)]
    assert result["saved"] == {"every": 3}


def test_rejected_rows_are_of_the_last_run_after_replace_and_of_all_runs_after_append(place: Place) -> None:
    bad = "id,name,price\n1,x,y,z\n"
    load(place, bad, mode="replace")
    load(place, bad, mode="append")
    assert place.query("shop.db", "SELECT count(*) FROM parts_rejected") == [(2,)]
    load(place, mode="replace")
    assert place.query("shop.db", "SELECT name FROM sqlite_schema WHERE type = 'table'") == [("parts",)]


def test_somebody_elses_table_of_the_rejects_name_is_never_touched(place: Place) -> None:
    database(place, "CREATE TABLE parts_rejected (mine)", "INSERT INTO parts_rejected VALUES (1)")
    load(place, mode="replace")
    assert place.query("shop.db", "SELECT mine FROM parts_rejected") == [(1,)]
    refused(place, "target", "is another table", rows="id,name,price\n1\n", mode="replace")


def test_names_are_never_sql(place: Place) -> None:
    name = 'x"; DROP TABLE other; --'
    database(place, "CREATE TABLE other (x)")
    load(place, f'"{name.replace(chr(34), chr(34) * 2)}",b\n1,2\n', table=name)
    assert place.query("shop.db", "SELECT count(*) FROM other") == [(0,)]
    assert place.query("shop.db", f'SELECT * FROM "{name.replace(chr(34), chr(34) * 2)}"') == [(1, 2)]


def test_column_names_that_differ_only_by_case_are_refused(place: Place) -> None:
    refused(place, "target", "differ by case", rows="a,A\n1,2\n")


def test_a_database_in_wal_mode_stays_in_it(place: Place) -> None:
    database(place, "PRAGMA journal_mode=WAL", "CREATE TABLE other (x)")
    load(place)
    assert place.query("shop.db", "PRAGMA journal_mode") == [("wal",)]
    assert not Path(f"{place.path('shop.db')}-wal").exists() or not Path(f"{place.path('shop.db')}-wal").stat().st_size


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_database_with_unmerged_changes_beside_it_is_refused(place: Place, suffix: str) -> None:
    database(place, "CREATE TABLE other (x)")
    place.put(f"shop.db{suffix}", "changes")
    refused(place, "target", "not merged")


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_changes_that_were_left_of_a_database_that_is_gone_are_not_put_beside_a_new_one(
    place: Place, suffix: str
) -> None:
    place.put(f"shop.db{suffix}", "changes")
    refused(place, "target", "not merged")
    assert not place.path("shop.db").exists()


def test_a_database_that_a_program_has_open_in_wal_mode_is_not_taken_from_under_it(place: Place) -> None:
    database(place, "PRAGMA journal_mode=WAL", "CREATE TABLE other (x)")
    place.put("shop.db-wal", "")  # as after PRAGMA wal_checkpoint(TRUNCATE), whose connection is still there
    refused(place, "target", "open in another program")


def test_a_file_that_is_no_database_or_is_damaged_is_refused(place: Place) -> None:
    place.put("shop.db", "not a database, but long enough to be one" * 50)
    refused(place, "target", "not an SQLite database")
    place.path("shop.db").unlink()
    database(
        place, "CREATE TABLE other (x)", "INSERT INTO other SELECT randomblob(20000)", "INSERT INTO other SELECT 1"
    )
    raw = bytearray(place.path("shop.db").read_bytes())
    raw[8192:12288] = b"\xff" * 4096
    place.path("shop.db").write_bytes(raw)
    refused(place, "target", "damaged|malformed")


def test_replacing_a_table_that_others_refer_to_is_refused(place: Place) -> None:
    database(
        place,
        "CREATE TABLE parts (id INTEGER PRIMARY KEY)",
        "CREATE TABLE uses (part REFERENCES parts (id))",
        "INSERT INTO parts VALUES (77)",
        "INSERT INTO uses VALUES (77)",
    )
    refused(place, "target", "foreign key|refer to rows", mode="replace")


# all or nothing ------------------------------------------------------------------------------------------------------


def test_a_source_that_breaks_half_way_changes_nothing(place: Place) -> None:
    load(place)
    before = digest(place)
    place.kernel.chunk = 4096
    place.kernel.cut = 50
    with pytest.raises(JobFailed, match="disk is broken") as raised:
        load(place, "id,name,price\n" + "5,x,1\n" * 100_000, mode="append")
    assert raised.value.code == "files"
    assert digest(place) == before


def test_too_many_rejected_rows_change_nothing_and_say_which(place: Place) -> None:
    load(place)
    before = digest(place)
    with pytest.raises(JobFailed) as raised:
        load(place, "id,name,price\n" + "5,x\n" * 6 + "1,2,3\n", mode="append")
    assert digest(place) == before
    assert raised.value.code == "rejects"
    assert "6 of 7 rows were rejected (fields 6), more than reject_at_most = 5" in raised.value.text
    assert "row 1: 2 fields where there are 3 columns" in raised.value.text
    assert raised.value.detail["rejected"] == {"fields": 6}


def test_an_error_in_the_middle_of_writing_changes_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    load(place)
    before = digest(place)
    real = pipeline_database.TableSink.write
    written = []

    def write(sink: object, batch: object, ledger: object) -> None:
        written.append(batch)
        if len(written) == 3:
            raise MemoryError
        real(sink, batch, ledger)

    monkeypatch.setattr(pipeline_database.TableSink, "write", write)  # a fault at a place that no input reaches
    place.kernel.chunk = 100_000
    with pytest.raises(MemoryError):
        load(place, "id,name,price\n" + "5,x,1\n" * 100_000, mode="append")
    assert digest(place) == before


def test_a_change_of_the_target_while_the_job_runs_is_a_conflict_and_is_kept(place: Place) -> None:
    load(place)

    def change(_: str) -> None:
        place.path("shop.db").write_bytes(b"somebody else's work")

    place.kernel.before_write = change
    with pytest.raises(JobFailed, match="changed by somebody else") as raised:
        load(place, mode="append")
    assert raised.value.code == "conflict"
    assert place.path("shop.db").read_bytes() == b"somebody else's work"


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_change_beside_the_target_while_the_job_runs_is_a_conflict_and_is_kept(place: Place, suffix: str) -> None:
    load(place)
    before = digest(place)
    place.kernel.on_chunk = lambda _: place.put(f"shop.db{suffix}", "theirs")
    with pytest.raises(JobFailed, match="changed by somebody else") as raised:
        load(place, mode="append")
    assert raised.value.code == "conflict"
    assert digest(place) == before
    assert place.text(f"shop.db{suffix}") == "theirs"


@pytest.mark.parametrize("mode", ["create", "replace", "append"])
def test_a_target_that_appears_while_the_job_runs_is_a_conflict_and_is_kept(place: Place, mode: str) -> None:
    def appear(path: str) -> None:
        if path.endswith("csv"):
            place.put("out.csv", "theirs")

    place.kernel.before_write = appear
    with pytest.raises(JobFailed) as raised:
        place.job(
            {"source": {"path": place.put("in.jsonl", '{"a":1}')}, "target": {"path": "data/out.csv", "mode": mode}}
        )
    assert raised.value.code == "conflict"
    assert place.text("out.csv") == "theirs"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.hands.data_pipeline.conftest import FakeKernel, Place
from tests.hands.doubles import hand_module
place = Place.__new__(Place)
place.root, place._folder = Path({root!r}), Path({work!r})
place.kernel, place.told, place._jobs = FakeKernel(place.root), [], 0
place.kernel.chunk = 65_536
database = hand_module("data-pipeline", "pipeline_database")
steps = {{"write": database.TableSink.write, "commit": database.DatabaseTarget.commit}}
left = [{at}]
def killing(name):
    def run(*arguments):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return steps[name](*arguments)
    return run
database.TableSink.write, database.DatabaseTarget.commit = killing("write"), killing("commit")
target = {{"path": "data/shop.db", "table": "parts", "mode": "append"}}
place.job({{"source": {{"path": "data/big.csv"}}, "target": target}})
"""


@pytest.mark.parametrize("at", spread([4, 1, 9], 1))
def test_a_process_killed_while_it_writes_leaves_the_target_as_it_was(place: Place, tmp_path: Path, at: int) -> None:
    load(place)
    before = digest(place)
    place.put("big.csv", "id,name,price\n" + "5,some name or other,1\n" * 20_000)
    work = tmp_path / "killed"
    work.mkdir()
    script = KILLED.format(path=sys.path, root=str(place.root), work=str(work), at=at)
    ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert digest(place) == before
