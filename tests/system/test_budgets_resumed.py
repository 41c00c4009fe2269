"""What a run was given to spend is the same after a restart: what was spent of it is neither forgotten nor counted twice."""

from collections.abc import Iterator

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system.costly import ASKER, COSTLY, COSTLY_TWO, cost, counted, in_log, rooms, spent
from tests.system.fates import bare, call, outcome, runs, table, until

SLOW = COSTLY._replace(main=COSTLY.main.replace("tokens=more)", "tokens=more, seconds=seconds)"))
"""What it asks another for takes as long as it is told to take itself."""

GENEROUS = ASKER._replace(
    main=ASKER.main.replace(
        '(await self.kernel.spawn_and_wait("asker", spawn)).value',
        '(await self.kernel.call("kernel.spawn", "asker", {"inputs": spawn, "wait": True}, timeout=60, '
        "at_most=Cost(tokens=100, micro_dollars=100))).value",
    )
)
"""One that gives what it spawns 100 of what it may spend itself."""


IMPATIENT = ASKER._replace(main=ASKER.main.replace('one.get("seconds", 0) + 30', 'one.pop("timeout", 30)'))
"""One that is told how long to wait."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("budgets") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    yield running
    bare(running)
    for file in running.home.glob("state/*/spent"):
        file.unlink()


def begin(kernel: Kernel, *hands: Source, most: int | None = None, **inputs: object) -> str:
    """Begin a run of asker, of these Hands."""
    for hand in hands:
        install(kernel, hand)
    with kernel.client() as client:
        given, bound = {"inputs": inputs}, None if most is None else cost(most)
        return str(table(client.call("kernel.start", "asker", given, seconds=60, most=bound).value)["run"])


def resell(more: int, most: int, at_most: int | None = None) -> dict[str, object]:
    """A call of what asks another for more, and takes its time."""
    return {"method": "costly.resell", "tokens": 0, "more": more, "most": most, "seconds": 20.0, "at_most": at_most}


def again(kernel: Kernel, how: str) -> None:
    """End the kernel, and start it once more."""
    kernel.kill() if how == "kill" else kernel.down()
    kernel.up()


def said(kernel: Kernel, run: str) -> list[str]:
    with kernel.client() as client:
        return [str(one) for one in outcome(client, run)["value"]["said"]]


@pytest.mark.parametrize("hand", [COSTLY, SLOW], ids=["was spent", "is lost"])
@pytest.mark.parametrize("how", spread(["kill", "down"], 1))
def test_a_call_whose_outcome_is_lost_costs_no_more_than_its_most_with_what_was_done_for_it(
    kernel: Kernel, how: str, hand: Source
) -> None:
    before = spent(kernel)
    run = begin(kernel, COSTLY_TWO, hand, ASKER, calls=[resell(20, 60, at_most=100)])
    until(lambda: counted(kernel.home) == 20, "another has spent some of it")
    until(lambda: hand is SLOW or spent(kernel) == before + 20, "and has said so")
    again(kernel, how)
    assert said(kernel, run)[0].startswith("outcome unknown")
    whole = spent(kernel) - before
    assert whole == 100 or (
        whole == 60 and (how, hand) == ("down", SLOW)
    )  # then the other could say that it cost 20 and not 60
    assert spent(kernel) == in_log(kernel.home)
    assert rooms(kernel, "asker")["tokens/day"]["spent"] == whole
    assert rooms(kernel, "asker")["tokens/day"]["reserved"] == 0


@pytest.mark.wide
@pytest.mark.parametrize("how", spread(["kill", "down"], 1))
def test_what_was_lost_of_a_runs_most_it_cannot_spend_again(kernel: Kernel, how: str) -> None:
    before = spent(kernel)
    run = begin(kernel, COSTLY_TWO, SLOW, ASKER, most=100, calls=[resell(20, 60), {"tokens": 90, "at_most": 90}])
    until(lambda: counted(kernel.home) == 20, "another has spent some of it")
    again(kernel, how)
    lost, refused = said(kernel, run)
    assert lost.startswith("outcome unknown")
    assert refused.startswith("over_budget: over_budget: the call that this one is made for may cost ")
    assert before < spent(kernel) <= before + 100


def test_a_call_that_was_taken_from_a_frozen_run_costs_no_more_than_its_most(kernel: Kernel) -> None:
    before = spent(kernel)
    run = begin(kernel, COSTLY_TWO, SLOW, ASKER, calls=[resell(20, 60, at_most=100)])
    until(lambda: counted(kernel.home) == 20, "another has spent some of it")
    call(kernel, "kernel.freeze")
    until(lambda: not [row for row in runs(kernel) if row["pid"]], "no process is left")
    call(kernel, "kernel.stop", run)
    call(kernel, "kernel.thaw")
    assert spent(kernel) == before + 100
    assert rooms(kernel, "asker")["tokens/day"]["reserved"] == 0


def test_what_a_run_that_was_spawned_has_spent_is_taken_from_its_spawners_most_once(kernel: Kernel) -> None:
    before = spent(kernel)
    calls = [{"tokens": 50, "at_most": 50}, {"tokens": 1, "at_most": 10, "seconds": 20.0}]
    run = begin(kernel, COSTLY_TWO, COSTLY, GENEROUS, most=200, spawn={"calls": calls})
    until(lambda: counted(kernel.home) == 51, "it is at its second call")
    again(kernel, "kill")
    with kernel.client() as client:
        value = outcome(client, run)["value"]
    assert spent(kernel) == before + 60
    assert value["said"][0]["value"]["left"] == 40
    assert value["left"] == 140


@pytest.mark.parametrize("how", spread(["kill", "down"], 1))
def test_what_others_spent_for_a_run_is_counted_on_after_a_restart(kernel: Kernel, how: str) -> None:
    asks = {"method": "costly.resell", "tokens": 5, "more": 30, "most": 0}
    calls = [{"tokens": 45}, {**asks, "more": 20}, {"tokens": 1, "seconds": 5.0}]
    run = begin(kernel, COSTLY_TWO, COSTLY, ASKER, calls=[asks], spawn={"calls": calls})
    until(lambda: counted(kernel.home) == 30 + 45 + 20 + 1, "it is at its last call")
    again(kernel, how)
    with kernel.client() as client:
        value = outcome(client, run)["value"]
    assert (value["spent"], value["in_all"], value["said"][1]["in_all"]) == (5, 106, 71)


@pytest.mark.wide
def test_a_call_that_had_begun_is_not_said_to_be_refused_when_its_provider_is_paused_meanwhile(kernel: Kernel) -> None:
    """It may have been done, and have cost all it might."""
    before = spent(kernel)
    run = begin(kernel, COSTLY_TWO, COSTLY, ASKER, calls=[resell(20, 30, at_most=100), resell(20, 30)])
    until(lambda: counted(kernel.home) == 20, "another has spent some of it")
    call(kernel, "kernel.pause", "costly")
    again(kernel, "kill")
    lost, refused = said(kernel, run)
    assert lost.startswith("outcome unknown")
    assert refused.startswith("paused")
    assert spent(kernel) == before + 100
    call(kernel, "kernel.resume", "costly")


@pytest.mark.wide
def test_a_charge_that_was_corrected_is_not_the_whole_again_when_the_kernel_was_killed(kernel: Kernel) -> None:
    given_up, last = {"tokens": 7, "seconds": 30.0, "at_most": 10, "timeout": 0.3}, {"tokens": 1, "seconds": 1.0}
    before = in_log(kernel.home)
    run = begin(kernel, COSTLY, IMPATIENT, calls=[given_up, last])
    until(lambda: in_log(kernel.home) - before == 7, "its charge of 10 is corrected")
    until(lambda: counted(kernel.home) == 8, "it is at its last call")
    again(kernel, "kill")
    with kernel.client() as client:
        value = outcome(client, run)["value"]
    assert (value["spent"], value["in_all"]) == (8, 8)
