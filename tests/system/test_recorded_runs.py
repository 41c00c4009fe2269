"""A recording as a project keeps it: saved by the command line, played by a test without any kernel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.replayed import Differs, replayed
from tests.living import ROOT, Kernel, install, make_home, write_hand
from tests.system import chaos, piped
from tests.system.recordings import RACER, SLOW, maniple
from tests.system.test_resuming import begin
from tests.system.test_wasm import ECHO, guest

BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""For a pytest with no plugins but those it is told: each would be imported."""

STEPS = '[steps.a]\nhand = "journey"\nwith = { calls = 3 }\n'


def record(kernel: Kernel, runs: Path, name: str, **inputs: object) -> Path:
    """Have a Hand run, and save that; where."""
    run = begin(kernel, name, **inputs)
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"
    said = maniple(kernel.home, "replay", run, "--save", str(runs))
    assert said.code == 0, said.words
    return (runs / f"{run}.jsonl").rename(runs / f"{name}.jsonl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project: recordings in `runs`, Hands beside it, and no kernel any more."""
    work = tmp_path_factory.mktemp("project")
    with Kernel(make_home(work / "home"), by_exec=True) as kernel, kernel.client() as client:
        chaos.prepare(kernel)
        for hand in (SLOW, RACER):
            install(kernel, hand)
        install(kernel, guest(work / "guest", ECHO))
        piped.add(kernel, "made", STEPS)
        client.call("kernel.set", "racer", {"values": {"token": "hush-hush", "pace": 0.02}})
        inputs: dict[str, dict[str, object]] = {
            "journey": {"calls": 6, "wide": 2}, "racer": {}, "guest": {"a": 1.5}, "made": {},
        }  # fmt: skip
        for name, given in inputs.items():
            record(kernel, work / "runs", name, **given)
        kernel.down()
    write_hand(work / "journey", chaos.JOURNEY)
    write_hand(work / "racer", RACER)
    return work


@pytest.mark.wide
def test_the_same_code_makes_the_recorded_calls(folder: Path) -> None:
    verdict = replayed(folder / "runs" / "journey.jsonl", folder / "journey")
    assert (verdict.requests, verdict.end) == (6, "done")


@pytest.mark.wide
def test_parts_that_compete_do_so_in_the_recorded_order(folder: Path) -> None:
    for _ in range(2):
        replayed(folder / "runs" / "racer.jsonl", folder / "racer", secrets={"token": "hush-hush"})


def test_no_secret_is_on_a_recording(folder: Path) -> None:
    assert "hush" not in (folder / "runs" / "racer.jsonl").read_text()


def test_a_secret_that_the_hand_requires_and_nobody_gives_is_told(folder: Path, tmp_path: Path) -> None:
    other = write_hand(tmp_path / "racer", RACER)
    manifest = (other / "HAND.toml").read_text()
    (other / "HAND.toml").write_text(manifest.replace('default = "none"', "required = true"))
    with pytest.raises(Differs, match='give secrets={"token": …}'):
        replayed(folder / "runs" / "racer.jsonl", other)


@pytest.mark.wide
def test_a_bundled_hands_recording_plays(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "in.csv").write_text("name,age\nann,41\nbob,42\n")
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        for name in ("files", "data-pipeline"):
            install(kernel, ROOT / "hands" / name)
        client.call("kernel.root-add", "data", {"path": str(data)})
        files = {"source": "data/in.csv", "target": "data/out.jsonl"}
        file = record(kernel, tmp_path / "runs", "data-pipeline", **files)
        kernel.down()
    (data / "in.csv").unlink()
    assert replayed(file, ROOT / "hands" / "data-pipeline").requests > 3
    assert not (data / "in.csv").exists()


def test_a_pipelines_recording_plays_to_its_file(folder: Path) -> None:
    file = folder / "made.pipeline.toml"
    file.write_text(piped.HEAD.replace("NAME", "made") + STEPS)
    replayed(folder / "runs" / "made.jsonl", file)
    file.write_text(file.read_text().replace("calls = 3", "calls = 4"))
    with pytest.raises(Differs, match="at .inputs.calls: 3 became 4"):
        replayed(folder / "runs" / "made.jsonl", file)


def test_a_wasm_hands_recording_plays(folder: Path, tmp_path: Path) -> None:
    replayed(folder / "runs" / "guest.jsonl", folder / "guest")
    other = guest(tmp_path / "other", ECHO.replace("(local.get $size)", "(i32.const 1)"))
    with pytest.raises(Differs, match="another end"):
        replayed(folder / "runs" / "guest.jsonl", other)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('f"{n} {self', 'f"{n}: {self', 'request 3 of the run is the same with other arguments at .text: "1 0'),
        ("import time", "import no_such_module", "No module named 'no_such_module'"),
        ("self.unknown = []", "self.unknown = []; await asyncio.Event().wait()", "it waits where it should ask"),
        ("self.unknown = []", "self.unknown = []; import os; os._exit(3)", "its process ended before its work did"),
    ],
)
def test_changed_code_fails_the_test_and_says_where(folder: Path, tmp_path: Path, old: str, new: str, why: str) -> None:
    other = write_hand(tmp_path / "other", chaos.JOURNEY._replace(main=chaos.JOURNEY.main.replace(old, new)))
    with pytest.raises(Differs) as failed:
        replayed(folder / "runs" / "journey.jsonl", other, patience=1.0)
    assert why in str(failed.value)


def test_pytest_has_a_fixture_for_it(folder: Path) -> None:
    (folder / "conftest.py").write_text('pytest_plugins = ["runtime.pytest_replayed"]\n')
    (folder / "test_it.py").write_text(
        "def test_recorded(replayed):\n    replayed('runs/journey.jsonl', 'journey')\n\n\n"
        "def test_another(replayed):\n    replayed('runs/journey.jsonl', 'racer')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), str(folder / "test_it.py")],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **BARE}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "racer differs from journey 1.0.0" in done.stdout
