"""A test that hangs fails by itself: pytest, with the conftest.py of these tests, runs tests that never end."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import overdue
from tests.living import ROOT

PHASES = """
import asyncio
import threading
import time

import pytest


def test_sleeps():
    time.sleep(60)


def test_waits_for_a_thread():
    ended = threading.Event()
    ended.wait(60)


def test_waits_in_a_loop():
    asyncio.run(asyncio.sleep(60))


@pytest.fixture
def slow_to_begin():
    time.sleep(60)


@pytest.fixture
def slow_to_end():
    yield
    time.sleep(60)


def test_begins_slowly(slow_to_begin):
    pass


def test_ends_slowly(slow_to_end):
    pass


@pytest.fixture
def told():
    yield
    print("what was begun is ended")


def test_hangs_with_something_begun(told):
    time.sleep(60)


@pytest.mark.soak
def test_that_is_known_to_be_long():
    time.sleep(1)


def test_next():
    pass
"""

STUBBORN = """
import time


def test_that_swallows_everything():
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def _pytest(folder: Path, text: str, seconds: float, **constants: float) -> "subprocess.CompletedProcess[str]":
    """Run tests in a folder with these tests' own conftest.py; constants: of tests/overdue.py, in their place."""
    conftest = shutil.copy(ROOT / "tests" / "conftest.py", folder)
    with open(conftest, "a") as file:
        file.write("\nfrom tests import overdue\n" + "".join(f"overdue.{k} = {v}\n" for k, v in constants.items()))
    (folder / "test_it.py").write_text(text)
    arguments = ["-m", "", "-q", "-p", "no:cacheprovider", "-o", f"seconds_per_phase={seconds}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", folder, *arguments, folder],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_what_takes_too_long_fails_by_name_and_the_next_test_runs(tmp_path: Path) -> None:
    began = time.monotonic()
    done = _pytest(tmp_path, PHASES, 0.5)
    assert time.monotonic() - began < 30
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done
    for phase, test in (
        ("the test", "test_sleeps"),
        ("the test", "test_waits_for_a_thread"),
        ("the test", "test_waits_in_a_loop"),
        ("the test", "test_hangs_with_something_begun"),
        ("setting up", "test_begins_slowly"),
        ("clearing up", "test_ends_slowly"),
    ):
        assert f"{test}: {phase} took longer than 0.5 s (seconds_per_phase)" in done.stdout, test
    assert "what was begun is ended" in done.stdout
    assert "4 failed, 3 passed, 2 errors" in done.stdout  # one passes, and then ends slowly


def test_a_test_that_will_not_fail_ends_pytest_with_every_stack(tmp_path: Path) -> None:
    done = _pytest(tmp_path, STUBBORN, 0.3, GRACE=0.1)
    assert done.returncode == overdue.GAVE_UP, done
    assert "test_that_swallows_everything: the test took longer than 0.3 s" in done.stderr
    assert "in test_that_swallows_everything" in done.stderr
