"""Workers run each file's tests in one process, and report all of them, also those of a worker that dies."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.living import ROOT
from tests.test_spread import LEAN

_COMMAND: Final = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-c",
    str(ROOT / "pyproject.toml"),
    "-p",
    "tests.workers",
    *LEAN,
]

_NOTES: Final = """
import os, time
from pathlib import Path

NOTES = Path(__file__).with_name("notes")

def note(word):
    with NOTES.open("a") as file:
        file.write(f"{Path(__file__).name} {word} {os.getpid()}\\n")
    for _ in range(500):
        if len({line.split()[0] for line in NOTES.read_text().splitlines()}) == 2:
            return  # tests of both files have begun
        time.sleep(0.01)

def test_second(tmp_path):
    note("second")

def test_first(tmp_path):
    note("first")
"""

_MARKS: Final = """
import os, time
from pathlib import Path

import pytest

def mark(name):
    Path(__file__).with_name(name).touch()

def is_marked(name):
    return Path(__file__).with_name(name).exists()

@pytest.fixture(scope="session", autouse=True)
def session():
    yield
    mark(f"torn-down-{os.getpid()}")
"""


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*_COMMAND, *words, f"--basetemp={folder / 'temporary'}", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_two_files_run_at_a_time_each_in_its_order_in_one_process(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text(_NOTES)
    ended = _run(tmp_path, "-n2")
    assert ended.returncode == 0, ended.stdout
    assert "4 passed" in ended.stdout
    notes = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    for name in ("test_a.py", "test_b.py"):
        assert [word for file, word, _ in notes if file == name] == ["second", "first"]
        assert len({pid for file, _, pid in notes if file == name}) == 1
    assert len({pid for _, _, pid in notes}) == 2


def test_a_failure_is_shown_with_its_output_and_the_rest_of_a_worker_that_died_as_failed(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\ndef test_fails():\n    print('its output')\n    assert 1 == 2\n"
        "def test_skipped():\n    pytest.skip('the reason')\n"
    )
    (tmp_path / "test_b.py").write_text(
        "import os\ndef test_passes():\n    pass\ndef test_dies():\n    os._exit(7)\ndef test_after():\n    pass\n"
    )
    ended = _run(tmp_path, "-n2")
    assert ended.returncode == 1
    assert "3 failed, 1 passed, 1 skipped" in ended.stdout, ended.stdout
    for part in ("assert 1 == 2", "its output", "the reason", "test_dies - its worker", "test_after - its worker"):
        assert part in ended.stdout


@pytest.mark.parametrize(("stop", "code"), [("assert False", 1), (f"os.kill(os.getppid(), {signal.SIGINT:d})", 2)])
def test_when_a_run_stops_early_its_workers_stop_and_tear_down(tmp_path: Path, stop: str, code: int) -> None:
    waits = "def test_waits():\n    while not is_marked('b'):\n        time.sleep(0.01)\n    mark('a')\n    time.sleep(0.2)\n"
    never = "def test_never():\n    mark('too-far')\n"
    (tmp_path / "test_a.py").write_text(f"{_MARKS}\n{waits}\n{never}")
    (tmp_path / "test_b.py").write_text(
        f"{_MARKS}\ndef test_stops():\n    mark('b')\n    while not is_marked('a'):\n        time.sleep(0.01)\n    {stop}\n"
    )
    ended = _run(tmp_path, "-n2", "-x")
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert len(list(tmp_path.glob("torn-down-*"))) == 2
    assert not (tmp_path / "too-far").exists()
