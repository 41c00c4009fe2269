"""What arrives, and what is put back, is what was read and sent; else nothing is loaded."""

import pytest

from tests.hands.data_pipeline.conftest import Place, pipeline_files, run
from tests.hands.data_pipeline.test_targets import JobFailed, digest, load


def said(method: str, path: str, **other: object) -> object:
    """Answers of one method on one path say something else."""

    def reply(asked: str, resource: str, value: dict[str, object]) -> dict[str, object]:
        return {**value, **other} if (asked, resource) == (method, path) else value

    return reply


@pytest.mark.parametrize(
    ("method", "path", "other", "code", "why"),
    [
        ("files.read", "data/shop.db", {"changed": True}, "conflict", "while it was copied"),
        ("files.read", "data/shop.db", {"sha256": "0" * 64}, "files", "arrived"),
        ("files.read", "data/in.csv", {"sha256": "0" * 64}, "files", "arrived"),
        ("files.write", "data/shop.db", {"sha256": "0" * 64}, "files", "written"),
    ],
)
def test_a_file_that_is_another_one_on_its_way_ends_the_job(
    place: Place, method: str, path: str, other: dict[str, object], code: str, why: str
) -> None:
    load(place)
    before = digest(place)
    place.kernel.reply = said(method, path, **other)  # type: ignore[assignment]
    with pytest.raises(JobFailed, match=why) as raised:
        load(place, mode="append")
    assert raised.value.code == code
    assert method == "files.write" or digest(place) == before


def test_a_database_that_changes_while_it_is_copied_is_no_source(place: Place) -> None:
    load(place)
    place.kernel.reply = said("files.read", "data/shop.db", changed=True)  # type: ignore[assignment]
    source = {"path": "data/shop.db", "format": "sqlite", "table": "parts"}
    with pytest.raises(JobFailed, match="was changed while it was copied") as raised:
        place.job({"source": source, "target": {"path": "data/out.csv"}})
    assert raised.value.code == "source"


def test_a_program_that_opens_the_target_while_the_job_runs_is_a_conflict(place: Place) -> None:
    """It has written nothing yet, and would write beside what takes the file's place."""
    load(place)
    before = digest(place)
    place.kernel.on_chunk = lambda _: place.put("shop.db-wal", "")
    with pytest.raises(JobFailed, match="changed by somebody else") as raised:
        load(place, mode="append")
    assert (raised.value.code, digest(place)) == ("conflict", before)


def test_rows_of_all_sources_count_in_the_share_that_may_be_rejected(place: Place) -> None:
    names = place.put("names.csv", "id,name\n" + "".join(f"{number},n{number}\n" for number in range(8)))
    joined = {"do": "join", "source": {"path": names}, "on": ["id"]}
    schema = {"columns": {"id": "int"}}
    rows = place.load("id\n1\nx\n", joined, schema=schema, reject_at_most="40%")
    assert [row["name"] for row in rows] == ["n1"]
    with pytest.raises(JobFailed, match="1 of 2 rows were rejected"):
        place.load("id\n1\nx\n", schema=schema, reject_at_most="40%")


def test_where_nothing_is_rejected_no_table_is_named_for_it(place: Place) -> None:
    assert load(place)["rejects_in"] == ""


def test_no_more_of_a_spec_is_read_than_a_spec_may_have(place: Place) -> None:
    files = pipeline_files.Files(place.kernel)
    place.kernel.chunk = 4
    path = place.put("spec.toml", "0123456789")
    assert run(files.read(path, 10)) == b"0123456789"
    with pytest.raises(JobFailed, match="more than 9 bytes"):
        run(files.read(path, 9))
