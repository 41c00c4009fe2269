"""The demo that a newcomer sees first goes through, in its time, and leaves nothing behind."""

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.living import ROOT


def test_the_demo_shows_what_it_promises_within_its_time(tmp_path: Path) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": str(tmp_path), "LANG": "C.UTF-8"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "demo" / "demo.py")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert time.monotonic() - began < 90
    shown = done.stdout
    assert '"rows_read": 1464' in shown
    assert "sun      714" in shown
    for reason in ('"2016/02/30" is not of the form', '"a lot" is not a number', "hail is not among"):
        assert reason in shown
    assert "data-pipeline holds no grant for files.stat on 'private/salaries.csv'" in shown
    assert "$ kill -9 " in shown
    assert "2 lives of one run; sample, load and report began one run each. None ran twice." in shown
    assert "| cpu_percent |" in shown
    assert "No language model was used" in shown
    assert "- weather: 5 different values, most often sun (48 times)" in shown
    assert "Weather report  2 of 2" in shown
    refused = (
        "read the operator's key",
        "read /etc/passwd",
        "leave a file in /tmp",
        "open a connection",
        "run a program",
        "become root",
    )
    for attempt in refused:
        assert f'"{attempt}": "refused: ' in shown
    assert '"write in its own scratch": "done"' in shown
    assert shown.count("The log is valid: ") == 2
    assert "machine: ok" in shown
    assert list(tmp_path.iterdir()) == []


def test_the_kernel_is_killed_as_soon_as_the_step_is_seen_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow machine each command takes as long as the step: by the next one it was over, and the demo stopped."""
    done = list[str]()

    def log(_: object, *words: str) -> list[dict[str, object]]:
        done.append(words[1])
        rows = {"clerk": (5, "r-step"), "machine-report": (3, "r-seen")}
        return [{"seq": rows[words[1]][0], "run": rows[words[1]][1]}, {"seq": 9, "run": "r-next"}][: len(done)]

    demo = runpy.run_path(str(ROOT / "docs" / "demo" / "demo.py"))["Demo"]
    monkeypatch.setattr(demo, "log", log)
    monkeypatch.setattr(os, "kill", lambda pid, number: done.append(f"kill {pid}"))
    assert (demo(tmp_path).killed(4711), done) == ("r-seen", ["clerk", "kill 4711", "machine-report"])


def test_what_goes_wrong_out_of_sight_stops_the_demo_with_a_sentence(tmp_path: Path, still: Shell) -> None:
    demo = runpy.run_path(str(ROOT / "docs" / "demo" / "demo.py"))["Demo"](tmp_path)
    with pytest.raises(RuntimeError, match="`maniple artifacts --json` ended with 3: maniple: no kernel runs on"):
        demo.made()
    still.good("up")
    still.good("install", ROOT / "hands" / "report", "--yes")
    with pytest.raises(RuntimeError, match="handed in no report"):
        demo.made()
