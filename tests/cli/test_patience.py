"""Who waits for long looks seldom: each look is calls, and each call is written into the log."""

from itertools import pairwise

from kernel.cli.client import Client
from kernel.cli.frame import Session
from kernel.cli.patience import Looks
from kernel.cli.run_waiting import View
from tests.cli.shell import Shell


def test_at_first_each_second_is_looked_at_and_in_a_day_of_waiting_the_looks_were_few() -> None:
    looks, seen = Looks(1_000.0), list[int]()
    for second in range(86_400):
        if looks.due(1_000.0 + second):
            seen.append(second)
    assert seen[:20] == list(range(20))
    assert max(later - one for one, later in pairwise(seen)) <= 30
    assert len(seen) < 3_100


def test_a_line_that_is_drawn_anew_asks_the_kernel_nothing(shell: Shell) -> None:
    def looks() -> int:
        return shell.good("audit", "search", "--kind", "call", "--method", "kernel.ps").count("kernel.ps")

    before = looks()
    with Client(str(shell.home)) as client:
        view = View(Session(str(shell.home), json=False), client, "r-0000000000000000", None)
        for _ in range(5):
            view.tick()
    assert looks() == before + 1
