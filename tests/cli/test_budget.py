"""What may be spent is set, shown and held by the command line."""

from pathlib import Path

import msgspec
import pytest

from kernel.cli.budget import Status
from kernel.cli.installed import HandDetails
from kernel.cli.spending import Allowance, most_of
from tests.cli.shell import Shell
from tests.living import write_hand
from tests.system.costly import COSTLY
from wire.amounts import Cost


@pytest.fixture(scope="module")
def costly(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder: Path = write_hand(tmp_path_factory.mktemp("budget") / "costly", COSTLY)
    shell.good("install", folder, "--yes")
    return shell


def test_the_homes_budget_is_set_shown_held_and_taken_back(still: Shell, tmp_path: Path) -> None:
    """In a home of its own, where no other test has spent anything."""
    still.good("up")
    still.good("install", write_hand(tmp_path / "costly", COSTLY), "--yes")
    assert "Spent by the home: nothing." in still.good("budget")
    assert "10 tokens an hour" in still.good("budget", "tokens=10/hour,1k/day")
    assert still.run("call", "costly.spend", "tokens=8", "--most", "tokens=9", "--most", "dollars=0.01").code == 0
    ran = still.run("call", "costly.spend", "tokens=8", "--most", "tokens=9")
    assert ran.code == 4
    assert "the home may spend 10 tokens an hour, has spent 8 tokens: 2 tokens are left" in ran.err
    assert "budget tokens=…` allows more" in ran.err
    assert "the home: 8 tokens of 10 tokens an hour: over budget until" in still.good("status")
    told = msgspec.convert(still.result("budget"), Status)
    assert [(row.window, row.amount, row.spent, row.left) for row in told.budgets] == [
        ("hour", 10, 8, 2),
        ("day", 1000, 8, 992),
    ]
    assert told.spent["day"] == {"tokens": 8, "micro_dollars": 8}
    assert [row.percent for row in msgspec.convert(still.result("status"), Status).budgets] == [100, 0]
    still.good("budget", "--unset", "tokens")
    assert still.result("budget")["budgets"] == []
    assert still.run("call", "costly.spend", "tokens=8", "--most", "tokens=9", "--most", "dollars=1").code == 0


def test_a_hands_budget_is_shown_with_it(costly: Shell) -> None:
    costly.good("call", "costly.spend", "tokens=1")  # which the home has spent, and this Hand has not
    assert "greeter has no budget" in costly.good("budget", "greeter")
    assert "2.00 dollars a day" in costly.good("budget", "greeter", "dollars=2/day")
    assert "0.00 dollars of 2.00 dollars a day, until" in costly.good("show", "greeter")
    (row,) = msgspec.convert(costly.result("show", "greeter"), HandDetails).budget
    assert (row.left, row.unit) == (2_000_000, "micro_dollars")
    told = msgspec.convert(costly.result("budget", "greeter"), Status)
    assert ([row.name for row in told.budgets], told.spent) == (
        ["greeter"],
        msgspec.convert(costly.result("show", "greeter"), HandDetails).spent,
    )
    assert told.spent != msgspec.convert(costly.result("budget"), Status).spent
    costly.good("budget", "greeter", "--unset", "dollars")


def test_what_a_method_costs_at_most_is_shown(costly: Shell) -> None:
    assert "costs at most  20 tokens and 0.01 dollars" in costly.good("methods", "costly.priced")
    assert "costs at most" not in costly.good("methods", "costly.spend")


def test_a_run_can_be_given_no_more_than_is_left(costly: Shell) -> None:
    costly.good("budget", "dollars=2/hour")
    assert costly.run("start", "greeter", "--wait", "--most", "dollars=2.50").code == 4
    assert costly.run("start", "greeter", "--wait", "--most", "dollars=1.50").code == 0
    costly.good("budget", "--unset", "dollars")


def test_a_unit_of_which_no_most_is_given_is_bounded_by_budgets_alone(costly: Shell) -> None:
    assert costly.run("call", "costly.spend", "tokens=8", "--most", "tokens=9").code == 0
    costly.good("budget", "tokens=10k/hour")
    costly.good("budget", "greeter", "tokens=10/hour")  # which does not pay
    assert costly.run("call", "costly.spend", "tokens=8", "--most", "dollars=1").code == 0
    assert "quarantined" not in costly.good("status")
    costly.good("budget", "--unset", "tokens")
    costly.good("budget", "greeter", "--unset", "tokens")
    allowances = [Allowance(name="", unit="tokens", window="day", amount=9, spent=0, reserved=0, left=left, percent=0,
                            ends="") for left in (90, 70)]  # fmt: skip
    assert most_of({"micro_dollars": 5}, allowances) == Cost(tokens=35, micro_dollars=5)


@pytest.mark.parametrize(
    "words",
    [
        ("budget", "greeter", "echo", "tokens=1/day"),
        ("budget", "tokens=1/day", "greeter"),
        ("budget", "pounds=1/day"),
        ("budget", "tokens:=1"),
        ("budget", "--unset", "pounds"),
        ("call", "costly.spend", "tokens=1", "--most", "1"),
        ("call", "costly.spend", "tokens=1", "--most", "tokens=1.5"),
        ("call", "costly.spend", "tokens=1", "--most", "tokens=1", "--most", "tokens=2"),
    ],
)
def test_wrong_usage_is_told(costly: Shell, words: tuple[str, ...]) -> None:
    assert costly.run(*words).code == 2


def test_an_amount_that_is_none_changes_nothing(costly: Shell) -> None:
    ran = costly.run("budget", "tokens=10/week")
    assert ran.code == 2
    assert "write /hour, /day or /month after the amount" in ran.err
    assert costly.run("budget", "nobody", "tokens=10/day").code == 1
    assert costly.result("budget")["budgets"] == []
