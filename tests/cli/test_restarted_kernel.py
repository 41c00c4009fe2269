"""What goes on after a kernel's death is there from the first answer on: runs, what they hear, and what they ask."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Shell
from tests.cli.test_questions import ASKER
from tests.cli.test_tell import SLUGGISH
from tests.living import ROOT, write_hand
from tests.spread import spread
from tests.system.fates import until


@pytest.fixture
def home(still: Shell, tmp_path: Path) -> Shell:
    """A home in which a run asks, and another hears what it is told."""
    still.good("up")
    still.good("install", ROOT / "hands" / "ask", "--yes")
    for name, source in (("asker", ASKER), ("sluggish", SLUGGISH)):
        still.good("install", write_hand(tmp_path / name, source), "--yes")
        still.good("start", name, *(["question=Why?"] if name == "asker" else ["then:=600"]))
    until(lambda: rows(still, "questions"), "it asks")
    return still


def rows(shell: Shell, command: str, of: str = "") -> list[dict[str, Any]]:
    found: Any = shell.result(command)[of or command]
    return list(found)


def kill(shell: Shell) -> None:
    told: Any = shell.result("status")
    os.kill(told["pid"], signal.SIGKILL)
    until(lambda: shell.run("status").code == 3, "it is dead")


@pytest.mark.wide
@pytest.mark.parametrize("first", spread(["questions", "approvals", "answer", "status"], 1))
def test_a_question_is_there_at_the_first_look_after_the_kernel_was_killed(home: Shell, first: str) -> None:
    (row,) = rows(home, "questions")
    kill(home)
    home.good("up")
    if first == "status":
        assert home.result("status")["approvals"] == 1
    elif first == "answer":
        home.good("answer", str(row["call"]), "Because.")
        return
    else:
        assert [one["call"] for one in rows(home, first)] == [row["call"]]
    (run,) = (str(one["run"]) for one in rows(home, "ps", "runs") if one["hand"] == "sluggish")
    home.good("tell", run, "hello")
    assert "hello" in home.good("wait", run)


@pytest.mark.wide
def test_nor_is_it_missing_where_the_budget_of_who_asks_is_used_up(home: Shell) -> None:
    (row,) = rows(home, "questions")
    home.good("budget", "asker", "tokens=0/day")
    kill(home)
    home.good("up")
    home.good("answer", str(row["call"]), "Because.")


@pytest.mark.wide
def test_what_waits_while_all_is_frozen_is_told(home: Shell) -> None:
    (row,) = rows(home, "questions")
    home.good("freeze")
    kill(home)
    home.good("up")
    states = {str(one["hand"]): one["state"] for one in rows(home, "ps", "runs")}
    assert states == {"asker": "frozen", "sluggish": "frozen"}
    assert home.result("status")["approvals"] == 1
    for command in ("questions", "approvals"):
        ran = home.run(command)
        assert f"call {row['call']} of asker" in ran.err
        assert "frozen" in ran.err
        assert [one["call"] for one in rows(home, command, "absent")] == [row["call"]]
        assert "No Hand asks" not in ran.err + ran.out
        assert "Nothing waits" not in ran.err + ran.out
    ran = home.run("answer", str(row["call"]), "Because.")
    assert (ran.code, "maniple thaw" in ran.err) == (4, True), ran
    (run,) = (str(one["run"]) for one in rows(home, "ps", "runs") if one["hand"] == "sluggish")
    home.good("tell", run, "hello")
    home.good("thaw")
    home.good("answer", str(row["call"]), "Because.")
    assert "hello" in home.good("wait", run)
