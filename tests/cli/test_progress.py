"""Who waits for long looks seldom, as each call of a look is in the log for ever, and is told what brings back what waits."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from kernel.cli import answering, run_waiting
from kernel.cli.client import Client
from kernel.cli.frame import Session
from kernel.cli.progress import PollSchedule
from kernel.cli.run_waiting import RunView
from tests.cli.shell import Shell


def test_at_first_each_second_is_looked_at_and_in_a_day_of_waiting_the_looks_were_few() -> None:
    looks, seen = PollSchedule(1_000.0), list[int]()
    for second in range(86_400):
        if looks.due(1_000.0 + second):
            seen.append(second)
    assert seen[:20] == list(range(20))
    assert max(later - one for one, later in pairwise(seen)) <= 30
    assert len(seen) < 3_100


def test_a_line_that_is_drawn_anew_asks_the_kernel_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_waiting, "time", SimpleNamespace(monotonic=lambda: 1_000.0))  # however slow this machine is

    def looks() -> int:
        return shell.good("audit", "search", "--kind", "call", "--method", "kernel.ps").count("kernel.ps")

    before = looks()
    with Client(str(shell.home)) as client:
        view = RunView(Session(str(shell.home), json=False), client, "r-0000000000000000", None)
        for _ in range(5):
            view.tick()
    assert looks() == before + 1


def test_what_waits_for_its_run_is_told_with_what_brings_that_back(capsys: pytest.CaptureFixture[str]) -> None:
    states = {
        "frozen": "`maniple thaw`",
        "paused": "`maniple resume mailer`",
        "starting": "is shown when the run is back",
    }
    for number, state in enumerate(states):
        absent = answering.AbsentCall(call=number, hand="mailer", run="r-0000000000000000", state=state)
        answering.say_absent(Session("home", json=False), [absent])
    said = capsys.readouterr().err.splitlines()
    assert [state in line for state, line in zip(states.values(), said, strict=True)] == [True] * 3, said
