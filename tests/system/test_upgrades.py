"""Unfinished runs whose Hand is upgraded: they go on with their own code, begin anew, or wait for their operator."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import Kernel, make_home
from tests.system import chaos, fates
from tests.system.chaos import value
from tests.system.fates import call, entries, entry, until
from tests.system.upgraded import only, pid_of, put_in, sleeping, why_ended, written


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        chaos.prepare(kernel)
        yield kernel


def test_a_run_finishes_with_the_code_it_began_with_whatever_dies_and_then_that_is_gone(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0")
    run = sleeping(kernel, seconds=2.5)
    pid = pid_of(kernel, run)
    put_in(kernel, "1.1.0")
    assert pid_of(kernel, run) == pid, "it was disturbed"
    assert only(kernel, "1.0.0", "1.1.0")
    assert value(kernel, sleeping(kernel, seconds=0.0, text="new")) == "1.1.0"
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid_of(kernel, run) != pid, "another process")
    kernel.kill()
    kernel.up()
    kernel.down()
    (kernel.home / "log" / "snapshot").unlink()
    kernel.up()
    assert value(kernel, run) == "1.0.0"
    assert sorted(written(kernel)) == sorted(
        f"{one} {two}" for one in ("1.0.0 x", "1.1.0 new") for two in ("before", "after")
    )
    assert only(kernel, "1.1.0")
    kernel.down()
    fates.verified(kernel.home)


def test_a_run_begins_anew_with_the_new_code_and_who_waits_for_it_hears_of_that(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "restart")
    run = sleeping(kernel, seconds=1.0)
    put_in(kernel, "1.1.0", "restart")
    assert value(kernel, run) == "1.1.0"
    assert sorted(written(kernel)) == ["1.0.0 x before", "1.1.0 x after", "1.1.0 x before"]
    again = entry(kernel.home, "run.start", instead=run)
    assert why_ended(kernel, run) == f"upgraded: it was begun anew as {again.run}"
    assert entry(kernel.home, "run.left", run=run).why == "upgraded: steady 1.0.0 was replaced by 1.1.0"
    assert only(kernel, "1.1.0")


def test_a_run_waits_for_its_operator_who_decides(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "ask")
    runs = [sleeping(kernel, seconds=0.5, text=text) for text in ("a", "b")]
    assert put_in(kernel, "1.1.0", "finish")["waiting"] == 2
    for run in runs:
        entry(kernel.home, "decision", run=run, verdict="asked")
    for row in fates.runs(kernel, "steady"):
        assert (row["pid"], row["state"], row["version"]) == (0, "waits: upgraded", "1.0.0")
    call(kernel, "kernel.decide", runs[0], {"how": "finish"})
    assert value(kernel, runs[0]) == "1.0.0"
    kernel.kill()
    kernel.up()
    assert [row["run"] for row in fates.runs(kernel, "steady")] == [runs[1]]
    assert only(kernel, "1.0.0", "1.1.0")
    call(kernel, "kernel.decide", "steady", {"how": "restart"})
    assert value(kernel, runs[1]) == "1.1.0"
    assert sorted(written(kernel)) == [
        "1.0.0 a after", "1.0.0 a before", "1.0.0 b before", "1.1.0 b after", "1.1.0 b before",
    ]  # fmt: skip
    assert len([one for one in entries(kernel.home, "decision") if one.verdict == "asked"]) == 2
    assert only(kernel, "1.1.0")
