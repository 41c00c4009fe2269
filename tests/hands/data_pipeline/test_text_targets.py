"""CSV and JSON Lines targets hold what was loaded, in a form that is read back the same, and keep what was there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.data_pipeline.conftest import Place
from tests.hands.doubles import hand_module

JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed
readers = hand_module("data-pipeline", "pipeline_readers")
rows = hand_module("data-pipeline", "pipeline_rows")
spec = hand_module("data-pipeline", "pipeline_spec")
text_target = hand_module("data-pipeline", "pipeline_text_target")

TEXTS = st.text(st.sampled_from("\r\n\"',;\t| \0\ufeff\u2028a\u00e9"), max_size=6)
NAMES = st.lists(TEXTS.map(str.strip).filter(bool), min_size=2, max_size=2, unique=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a target is written, again and again."""
    return tmp_path_factory.mktemp("target") / "out"


def csv_job(place: Place, rows: str, **target: object) -> str:
    place.job(
        {
            "source": {"path": place.put("in.csv", rows)},
            "target": {"path": "data/out.csv", **target},
            "reject_at_most": 9,
        }
    )
    return place.text("out.csv")


def test_csv_is_written_with_header_dialect_and_empty_fields(place: Place) -> None:
    assert csv_job(place, 'a,b\n1,"x,""y"\n,z\n') == 'a,b\n1,"x,""y"\n,z\n'
    assert csv_job(place, 'a,b\n1,"x;y"\n', mode="replace", delimiter=";") == 'a;b\n1;"x;y"\n'


@given(
    names=NAMES,
    table=st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=4),
    form=st.sampled_from(["csv", "jsonl"]),
    delimiter=st.sampled_from(",;\t| "),
)
def test_every_text_is_read_back_as_it_was_written(
    file: Path, names: list[str], table: list[list[str]], form: str, delimiter: str
) -> None:
    columns = [rows.Column(name, "text") for name in names]
    target = text_target.TextTarget(
        file, spec.Target(path="data/out", format=form, delimiter=delimiter), columns, append=False
    )
    ledger = rows.Ledger(lambda reject: pytest.fail(reject.reason))
    target.write(rows.Batch([[row[at] for row in table] for at in (0, 1)], range(len(table))), ledger)
    target.close()
    reader = readers.reader_for(spec.Source(path="data/out", format=form, delimiter=delimiter), ledger, exact=False)
    found = [row for part in (reader.feed(file.read_bytes()), reader.finish()) for each in part for row in each.rows]
    if form == "csv":
        assert reader.names == tuple(names)
        assert found == table
    else:
        assert found == [dict(zip(names, row, strict=True)) for row in table]


def test_a_text_target_that_is_there_is_not_overwritten_by_create(place: Place) -> None:
    csv_job(place, "a\n1\n")
    with pytest.raises(JobFailed, match="is there already"):
        csv_job(place, "a\n2\n")
    assert place.text("out.csv") == "a\n1\n"


def test_append_to_csv_follows_its_columns_and_ends_its_last_line(place: Place) -> None:
    place.put("out.csv", "b,a\n2,1")
    assert csv_job(place, "a,b\n3,4\n", mode="append") == "b,a\n2,1\n4,3\n"
    with pytest.raises(JobFailed, match="has the columns b, a, and the rows a, c"):
        csv_job(place, "a,c\n3,4\n", mode="append")
    assert place.text("out.csv") == "b,a\n2,1\n4,3\n"


def test_append_to_a_csv_that_begins_with_blank_lines_follows_the_header_below_them(place: Place) -> None:
    place.put("out.csv", "\n\r\nb,a\n2,1\n")
    assert csv_job(place, "a,b\n3,4\n", mode="append") == "\n\nb,a\n2,1\n4,3\n"


def test_append_to_a_csv_takes_its_header_as_it_is_read(place: Place) -> None:
    place.put("out.csv", "b , a\n2,1\n")
    assert csv_job(place, "a,b\n3,4\n", mode="append") == "b , a\n2,1\n4,3\n"


def test_append_to_json_lines(place: Place) -> None:
    place.put("out.jsonl", '{"a":0}')
    place.load("a\n1\n", target={"path": "data/out.jsonl", "mode": "append"})
    assert place.text("out.jsonl") == '{"a":0}\n{"a":1}\n'


def test_append_to_nothing_begins_the_file(place: Place) -> None:
    assert csv_job(place, "a\n1\n", mode="append") == "a\n1\n"


def test_rejects_beside_a_text_target_are_those_of_the_last_run(place: Place) -> None:
    csv_job(place, "a\n1\n2,3\n")
    assert [reject["row"] for reject in place.rejects("out.csv")] == [2]
    csv_job(place, "a\n1\n", mode="replace")
    assert place.rejects("out.csv") == []


def test_without_rejects_no_file_is_made_for_them(place: Place) -> None:
    csv_job(place, "a\n1\n")
    assert not place.path("out.csv.rejected.jsonl").exists()
