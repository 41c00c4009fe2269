"""The Hand itself: what it takes, gives, publishes and refuses, and that its papers are in order."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from manifests.check import check
from runtime import CallRefused, Failure
from tests.hands.data_pipeline.conftest import Place, run
from tests.hands.doubles import HANDS, FakeCall, hand_module

main = hand_module("data-pipeline", "main")
check_inputs = hand_module("data-pipeline", "pipeline_check").check_inputs
job, scratches = hand_module("data-pipeline", "pipeline_job"), hand_module("data-pipeline", "pipeline_scratch")
rejects = hand_module("data-pipeline", "pipeline_rejects")
rows_of = hand_module("data-pipeline", "pipeline_rows")
JobFailed = hand_module("data-pipeline", "pipeline_errors").JobFailed
DEMO = Path(__file__).resolve().parents[3] / "docs" / "demo"
BROKEN = "2016/02/30,1,2,3,4,rain\n2016/01/01,abc,2,3,4,rain\n2016/01/02,1,2\n"


class HandOutside(main.DataPipeline):  # type: ignore[misc,name-defined]  # loaded by name
    """The Hand without a kernel around it: what it says is kept."""

    def __init__(self, place: Place, scratch: Path, settings: Mapping[str, object]) -> None:
        self.kernel, self.scratch, self.settings = place.kernel, scratch, settings
        self.published: list[tuple[str, object]] = []
        self.told: list[tuple[int, int]] = []

    @property
    def log(self) -> SimpleNamespace:
        return SimpleNamespace(info=lambda *_, **__: None)

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def publish(self, name: str, body: object = None) -> None:
        self.published.append((name, body))

    async def progress(self, done: int, total: int, text: str = "") -> None:
        self.told.append((done, total))


@pytest.fixture
def hand(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HandOutside:
    monkeypatch.setenv("SQLITE_TMPDIR", "")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made = HandOutside(place, scratch, {"reject_at_most": "10%"})
    run(made.start())
    return made


def weather(place: Place, more: str = "") -> None:
    place.put("seattle-weather.csv", (DEMO / "seattle-weather.csv").read_text(encoding="utf-8") + more)
    place.put("weather.toml", (DEMO / "weather.toml").read_text(encoding="utf-8"))


def test_the_demo_loads_every_day_and_keeps_three_broken_lines_beside_their_reasons(
    place: Place, hand: HandOutside
) -> None:
    weather(place, BROKEN)
    result = run(hand.run(spec="data/weather.toml"))
    assert (result["rows_read"], result["rows_rejected"], result["saved"]) == (1464, 3, {"daily": 1461})
    assert place.query("weather.db", "SELECT count(*), sum(days) FROM monthly") == [(138, 1461)]
    assert place.query("weather.db", "SELECT * FROM monthly WHERE year = 2012 AND month = 1 AND weather = 'snow'") == [
        (2012, 1, "snow", 7, 68.5, 7.2, -3.3, 5.0, pytest.approx(4.114285714))
    ]
    assert place.query("weather.db", 'SELECT "row", "column", code FROM monthly_rejected ORDER BY "row"') == [
        (1462, "date", "type"), (1463, "precipitation", "type"), (1464, "", "fields"),
    ]  # fmt: skip


def test_a_run_publishes_loaded_tells_progress_and_leaves_its_scratch_empty(place: Place, hand: HandOutside) -> None:
    weather(place)
    result = run(hand.run(spec="data/weather.toml"))
    [(name, body)] = hand.published
    assert name == "loaded"
    assert body == {
        "name": "weather", "rows_read": 1461, "rows_written": 138, "rows_rejected": 0, "target": "data/weather.db",
        "table": "monthly", "sha256": result["target"]["sha256"],
    }  # fmt: skip
    assert hand.told
    assert all(0 <= done <= total for done, total in hand.told)
    assert list(hand.scratch.iterdir()) == []


def test_the_short_form_needs_no_spec_file(place: Place, hand: HandOutside) -> None:
    place.put("in.csv", "a;b\n1;2\n")
    result = run(hand.run(source="data/in.csv", target="data/out.db", table="t", delimiter=";"))
    assert result["rows_written"] == 1


def test_inputs_go_before_the_spec_file(place: Place, hand: HandOutside) -> None:
    weather(place)
    result = run(hand.run(spec="data/weather.toml", target="data/other.db"))
    assert result["target"]["path"] == "data/other.db"


def test_a_wrong_spec_fails_with_all_its_problems(place: Place, hand: HandOutside) -> None:
    with pytest.raises(Failure) as raised:
        run(hand.run(sorce="data/in.csv"))
    assert raised.value.code == "spec"
    problems = raised.value.detail["problems"]
    assert isinstance(problems, list)
    assert {problem["key"] for problem in problems} >= {"sorce", "source.path", "target.path"}
    assert "sorce: there is no such key." in raised.value.text
    assert not hand.published


def test_the_setting_says_how_many_rejects_there_may_be(place: Place, hand: HandOutside) -> None:
    place.put("in.csv", "a\n" + "1\n" * 98 + "1,2\n" * 2)
    hand.settings = {"reject_at_most": "1%"}
    with pytest.raises(Failure) as raised:
        run(hand.run(source="data/in.csv", target="data/out.csv"))
    assert raised.value.code == "rejects"
    hand.settings = {"reject_at_most": "2%"}
    assert run(hand.run(source="data/in.csv", target="data/out.csv"))["rows_rejected"] == 2


@pytest.mark.parametrize(("share", "rows", "most"), [("0.7%", 1000, 7), ("29%", 100, 29), ("33.3%", 1000, 333)])
def test_a_share_of_rejects_is_exact(place: Place, share: str, rows: int, most: int) -> None:
    limit = check_inputs({"source": "data/in.csv", "target": "data/out.csv"}, rejects=share).reject_at_most
    ledger = rows_of.Ledger(lambda _: None)
    for number in range(most):
        ledger.reject(rows_of.Reject(number, "", "type", "", ""))
    rejects.check_limit(limit, ledger, rows)
    ledger.reject(rows_of.Reject(most, "", "type", "", ""))
    with pytest.raises(JobFailed, match=f"reject_at_most = {share} allows"):
        rejects.check_limit(limit, ledger, rows)


def test_a_refused_call_ends_the_run_with_the_grant_that_would_allow_it(place: Place, hand: HandOutside) -> None:
    place.kernel.refusal = CallRefused("capability", "it is not granted", '"files.stat" = ["private/**"]')
    with pytest.raises(Failure) as raised:
        run(hand.run(source="private/in.csv", target="data/out.csv"))
    assert raised.value.code == "files"
    assert raised.value.detail["grant"] == '"files.stat" = ["private/**"]'


def test_check_tells_every_problem_and_writes_nothing(place: Place, hand: HandOutside) -> None:
    weather(place)
    found = run(hand.check(FakeCall("data/weather.toml")))
    assert (found["ok"], found["problems"]) == (True, [])
    assert [column["name"] for column in found["columns"]][:4] == ["year", "month", "weather", "days"]
    place.put(
        "bad.toml",
        place.text("weather.toml").replace("max(temp_max)", "max(temp_mx)").replace("year(date)", "year(weather)"),
    )
    found = run(hand.check(FakeCall("data/bad.toml")))
    assert not found["ok"]
    assert [problem["key"] for problem in found["problems"]] == ["steps[3].by", "steps[3].columns.warmest"]
    assert found["problems"][1]["instead"] == 'Did you mean "temp_max"?'
    place.put("worse.toml", "[source]\npath = 5\n")
    assert len(run(hand.check(FakeCall("data/worse.toml")))["problems"]) == 2
    assert not [call for call in place.kernel.calls if call[0] == "files.write"]


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "no such file"), ("a,a\n", "more than once")],
)
def test_check_tells_a_source_that_cannot_be_read(
    place: Place, hand: HandOutside, content: str | None, what: str
) -> None:
    if content is not None:
        place.put("in.csv", content)
    place.put("spec.toml", '[source]\npath = "data/in.csv"\n[target]\npath = "data/out.csv"\n')
    found = run(hand.check(FakeCall("data/spec.toml")))
    assert not found["ok"]
    assert what in found["problems"][0]["what"]


def test_check_tells_a_target_that_is_there(place: Place, hand: HandOutside) -> None:
    place.put("in.csv", "a\n1\n")
    place.put("spec.toml", '[source]\npath = "data/in.csv"\n[target]\npath = "data/in.csv"\n')
    assert [problem["key"] for problem in run(hand.check(FakeCall("data/spec.toml")))["problems"]] == ["target.mode"]


def test_preview_shows_the_first_rows_after_the_steps_and_writes_nothing(place: Place, hand: HandOutside) -> None:
    weather(place)
    found = run(hand.preview(FakeCall("data/weather.toml"), rows=2))
    assert [(row["year"], row["weather"]) for row in found["rows"]] == [(2012, "drizzle"), (2012, "rain")]
    assert (found["whole"], found["rows_rejected"]) == (False, 0)
    assert not [call for call in place.kernel.calls if call[0] == "files.write"]
    with pytest.raises(Failure) as raised:
        run(hand.preview(FakeCall("data/weather.toml"), rows=0))
    assert raised.value.code == "arguments"


def test_preview_reads_no_more_than_its_sample(place: Place, hand: HandOutside) -> None:
    place.put("in.csv", "n\n" + "".join(f"{n}\n" for n in range(500_000)))
    place.put("spec.toml", '[source]\npath = "data/in.csv"\n[target]\npath = "data/out.csv"\n'
              '[[steps]]\ndo = "aggregate"\ncolumns = { n = "count()", most = "max(n)" }\n')  # fmt: skip
    found = run(hand.preview(FakeCall("data/spec.toml")))
    assert found["rows"] == [{"n": 1000, "most": 999}]


def test_a_look_at_a_source_of_broken_rows_reads_some_of_them(place: Place, hand: HandOutside) -> None:
    place.put("in.csv", "a,b\n" + "1,2,3\n" * 200_000)
    place.put("spec.toml", '[source]\npath = "data/in.csv"\n[target]\npath = "data/out.csv"\n')
    found = run(hand.preview(FakeCall("data/spec.toml")))
    assert found["rejects"][0]["reason"] == "3 fields where there are 2 columns"
    assert not found["whole"]
    assert found["rows_read"] < 100_000


def test_a_source_of_which_no_row_is_whole_is_told_with_the_first_of_them(place: Place) -> None:
    with pytest.raises(JobFailed, match=r"data/in.jsonl: .*none of the 3 rows read is whole; row 1: this is not JSON"):
        place.load("{\n" * 3, name="in.jsonl")
    with pytest.raises(JobFailed, match=r"data/in.jsonl: it has no columns: it is empty, or its schema names none."):
        place.load("", name="in.jsonl")


def test_a_full_scratch_database_is_told_as_that(
    place: Place, hand: HandOutside, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Small(scratches.Scratch):  # type: ignore[misc,name-defined]  # loaded by name
        def __init__(self, path: str) -> None:
            super().__init__(path)
            self._connection.execute("PRAGMA max_page_count = 8")

    monkeypatch.setattr(job, "Scratch", Small)
    source = place.put("in.csv", "t\n" + ("x" * 500 + "\n") * 900)
    with pytest.raises(Failure, match="scratch.*full") as failed:
        run(hand.run(source=source, target="data/out.csv", steps=[{"do": "sort", "by": ["t"]}]))
    assert failed.value.code == "files"
    assert not place.path("out.csv").exists()


def test_a_preview_of_long_texts_is_cut(place: Place, hand: HandOutside) -> None:
    place.put("in.csv", "t\n" + ("x" * 5000 + "\n") * 900)
    place.put("spec.toml", '[source]\npath = "data/in.csv"\n[target]\npath = "data/out.csv"\n')
    found = run(hand.preview(FakeCall("data/spec.toml"), rows=500))
    assert len(found["rows"]) == 396
    assert len(found["rows"][0]["t"]) == 1000


def test_its_papers_are_in_order() -> None:
    text = (HANDS / "data-pipeline" / "HAND.toml").read_text(encoding="utf-8")
    manifest = check(text, file="HAND.toml")
    assert manifest.hand.kind == "task"
    assert set(manifest.provides) == {"data-pipeline.check", "data-pipeline.preview"}
    assert manifest.events.publishes == ("loaded",)
    assert {capability.method for capability in manifest.capabilities} == {
        "files.read", "files.stat", "files.write", "kernel.note",
    }  # fmt: skip
