"""The pages of numbers say what the raw files say, and a number's current value is the median of its last three runs."""

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from tests.bench import growth, report
from tests.bench.samples import Machine, Result, Row, Table
from tests.living import ROOT

KEPT = ROOT / "docs" / "bench"
MACHINE = Machine(
    cpu="a", cores=2, memory_gb=4, kernel="6", python="3", zmq="4", file_system="ext4", load=(0, 0), time="now"
)


def run(*taken: float, limit: float = 15, tables: tuple[Table, ...] = ()) -> Result:
    row = Row(name="recall", what="a recall", unit="ms", ours=taken, judged="median", limit=limit)
    return Result(machine=MACHINE, rows=(row,), tables=tables)


def grown(*lines: tuple[str, ...]) -> Table:
    return Table(title=growth.TITLE, columns=("fragments", "p95", "chromadb query p95"), lines=lines)


def test_the_pages_that_are_kept_are_those_of_the_raw_files() -> None:
    paths = sorted(KEPT.glob("run-*.json"), key=lambda path: int(path.stem.removeprefix("run-")))
    runs = [(path.stem, msgspec.json.decode(path.read_bytes(), type=Result)) for path in paths]
    made = dict(report.pages(runs))
    assert {name: Path(KEPT, name).read_text() for name in made} == made
    assert {path.name for path in KEPT.iterdir()} == {*made, *(path.name for path in paths)}


def test_a_number_stands_at_the_median_of_its_last_three_runs() -> None:
    runs = [(f"run-{at}", run(*taken)) for at, taken in enumerate([(1,), (20, 30, 25), (10,), (12,)])]
    (line,) = [line for line in report.current_page(runs).splitlines() if line.startswith("| a recall")]
    assert line == "| a recall | 12.0 ms | ≤ 15 | yes | 25.0 (run-1), 10.0 (run-2), 12.0 (run-3) |"


def test_the_machine_of_every_run_that_a_number_stands_on_is_told_and_of_no_other() -> None:
    older, newer = (msgspec.structs.replace(MACHINE, kernel=kernel) for kernel in ("6.1", "6.2"))
    machines = (MACHINE, older, newer, newer)
    runs = [(f"run-{at}", msgspec.structs.replace(run(10.0), machine=machine)) for at, machine in enumerate(machines)]
    told = [line.rpartition(": ") for line in report.current_page(runs).splitlines() if line.startswith("- ")]
    assert [(("Linux 6.1," in machine, "Linux 6.2," in machine), names) for machine, _, names in told] == [
        ((True, False), "run-1"),
        ((False, True), "run-2, run-3"),
    ]


def test_a_number_that_most_of_its_last_runs_do_not_reach_is_not_reached() -> None:
    runs = [(f"run-{at}", run(taken)) for at, taken in enumerate([20.0, 21.0, 3.0])]
    assert "| a recall | 20.0 ms | ≤ 15 | **no** |" in report.current_page(runs)


def test_growth_is_told_and_drawn_for_each_size_with_what_was_measured_there() -> None:
    tables = [[grown(("1,000", "3.0", "2.0"))], [grown(("1,000", "5.0", "2.5"), ("1,000,000", "60.5", ""))]]
    small, large = growth.read_points(tables, 1)
    assert (small.size, small.taken) == (1_000, {"p95": 5.0, "chromadb query p95": 2.5})
    assert (large.size, large.taken) == (1_000_000, {"p95": 60.5})
    lines = growth.make_table([small, large]).lines
    assert lines == (("1,000", "5.0", "", "2.5", "", "2.00 ×", ""), ("1,000,000", "60.5", "", "", "", "", ""))
    circles = ET.fromstring(growth.draw_svg([small, large])).findall("{http://www.w3.org/2000/svg}circle")
    heights = [float(circle.attrib["cy"]) for circle in circles]
    assert len(circles) == 3
    assert heights[1] < heights[0] < heights[2], "what takes longer is drawn higher"
