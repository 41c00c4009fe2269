"""A budget is never exceeded, whoever asks at once and whatever is killed; what is spent is in the log, and is told."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kernel.cli.exits import NotDone
from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system.costly import ASKER, COSTLY, COSTLY_TWO, ask, cost, counted, in_log, rooms, spend, spent
from tests.system.fates import bare, call, entries, entry, pid_of, runs, state_of, table, until, verified

AT_ONCE = 50


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def kernel(home: Path) -> Iterator[Kernel]:
    with Kernel(home) as kernel:
        for hand in (COSTLY_TWO, COSTLY, ASKER):
            install(kernel, hand)
        yield kernel


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("budgets") / "home")) as kernel:
        yield kernel


@pytest.fixture
def shared(running: Kernel) -> Iterator[Kernel]:
    """With the same Hands, which have spent nothing; but the home has spent what it had before."""
    for hand in (COSTLY_TWO, COSTLY, ASKER):
        install(running, hand)
    yield running
    with running.client() as client:
        client.call("kernel.budget-set", "", {"tokens": []})
    bare(running)


def test_fifty_runs_that_ask_at_once_never_exceed_a_budget(kernel: Kernel, home: Path) -> None:
    with kernel.client() as client:
        inputs = {"calls": [{"tokens": 25, "at_most": 30, "seconds": 0.2}] * 2, "at": time.time() + 3.0}
        begun = [
            table(client.call("kernel.start", "asker", {"inputs": inputs}, seconds=60).value)["run"]
            for _ in range(AT_ONCE)
        ]
        ends = [table(client.call("kernel.wait", "", {"run": run}, seconds=60).value) for run in begun]
    said = [str(one) for end in ends for one in table(end["value"])["said"]]  # type: ignore[union-attr]
    refused = [one for one in said if one != "done"]
    done = len(said) - len(refused)
    assert len(said) == 2 * AT_ONCE
    assert 33 <= done <= 40
    assert refused
    assert all("asker may spend 1k tokens a day" in one and one.startswith("over_budget") for one in refused)
    assert rooms(kernel, "asker")["tokens/day"]["spent"] == 25 * done == spent(kernel) == counted(home)
    assert rooms(kernel, "asker")["tokens/day"]["reserved"] == 0
    reserved, most = 0, 0
    for one in entries(home, "call", "end"):
        if one.method == "costly.spend":
            reserved += 30 if one.kind == "call" else 0
            reserved -= 5 if one.kind == "end" else 0
            most = max(most, reserved)
    assert most <= 1000


@pytest.mark.parametrize("victim", spread(["kernel", "provider", "run"], 1))
def test_what_is_killed_in_mid_call_leaves_no_sum_lower_than_what_was_spent(
    kernel: Kernel, home: Path, victim: str
) -> None:
    with kernel.client() as client:
        given = {"inputs": {"calls": [{"tokens": 5, "at_most": 9}, {"tokens": 40, "at_most": 100, "seconds": 3}]}}
        client.call("kernel.start", "asker", given, seconds=60)
        until(lambda: counted(home) == 45, "the second call is under way")
        assert rooms(kernel, "asker")["tokens/day"]["reserved"] == 100
        if victim == "kernel":
            kernel.kill()
        else:
            os.kill(pid_of(kernel, "costly" if victim == "provider" else "asker"), signal.SIGKILL)
    if victim == "kernel":
        kernel.up()
    right = 45 if victim == "run" else 105  # a run goes on, and its call with it; else nobody can tell what it has cost
    until(lambda: rooms(kernel, "asker")["tokens/day"]["spent"] == right, f"{right} are spent")
    assert rooms(kernel, "asker")["tokens/day"]["reserved"] == 0
    assert spent(kernel) == right
    until(lambda: in_log(home) == right, "its entry is on disk")  # what is killed before that is asked again
    kernel.kill()
    (home / "log" / "snapshot").unlink(missing_ok=True)
    kernel.up()
    assert spent(kernel) == right == rooms(kernel, "asker")["tokens/day"]["spent"]
    kernel.down()
    assert in_log(home) == right
    verified(home)


@pytest.mark.parametrize("seed", spread(range(3), 1))
def test_whatever_dies_whenever_the_sum_is_never_lower_than_what_was_spent_nor_above_the_budget(
    kernel: Kernel, home: Path, seed: int
) -> None:
    chance = random.Random(seed)
    inputs = {"calls": [{"tokens": 20, "at_most": 30, "seconds": 0.02}] * 5}
    for _ in range(4):
        with kernel.client() as client:
            for _ in range(4):
                client.call("kernel.start", "asker", {"inputs": inputs}, seconds=60)
            time.sleep(chance.random() * 0.3)
            victim = chance.choice(["kernel", "costly", "asker"])
            rows = [row for row in runs(kernel, victim) if row["pid"]] if victim != "kernel" else []
            if victim == "kernel":
                kernel.kill()
            elif rows:
                with suppress(ProcessLookupError):
                    os.kill(int(str(rows[0]["pid"])), signal.SIGKILL)
        if victim == "kernel":
            kernel.up()
        assert spent(kernel) <= 1000
    until(lambda: not runs(kernel, "asker"), "every run has ended")
    assert 0 < counted(home) <= spent(kernel) <= 1000
    kernel.down()
    assert counted(home) <= in_log(home) <= 1000
    (home / "log" / "snapshot").unlink()
    kernel.up()
    assert spent(kernel) == in_log(home)


def test_a_call_counts_with_what_its_provider_says_it_has_cost(shared: Kernel) -> None:
    right = spent(shared)
    for how, end, costs in (("", "done", 7), ("raise", "raised", 7), ("fail", "conflict", 7), ("free", "done", 0)):
        assert spend(shared, 7, 10, how=how) == end
        right += costs
        assert spent(shared) == right, how


@pytest.mark.wide
def test_a_call_that_timed_out_counts_in_full_until_its_provider_says_what_it_has_cost(
    kernel: Kernel, home: Path
) -> None:
    call(kernel, "kernel.start", "costly", seconds=30)
    with kernel.client() as client, pytest.raises(NotDone, match="time"):
        client.call("costly.spend", "", {"tokens": 7, "seconds": 30}, seconds=0.3, most=cost(10))
    corrected = entry(home, "budget", verdict="corrected")
    assert corrected.detail["back"] == {"tokens": 3, "micro_dollars": 3}
    ended = entry(home, "end", call=corrected.call)
    assert (ended.verdict, ended.cost) == ("failed", cost(10))
    assert spent(kernel) == 7
    kernel.down()
    (home / "log" / "snapshot").unlink()
    kernel.up()
    assert spent(kernel) == 7


def test_a_call_that_never_reached_its_provider_costs_nothing(shared: Kernel) -> None:
    before = spent(shared)
    call(shared, "kernel.budget-set", "", {"tokens": [f"{before + 100}/day"]})
    call(shared, "kernel.pause", "costly")
    assert spend(shared, 7, 10) == "paused"
    assert (rooms(shared, "")["tokens/day"]["reserved"], spent(shared)) == (0, before)


def test_a_provider_that_settles_more_than_it_may_is_quarantined_and_the_excess_is_counted(
    kernel: Kernel, home: Path
) -> None:
    assert spend(kernel, 11, 10) == "done"
    assert spent(kernel) == 11
    assert spend(kernel, 1, 10) == "quarantined"
    assert state_of(kernel, "costly") == "quarantined"
    told = entry(home, "hand.state", verdict="quarantined")
    assert "costly.spend cost 1 token and 0.000001 dollars more than was left of the 10 tokens" in told.why
    kernel.down()
    kernel.up()
    assert spend(kernel, 1, 10) == "quarantined"
    call(kernel, "kernel.start", "costly", seconds=30)
    assert spend(kernel, 1, 10) == "done"
    assert spent(kernel) == 12


PRICEY = Source(
    """
[hand]
name = "pricey"
version = "1.0.0"
description = "Answers in a run of its own, and costs too much."
entry = "main:Pricey"
kind = "task"
autonomy = "full"

[provides."pricey.spend"]
summary = "Cost something"
resource = "none"
effect = "external"
params = { tokens = "int" }
""",
    """
from runtime import Call, Hand


class Pricey(Hand):
    async def run(self) -> None:
        pass

    async def spend(self, call: Call, tokens: int) -> None:
        call.cost(tokens=tokens)
""",
)


@pytest.mark.wide
def test_a_task_hand_that_settles_more_than_it_may_is_quarantined_until_the_operator_starts_it(kernel: Kernel) -> None:
    install(kernel, PRICEY)
    with kernel.client() as client:
        client.call("pricey.spend", "", {"tokens": 3}, most=cost(2))
        until(lambda: state_of(kernel, "pricey") == "quarantined", "its run is gone")
        with pytest.raises(NotDone, match="quarantined"):
            client.call("pricey.spend", "", {"tokens": 1}, most=cost(2))
        client.call("kernel.start", "pricey", {"wait": True}, seconds=30)
        client.call("pricey.spend", "", {"tokens": 1}, most=cost(2))
    assert spent(kernel) == 4


def test_the_operator_is_told_at_four_fifths_and_when_it_is_used_up_once_for_each_window(
    kernel: Kernel, home: Path
) -> None:
    with kernel.client() as client:
        assert ask(client, {"tokens": 790, "at_most": 800})["said"] == ["done"]
        assert not [one for one in entries(home, "budget") if one.verdict == "warning"]
        assert ask(client, {"tokens": 10, "at_most": 10}, {"tokens": 10, "at_most": 10})["said"] == ["done", "done"]
        warning = entry(home, "budget", verdict="warning")
        assert warning.detail["name"] == "asker"
        assert (warning.detail["unit"], warning.detail["amount"], warning.detail["spent"]) == ("tokens", 1000, 800)
        until(lambda: state_of(kernel, "asker") == "idle", "its runs are gone")
        refused = ask(client, {"tokens": 10, "at_most": 200}, {"tokens": 190, "at_most": 190})["said"]
    assert isinstance(refused, list)
    assert [str(one).partition(":")[0] for one in refused] == ["over_budget", "done"]
    over = entry(home, "budget", verdict="over_budget")
    until(lambda: state_of(kernel, "asker") == "over_budget", "its runs are gone")
    assert over.detail["ends"] == rooms(kernel, "asker")["tokens/day"]["ends"]
    kernel.kill()
    kernel.up()
    assert state_of(kernel, "asker") == "over_budget"
    with kernel.client() as client:
        ask(client, {"tokens": 10, "at_most": 10})
    assert [one.verdict for one in entries(home, "budget")] == ["warning", "over_budget"]
    call(kernel, "kernel.budget-set", "", {"hand": "asker", "tokens": ["2k/day"]})
    until(lambda: state_of(kernel, "asker") == "idle", "its runs are gone")


HEARER = Source(
    """
[hand]
name = "hearer"
version = "1.0.0"
description = "Hears of budgets."
entry = "main:Hearer"
kind = "service"
autonomy = "full"

[events]
subscribes = ["kernel.budget"]

[provides."hearer.heard"]
summary = "What it has heard"
resource = "none"
effect = "read"
""",
    """
from runtime import Call, Hand


class Hearer(Hand):
    async def start(self) -> None:
        self.told = []
        await self.kernel.subscribe("kernel.budget")

    async def on_event(self, event) -> None:
        self.told.append([event.body["verdict"], event.body["name"], event.body["percent"]])

    async def heard(self, call: Call) -> dict[str, object]:
        return {"told": self.told}
""",
)


@pytest.mark.wide
def test_who_subscribes_hears_of_it(kernel: Kernel) -> None:
    install(kernel, HEARER)
    call(kernel, "kernel.start", "hearer", seconds=30)
    call(kernel, "kernel.budget-set", "", {"tokens": ["10/hour"]})
    assert spend(kernel, 9, 9) == "done"

    def heard() -> bool:
        return table(call(kernel, "hearer.heard"))["told"] == [["warning", "", 80]]

    until(heard, "it has heard")


def test_a_call_without_most_counts_at_its_end_and_is_refused_when_nothing_is_left(shared: Kernel) -> None:
    before = spent(shared, "hour")
    call(shared, "kernel.budget-set", "", {"tokens": [f"{before + 10}/hour"]})
    assert spend(shared, 9, None) == "done"
    assert spend(shared, 9, None) == "done"
    assert spent(shared, "hour") == before + 18
    assert spend(shared, 9, None) == "over_budget"
    check = table(call(shared, "kernel.check", "", {"method": "costly.spend"}))
    assert (check["allowed"], check["code"]) == (False, "over_budget")
    assert (
        table(call(shared, "kernel.check", "", {"method": "kernel.note"}))["allowed"] is True
    )  # which has never cost any


@pytest.mark.wide
def test_a_call_whose_caller_says_no_most_has_the_one_that_its_provider_declares(kernel: Kernel, home: Path) -> None:
    call(kernel, "kernel.budget-set", "", {"tokens": ["30/hour"]})
    assert call(kernel, "costly.priced", "", {"tokens": 15}) == {"most": 20}
    assert entry(home, "call", method="costly.priced").detail["most"] == {"tokens": 20, "micro_dollars": 10_000}
    check = table(call(kernel, "kernel.check", "", {"method": "costly.priced"}))
    assert (check["allowed"], check["code"]) == (False, "over_budget")
    with pytest.raises(NotDone, match="15 tokens are left, and this needs 20 tokens"):
        call(kernel, "costly.priced", "", {"tokens": 15})
    with kernel.client() as client:
        client.call("costly.priced", "", {"tokens": 15}, most=cost(15))
        assert spent(kernel) == 30
        client.call("kernel.budget-set", "", {"tokens": []})
        client.call("costly.priced", "", {"tokens": 21})
    assert state_of(kernel, "costly") == "quarantined"


def test_what_a_call_costs_is_paid_by_every_hand_in_its_chain_and_the_home(shared: Kernel) -> None:
    before = spent(shared)
    call(shared, "kernel.budget-set", "", {"hand": "costly", "tokens": ["50/day"]})
    with shared.client() as client:
        asked = ask(client, {"method": "costly.resell", "tokens": 10, "more": 20, "most": 25, "at_most": 40})
    assert asked["said"] == ["done"]
    assert rooms(shared, "asker")["tokens/day"]["spent"] == 30 == spent(shared) - before
    assert rooms(shared, "costly")["tokens/day"]["spent"] == 20
    assert all(row["reserved"] == 0 for name in ("asker", "costly") for row in rooms(shared, name).values())
    with shared.client() as client:
        asked = ask(client, {"method": "costly.resell", "tokens": 10, "more": 20, "most": 41, "at_most": 40})
        assert "may cost 40 tokens more, and this one 41 tokens" in str(asked["said"])
        asked = ask(client, {"method": "costly.resell", "tokens": 10, "more": 20, "most": 31, "at_most": 40})
        assert "costly may spend 50 tokens a day, has spent 20 tokens: 30 tokens are left" in str(asked["said"])


def test_a_run_is_told_what_is_left_and_spends_no_more_than_it_was_given(shared: Kernel) -> None:
    before = spent(shared)
    with shared.client() as client:
        asked = ask(client, {"tokens": 30, "at_most": 40}, {"tokens": 30, "at_most": 40}, most=50)
        assert (asked["left"], asked["spent"]) == (20, 30)
        assert "may cost 20 tokens more, and this one 40 tokens" in str(asked["said"])
        below = table(ask(client, spawn={"calls": [{"tokens": 30, "at_most": 40}]}, most=100)["said"][0])  # type: ignore[index]
        assert (below["said"], below["left"]) == (["done"], 70)
        assert (ask(client)["left"], ask(client)["dollars"]) == (940, 999_940)
    assert spent(shared) == before + 60


def test_a_run_that_may_spend_all_that_is_left_makes_calls_that_say_no_most_and_their_provider_is_told_it(
    shared: Kernel,
) -> None:
    before = spent(shared)
    assert spend(shared, 1, None) == "done"  # it is known to cost
    call(shared, "kernel.budget-set", "", {"tokens": [f"{before + 101}/day"]})
    with shared.client() as client:
        asked = ask(client, {"tokens": 30}, {"tokens": 30}, most=100)
        assert (asked["said"], asked["left"]) == (["done", "done"], 40)
        assert ask(client, {"method": "costly.bounded"}, {"method": "costly.bounded"}, most=30)["said"] == [30, 29]
    assert spent(shared) == before + 63


@pytest.mark.wide
def test_the_operators_word_holds_and_a_removed_hand_leaves_none(kernel: Kernel) -> None:
    call(kernel, "kernel.budget-set", "", {"hand": "asker", "tokens": ["30/hour", "40/day"], "dollars": ["0/day"]})
    assert sorted(rooms(kernel, "asker")) == ["micro_dollars/day", "tokens/day", "tokens/hour"]
    with kernel.client() as client:
        assert "0.00 dollars" in str(ask(client, {"tokens": 1, "at_most": 1})["said"])
        client.call("kernel.budget-set", "", {"hand": "asker", "dollars": []})
        assert ask(client, {"tokens": 20, "at_most": 20})["said"] == ["done"]
        for wrong in ({"tokens": ["30/week"]}, {"tokens": ["1/day", "2/day"]}, {"hand": "nobody", "tokens": ["1/day"]}):
            with pytest.raises(NotDone, match=r"window|same|nobody"):
                client.call("kernel.budget-set", "", wrong)
        client.call("kernel.remove", "asker")
    install(kernel, ASKER)
    assert rooms(kernel, "asker")["tokens/day"]["amount"] == 1000
    assert rooms(kernel, "asker")["tokens/day"]["spent"] == 0
    assert spent(kernel) == 20
