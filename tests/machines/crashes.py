"""What a machine has its core files given to hears of no crash in a run. test_crashes.py runs it in a guest."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.living import ROOT, Kernel, install, make_home
from tests.system.fates import until

PATTERN: Final = Path("/proc/sys/kernel/core_pattern")


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Path]:
    """A folder in which a program of root's, to which the system pipes core files, leaves one for each."""
    told, program = tmp_path / "heard", tmp_path / "program"
    told.mkdir()
    program.write_text(f'#!/bin/sh\ncat > /dev/null\ntouch {told}/"$1"\n')
    program.chmod(0o755)
    before = PATTERN.read_text()
    PATTERN.write_text(f"|{program} %P")
    yield told
    PATTERN.write_text(before)


def test_no_crash_of_a_runs_program_starts_a_program_of_the_machine(heard: Path, tmp_path: Path) -> None:
    """A limit of 0 forbids core files, and is not asked about where they are piped; 1 is, and starts no program."""
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "shell")
        crash = {"command": "sh -c 'kill -SEGV $$'; sh -c 'ulimit -c 0; kill -SEGV $$'; echo done"}
        told = client.call("shell.run", "", crash, seconds=300).value
        assert isinstance(told, dict)
        assert told["stdout"] == "done\n"
    crashed = subprocess.Popen(["sh", "-c", "ulimit -c 0; kill -SEGV $$"])
    assert crashed.wait() == -signal.SIGSEGV
    assert until(lambda: os.listdir(heard), "a crash outside of runs, for which the limit is 0, is heard of")
    assert os.listdir(heard) == [str(crashed.pid)]
