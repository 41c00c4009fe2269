"""Runs begin, wait, are seen, and end, by the command line; and the log tells of them afterwards."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel.cli.history import PastRun
from kernel.cli.runs import elapsed
from tests.cli.conftest import GREETER
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, Source, install, make_home, write_hand


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def _live(shell: Shell, hand: str) -> list[dict[str, object]]:
    runs = shell.result("ps")["runs"]
    assert isinstance(runs, list)
    return [run for run in runs if run["hand"] == hand]


def test_a_run_during_which_the_clock_was_set_back_took_no_less_than_no_time() -> None:
    run = PastRun(
        run="r-1",
        hand="h",
        version="1.0.0",
        kind="task",
        started="2027-11-28T16:20:18.000000Z",
        ended="2026-11-28T16:20:18.000000Z",
    )
    assert elapsed(run) == "0.0s"


def test_start_prints_the_runs_id_and_wait_its_result(shell: Shell) -> None:
    run = shell.good("start", "greeter", "who=Cy").strip()
    assert run.startswith("r-")
    ran = shell.run("start", "greeter", "who=Cy", "--wait")
    assert json.loads(ran.out) == {"text": "Hello, Cy!"}
    assert "is under way" in ran.err


def test_the_process_of_a_run_ends_by_itself_and_adds_nothing_to_what_its_hand_printed(shell: Shell) -> None:
    run = str(shell.result("start", "greeter", "who=Dee", "--wait")["run"])

    def ended() -> dict[str, Any]:
        told: Any = shell.result("run-show", run)["run"]
        return told if told["ended"] else {}

    until(ended)
    assert ended()["exit"] == "exit code 0"
    assert "greeting who=Dee" in shell.good("logs", "greeter", "-n", "1")


def test_a_run_that_fails_ends_the_command_with_1_and_its_reason(shell: Shell) -> None:
    ran = shell.run("start", "greeter", "fail:=true", "--wait", "--json")
    assert ran.code == 1
    told = ran.table()
    assert (told["outcome"], told["code"]) == ("failed", "unkind")
    assert "it does not greet today" in ran.err
    assert "maniple logs greeter" in ran.err


def test_a_failure_of_several_lines_is_shown_as_lines_that_cannot_pass_for_maniple_s_own(shell: Shell) -> None:
    ran = shell.run("start", "data-pipeline", "--wait")
    first, *others = ran.err.splitlines()[1:]
    assert first == "maniple: the run failed: the pipeline spec has 2 problems:"
    assert [line.split(":")[0] for line in others[:-1]] == ["    source.path", "    target.path"]
    assert others[-1].startswith("  see `maniple logs data-pipeline` and `maniple run-show r-")


def test_a_run_that_nobody_waited_for_is_waited_for_later_by_its_id(shell: Shell) -> None:
    begun = shell.run("start", "greeter", "who=Di")
    run = begun.out.strip()
    assert f"`maniple wait {run}` prints its result" in begun.err
    for _ in range(2):  # it is under way or has ended; and it has ended
        assert json.loads(shell.good("wait", run)) == {"text": "Hello, Di!"}
    failed = shell.run("wait", shell.good("start", "greeter", "fail:=true").strip(), "--json")
    assert (failed.code, failed.table()["code"]) == (1, "unkind")
    assert "`maniple run-show r-" in failed.err
    unknown = shell.run("wait", "r-0000000000000000")
    assert (unknown.code, "there is no run 'r-0000000000000000' to wait for" in unknown.err) == (1, True)
    for word in ("greeter", "r-\udcff"):
        wrong = shell.run("wait", word)
        assert (wrong.code, "is not a run's id: see `maniple ps`" in wrong.err) == (2, True), wrong


def test_inputs_that_are_no_pairs_are_wrong_usage(shell: Shell) -> None:
    for words in (("who",), ("who=a", "who=b"), ("fail:=maybe",), ("=x",)):
        assert shell.run("start", "greeter", *words).code == 2, words


def test_inputs_that_a_hand_does_not_take_are_named_with_those_that_it_takes(shell: Shell) -> None:
    ran = shell.run("start", "greeter", "wh=Cy", "--wait")
    assert ran.code == 1
    assert "greeter takes no wh; its inputs are who, fail, wait (arguments)" in ran.err
    assert "keyword" not in ran.err  # it is no matter of Python's


@pytest.mark.parametrize("command", ["start", "show", "grants", "runs", "logs", "pause"])
def test_a_mistyped_hand_is_told_with_what_was_meant(command: str, shell: Shell) -> None:
    ran = shell.run(command, "greetr")
    assert "no Hand 'greetr' is installed, did you mean \"greeter\"" in ran.err
    assert "`maniple hands`" in ran.err
    assert "did you mean" not in shell.run(command, "nonsense").err


def test_a_run_of_a_service_is_told_to_have_no_result_to_wait_for(shell: Shell) -> None:
    run = shell.good("start", "echo").strip()
    ran = shell.run("wait", run)
    assert (ran.code, ran.out) == (1, "")
    assert (
        ran.err == f"maniple: {run} is a run of the service echo, which has no result to wait for: see `maniple ps`\n"
    )


def test_a_live_run_is_seen_and_cancelled(shell: Shell) -> None:
    run = shell.good("start", "greeter", "wait:=true").strip()
    until(lambda: any(row["progress"] for row in _live(shell, "greeter")))
    assert "25% thinking" in shell.good("ps")
    shell.good("cancel", run)
    assert _live(shell, "greeter") == []
    assert shell.run("cancel", run).code == 1
    assert shell.run("cancel", "greeter").code == 2
    told = shell.result("run-show", run)["run"]
    assert isinstance(told, dict)
    assert told["outcome"] == "cancelled"


def test_stop_ends_every_run_of_a_hand(shell: Shell) -> None:
    for _ in range(2):
        shell.good("start", "greeter", "wait:=true")
    assert shell.result("stop", "greeter") == {"stopped": 2}
    assert shell.result("stop", "greeter") == {"stopped": 0}


def test_a_service_goes_up_stands_still_goes_on_and_down(shell: Shell) -> None:
    assert shell.result("start", "echo")["state"] == "ready"
    (before,) = _live(shell, "echo")
    again = shell.run("start", "echo")
    assert (again.out, again.err) == (f"{before['run']}\n", "echo is ready.\n")
    shell.good("restart", "echo")
    (after,) = _live(shell, "echo")
    assert after["pid"] != before["pid"]
    shell.good("pause", "echo")
    ran = shell.run("call", "echo.say", "text=hi")
    assert ran.code == 4
    assert "maniple resume echo" in ran.err
    assert shell.good("resume", "echo") == "echo goes on.\n"
    assert shell.good("resume", "echo") == "echo was not paused.\n"
    assert shell.run("call", "echo.say", "text=hi").code == 0
    shell.good("stop", "echo")
    assert _live(shell, "echo") == []
    assert shell.run("restart", "greeter").code == 1


def test_the_log_tells_of_runs_with_their_calls(shell: Shell) -> None:
    run = str(shell.result("start", "greeter", "who=Past", "--wait")["run"])
    rows = shell.result("runs", "greeter")["runs"]
    assert isinstance(rows, list)
    assert [row["outcome"] for row in rows if row["run"] == run] == ["done"]
    told = shell.result("run-show", run)
    entries = told["entries"]
    assert isinstance(entries, list)
    assert [entry["method"] for entry in entries if entry["kind"] == "call"] == ["run", "kernel.note", "echo.say"]
    shown = shell.run("run-show", run)
    assert ("echo.say" in shown.out, f"`maniple replay {run}`" in shown.err) == (True, True), shown
    assert shell.run("run-show", "r-0000000000000000").code == 1


def test_ctrl_c_leaves_the_run_and_the_command_quietly(shell: Shell) -> None:
    waiting = shell.begin("start", "greeter", "wait:=true", "--wait")
    assert waiting.stderr is not None
    assert b"is under way" in waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert b"Traceback" not in err
    assert len(_live(shell, "greeter")) == 1
    shell.good("stop", "greeter")


def test_a_table_that_nobody_reads_to_its_end_is_no_error_to_see(shell: Shell) -> None:
    following = shell.begin("audit", "tail", "-n", "100000")
    assert following.stdout is not None
    following.stdout.close()
    assert following.stderr is not None
    with following.stderr as words:
        assert words.read() == b""
    assert following.wait(20) == 1


def test_what_a_killed_kernel_ran_is_told_as_died_when_the_next_one_has_started(shell: Shell) -> None:
    shell.good("start", "echo")
    pid = shell.result("status")["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    shell.good("up")
    runs = shell.result("runs", "echo")["runs"]
    assert isinstance(runs, list)
    over = [row for row in runs if row["outcome"] != "working"]
    assert (over[-1]["outcome"], over[-1]["why"]) == ("died", "the kernel ended before it")


def test_more_live_runs_than_one_answer_tells_of_are_all_listed_the_oldest_first(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.short_pages") as kernel, kernel.client() as client:
        install(kernel, ECHO)
        install(kernel, GREETER)
        told: Any = [client.call("kernel.start", "greeter", {"inputs": {"wait": True}}).value for _ in range(5)]
        begun = [str(one["run"]) for one in told]
        first: Any = client.call("kernel.ps").value
        assert (len(first["runs"]), first["more"]) == (2, True)
        alone: Any = client.call("kernel.ps", "", {"only": begun[3]}).value
        assert ([row["run"] for row in alone["runs"]], alone["more"]) == ([begun[3]], False)
        shell = Shell(kernel.home)
        rows: Any = shell.result("ps")["runs"]
        assert [row["run"] for row in rows] == begun
        assert shell.good("ps").count("greeter") == 5
        assert shell.good("status").count("5 live runs") == 1


def test_who_waits_for_a_run_whose_code_was_upgraded_is_told_what_it_waits_for(shell: Shell, tmp_path: Path) -> None:
    source = Source(GREETER.toml.replace("greeter", "waiter", 1), GREETER.main)
    shell.good("install", write_hand(tmp_path / "waiter", source), "--yes")
    run = shell.good("start", "waiter", "wait:=true").strip()
    until(lambda: any(row["progress"] for row in _live(shell, "waiter")))
    newer = Source(source.toml.replace("1.0.0", "1.1.0"), source.main)
    shell.good("install", write_hand(tmp_path / "newer", newer), "--yes")
    waiting = shell.begin("wait", run)
    assert waiting.stderr is not None
    assert f"{run} waits for your decision: `maniple decide {run} finish`" in waiting.stderr.readline().decode()
    shown = shell.good("run-show", run)
    assert re.search(r"used +0\.[0-9]+s of processor, [1-9][0-9.]* MiB at most", shown), "what its process used"
    assert shell.result("decide", run, "finish")["runs"] == [{"run": run, "goes_on_as": run}]
    shell.good("cancel", run)
    waiting.communicate(timeout=20)
    assert re.search(r"used +0\.[0-9]+s of processor, [1-9][0-9.]* MiB at most", shell.good("run-show", run))
    shell.good("remove", "waiter")


def test_of_a_run_that_lives_it_is_not_told_that_it_used_nothing(shell: Shell) -> None:
    run = shell.good("start", "greeter", "wait:=true").strip()
    until(lambda: any(row["progress"] for row in _live(shell, "greeter")))
    assert "0 B at most" not in shell.good("run-show", run)
    shell.good("cancel", run)
    assert ", 1 call\n" in shell.good("run-show", run)
