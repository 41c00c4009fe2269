"""What a schedule will start is shown before it is installed, while it goes on, and afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.cli import scheduled
from manifests.check import check
from tests.cli.shell import Shell
from tests.cli.test_runs import until
from tests.living import Source, write_hand

CHIME = Source(
    """
[hand]
name = "chime"
version = "1.0.0"
description = "Strikes."
entry = "main:Chime"
kind = "task"
autonomy = "full"

[schedule]
cron = "0 9 * * mon-fri"
timezone = "Europe/Berlin"
quiet = ["22:00-07:00"]
inputs = { strikes = 3 }

[settings.broken]
type = "bool"
default = false
""",
    """
from runtime import Failure, Hand


class Chime(Hand):
    async def run(self, strikes: int) -> object:
        if self.settings["broken"]:
            raise Failure("broken", "its clapper has come off")
        return strikes
""",
)


@pytest.fixture(scope="module")
def installed(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What installing `chime` said."""
    folder = write_hand(tmp_path_factory.mktemp("chime") / "chime", CHIME)
    ran = shell.run("install", folder, "--yes")
    assert ran.code == 0
    yield ran.err
    shell.good("remove", "chime")


def listed(shell: Shell) -> dict[str, Any]:
    rows: Any = shell.result("schedules")["hands"]
    return {row["hand"]: row for row in rows}


def past(shell: Shell, *words: str) -> list[dict[str, Any]]:
    rows: Any = shell.result("schedules", "history", *words)["history"]
    return list(rows)


def test_install_shows_what_it_will_start(installed: str) -> None:
    assert "It starts by itself: cron 0 9 * * mon-fri in Europe/Berlin, not in 22:00-07:00; first at 20" in installed
    assert installed.count(" 08:00:00") + installed.count(" 07:00:00") == 3


def test_schedules_lists_what_comes_next(shell: Shell, installed: str) -> None:
    until(lambda: "chime" in listed(shell))
    row = listed(shell)["chime"]
    assert row["next"][10:19] in ("T08:00:00", "T07:00:00")
    text = shell.good("schedules", "list")
    assert "chime" in text
    assert "cron 0 9 * * mon-fri in Europe/Berlin" in text
    assert "cron 0 9 * * mon-fri in Europe/Berlin" in shell.good("show", "chime")


def test_a_start_by_hand_has_the_inputs_of_the_schedule_and_is_in_the_history(shell: Shell, installed: str) -> None:
    until(lambda: "chime" in listed(shell))
    run = str(shell.result("schedules", "run", "chime")["run"])
    until(lambda: [row for row in past(shell, "chime") if row["run"] == run and row["outcome"]])
    row = next(row for row in past(shell) if row["run"] == run)
    assert (row["what"], row["outcome"], row["why"]) == ("fired", "done", "by its operator")
    told: Any = shell.result("run-show", run)["run"]
    assert row["planned"] <= told["started"]
    assert run in shell.good("schedules", "history", "-n", "5")


def test_the_history_says_why_a_run_came_to_nothing(shell: Shell, installed: str) -> None:
    until(lambda: "chime" in listed(shell))
    shell.good("settings", "chime", "broken=true")
    run = shell.good("schedules", "run", "chime").strip()
    until(lambda: [row for row in past(shell, "chime") if row["run"] == run and row["outcome"]])
    row = next(row for row in past(shell) if row["run"] == run)
    assert (row["outcome"], "its clapper has come off" in row["why"]) == ("failed", True)
    assert "its clapper has come off" in shell.good("schedules", "history", "-n", "5")
    shell.good("settings", "chime", "broken=false")


def test_a_paused_hand_is_shown_as_held_and_not_started(shell: Shell, installed: str) -> None:
    shell.good("pause", "chime")
    until(lambda: listed(shell)["chime"]["held"] == "paused")
    assert "paused" in shell.good("schedules")
    assert shell.run("schedules", "run", "chime").code == 4
    shell.good("resume", "chime")
    until(lambda: listed(shell)["chime"]["held"] == "")


def test_who_stops_scheduling_is_told_that_no_schedule_starts_anything_and_what_ends_that(shell: Shell) -> None:
    assert "`maniple schedules`" in shell.run("stop", "scheduling").err
    shell.good("schedules")
    assert "scheduling" in shell.good("ps"), "what was told is so"
    shell.good("start", "scheduling")


def test_what_has_no_schedule_is_told_so(shell: Shell, installed: str) -> None:
    ran = shell.run("schedules", "run", "greeter")
    assert ran.code == 4
    assert "greeter has no [schedule]: `maniple" in ran.err
    assert "start greeter` starts it" in ran.err
    assert shell.run("schedules", "history", "nobody").code == 1
    assert past(shell, "greeter") == []


def test_a_wrong_schedule_is_found_by_check(shell: Shell, tmp_path: Path) -> None:
    wrong = CHIME.toml.replace("0 9 * * mon-fri", "0 25 * * *").replace("Europe/Berlin", "Berlin")
    ran = shell.run("check", write_hand(tmp_path / "chime", Source(wrong, CHIME.main)))
    assert ran.code == 1
    assert (
        'HAND.toml:10:8: schedule.cron: "0 25 * * *" is not a cron expression: its hour cannot be' in ran.out + ran.err
    )
    assert 'did you mean "Europe/Berlin"?' in ran.out + ran.err


def test_check_compares_the_inputs_of_a_schedule_with_what_its_runs_take(shell: Shell, tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "chime", Source(CHIME.toml.replace("strikes = 3", 'strike = "x"'), CHIME.main))
    ran = shell.run("check", folder)
    assert ran.code == 1
    assert 'HAND.toml:13:12: there is no input "strike"\n    did you mean "strikes"?' in ran.out
    assert 'HAND.toml:9:2: a run needs the input "strikes" (int), and the schedule does not give it' in ran.out


def test_check_compares_the_inputs_of_a_scheduled_agent_with_those_of_all_agents() -> None:
    agent = CHIME.toml.replace('entry = "main:Chime"', "") + '[agent]\nmodel = "default"\n'
    whole = agent.replace("[settings", '[capabilities]\n"model.complete" = ["default"]\n[settings')
    for inputs, problems in (("strikes = 3", 2), ("task = 3", 1), ('task = "strike"', 0)):
        toml = whole.replace("strikes = 3", inputs)
        assert len(scheduled.input_problems("d", check(toml), {"HAND.toml": toml.encode()})) == problems


def test_check_takes_a_run_that_answers_calls_for_no_work_of_the_schedule() -> None:
    method = '[provides."chime.run"]\nsummary = "Strike"\nresource = "none"\neffect = "read"\n'
    toml = CHIME.toml + method
    code = {"HAND.toml": toml.encode(), "main.py": CHIME.main.replace("strikes: int", "call: Call").encode()}
    assert scheduled.input_problems("d", check(toml), code) == []


def test_check_advises_of_a_time_that_is_over(shell: Shell, tmp_path: Path) -> None:
    once = CHIME.toml.replace('cron = "0 9 * * mon-fri"', 'at = "2020-12-01T09:00"')
    folder = write_hand(tmp_path / "chime", Source(once, CHIME.main))
    assert "HAND.toml:10:6: that time is over: installed now, it starts nothing" in shell.good("check", folder)
    assert scheduled.over("d", check(once), {"HAND.toml": once.encode()}, now=0) == []
