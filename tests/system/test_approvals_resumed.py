"""What waits for a person waits through anything: asked before a kill or a restart, answered after it, done exactly once."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel.cli.exits import NotDone
from tests.living import Kernel, install, make_home
from tests.spread import spread
from tests.system import fates
from tests.system.approving import POST, answer, begin, furnished, none_waits, outcome, sent, waiting, writer
from tests.system.fates import call, entries, entry, until
from tests.system.recordings import maniple
from tests.system.slow_disk import DELAY


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("approvals") / "home")) as kernel:
        yield kernel
        kernel.down()
        assert fates.verified(kernel.home).size == len(entries(kernel.home))


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    with furnished(running, writer()) as kernel:
        yield kernel


def crash(kernel: Kernel) -> None:
    kernel.kill()
    kernel.up()


def restart(kernel: Kernel) -> None:
    kernel.down()
    kernel.up()


def kill_run(kernel: Kernel) -> None:
    before = len(entries(kernel.home, "run.left"))
    os.kill(fates.pid_of(kernel, "writer"), signal.SIGKILL)
    until(lambda: len(entries(kernel.home, "run.left")) > before, "it goes on in another process")


def kill_template(kernel: Kernel) -> None:
    before = len(entries(kernel.home, "run.left"))
    os.kill(kernel.template_pid, signal.SIGKILL)
    until(lambda: len(entries(kernel.home, "run.left")) > before, "it goes on in another process")


def freeze(kernel: Kernel) -> None:
    call(kernel, "kernel.freeze")
    call(kernel, "kernel.thaw")


def test_an_approved_call_reaches_its_provider_only_when_the_answer_is_on_disk(tmp_path: Path) -> None:
    """Two syncs of a slow disk lie before it, one after the other: of the answering call, and of the answer."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.slow_disk") as kernel:
        install(kernel, POST)
        install(kernel, writer())
        run = begin(kernel, "ann hello")
        (held,) = waiting(kernel)
        (kernel.home / "run" / "slow").touch()
        began = time.monotonic()
        answering = threading.Thread(target=answer, args=(kernel, [held]))
        answering.start()
        until(lambda: sent(kernel.home), "it is sent")
        took = time.monotonic() - began
        (kernel.home / "run" / "slow").unlink()
        answering.join(fates.PATIENCE)
        assert took > 2 * DELAY
        assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


@pytest.mark.wide
def test_one_whose_run_is_not_back_yet_is_said_to_wait_on(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello")
    (held,) = waiting(kernel)
    call(kernel, "kernel.freeze")
    restart(kernel)  # frozen, so that its run stays away
    with pytest.raises(NotDone, match="still waits, but its run has not resumed since the kernel started") as refused:
        call(kernel, "kernel.approvals", "", {"call": held.call})
    assert refused.value.reason == "not yet"
    call(kernel, "kernel.thaw")
    answer(kernel, waiting(kernel))
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


@pytest.mark.wide
def test_one_whose_run_waits_for_a_decision_says_what_lets_it_go_on(kernel: Kernel) -> None:
    """Its Hand was upgraded: to try again would never do."""
    install(kernel, writer("scribe"))
    run = begin(kernel, "ann hello", hand="scribe")
    (held,) = waiting(kernel)
    install(kernel, writer("scribe", version="1.1.0"))
    entry(kernel.home, "decision", run=run, verdict="asked")
    crash(kernel)
    with pytest.raises(NotDone, match=r"\(waits: upgraded\): `maniple decide scribe finish` lets it go on"):
        call(kernel, "kernel.approvals", "", {"call": held.call})
    assert "`maniple decide scribe finish` lets it go on" in maniple(kernel.home, "approvals").words
    call(kernel, "kernel.decide", "scribe", {"how": "finish"})
    answer(kernel, waiting(kernel))
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


@pytest.mark.parametrize(
    ("asks", "is_killed"),
    spread([("a letter", True), ("a spawn", False), ("a spawn", True), ("a letter", False)], 1),
)
def test_waiting_for_the_operator_costs_no_process(tmp_path: Path, asks: str, *, is_killed: bool) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        install(kernel, POST)
        install(kernel, writer())
        spawner = writer("boss", '"kernel.spawn" = { allow = ["writer"], approval = true }\n"post.*" = ["*"]\n')
        install(kernel, spawner)
        run = begin(kernel, "ann hello") if asks == "a letter" else begin(kernel, hand="boss", spawn="writer")
        entry(kernel.home, "run.left", run=run, why="it only waits")
        until(lambda: not [row for row in fates.runs(kernel) if row["pid"] and row["run"] == run], "no process")
        assert _state(kernel, run) == "waiting for approval"
        if is_killed:
            crash(kernel)
            until(lambda: len(entries(kernel.home, "run.left")) == 2, "it sleeps again")
            assert _state(kernel, run) == "waiting for approval"
        answer(kernel, waiting(kernel))
        assert outcome(kernel, run) == ([{"sent": "hello", "to": "ann"}] if asks == "a letter" else [])
        assert sent(kernel.home) == (["ann hello"] if asks == "a letter" else [])
        assert none_waits(kernel)


def _state(kernel: Kernel, run: str) -> object:
    (state,) = [row["state"] for row in fates.runs(kernel) if row["run"] == run]
    return state


@pytest.mark.parametrize("fate", spread([crash, restart, kill_run, kill_template, freeze], 2))
def test_asked_before_and_answered_after_it_is_done_once_or_not_at_all(
    kernel: Kernel, fate: Callable[[Kernel], None]
) -> None:
    run = begin(kernel, "ann hello", "bob hello")
    (before,) = waiting(kernel)
    fate(kernel)
    (after,) = waiting(kernel)
    assert (after.call, after.run, after.resource, after.until) == (
        before.call,
        before.run,
        before.resource,
        before.until,
    )
    assert after.since[:22] == before.since[:22]
    assert sent(kernel.home) == []
    answer(kernel, [after])
    (second,) = until(lambda: [one for one in waiting(kernel) if one.resource == "bob"], "the second letter")
    fate(kernel)
    answer(kernel, waiting(kernel), "denied", why="no")
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}, "refused: denied: the operator said no: no"]
    assert sent(kernel.home) == ["ann hello"]
    assert _held(kernel, run) == [before.call, second.call]


def _held(kernel: Kernel, run: str) -> list[int]:
    """The calls of a run that waited."""
    return [one.call for one in entries(kernel.home, "call") if (one.principal, one.verdict) == (run, "held")]


@pytest.mark.wide
@pytest.mark.parametrize("fate", [crash, restart])
def test_asked_again_and_again_and_denied_after(kernel: Kernel, fate: Callable[[Kernel], None]) -> None:
    run = begin(kernel, "ann hello")
    held = waiting(kernel)
    for _ in range(2):
        fate(kernel)
        assert [one.call for one in waiting(kernel)] == [one.call for one in held]
    answer(kernel, held, "denied", why="no")
    assert outcome(kernel, run) == ["refused: denied: the operator said no: no"]
    assert sent(kernel.home) == []


@pytest.mark.wide
def test_a_read_that_is_asked_about_waits_through_a_restart_too(kernel: Kernel) -> None:
    install(kernel, writer("careful", '"post.*" = { allow = ["*"], approval = true }\n', autonomy="full"))
    run = begin(kernel, "ann hello", hand="careful", method="post.read")
    before = waiting(kernel)
    for fate in (restart, crash, freeze):
        fate(kernel)
        assert [one.call for one in waiting(kernel)] == [one.call for one in before]
    answer(kernel, before)
    assert outcome(kernel, run) == [{}]


@pytest.mark.wide
def test_it_expires_at_its_time_whatever_the_kernel_did_meanwhile(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open(home / "home.toml", "a") as file:
        file.write('approvals_expire = "4s"\n')
    with Kernel(home) as kernel:
        install(kernel, POST)
        install(kernel, writer())
        run = begin(kernel, "ann hello")
        (held,) = waiting(kernel)
        kernel.kill()
        time.sleep(4.0)
        kernel.up()
        end = entry(home, "end", call=held.call)
        assert (end.verdict, end.detail.get("code"), end.run) == ("refused", None, run)
        assert end.why.startswith("nobody answered whether post.send may be called")
        assert sent(home) == []


@pytest.mark.wide
def test_a_clock_that_leapt_ahead_while_no_kernel_ran_ends_nothing_that_waits_at_once(tmp_path: Path) -> None:
    """To a kernel that starts with the clock of next year all that waits has waited for a year."""
    home = make_home(tmp_path / "home")
    with open(home / "home.toml", "a") as file:
        file.write('approvals_expire = "2s"\n')
    with Kernel(home) as kernel:
        install(kernel, POST)
        install(kernel, writer())
        run = begin(kernel, "ann hello")
        held = waiting(kernel)
        kernel.kill()
        time.sleep(2.0)
        for path in (home, *(home / "log").rglob("*"), *(home / "journal").glob("looked")):
            os.utime(path, (time.time() - 365 * 86_400,) * 2)
        kernel.up()
        assert [one.call for one in waiting(kernel)] == [one.call for one in held]
        answer(kernel, held)
        assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 40))])
def test_killed_around_the_answer_it_is_done_once_or_its_outcome_is_unknown(kernel: Kernel, seed: int) -> None:
    chance = random.Random(f"approval {seed}")
    run = begin(kernel, *(f"to{number} x" for number in range(3)), at_once=True)
    for left in (3, 2, 1):
        answer(kernel, waiting(kernel, left)[:1])
        time.sleep(chance.uniform(0.0, 0.03))
        crash(kernel)
    outcome(kernel, run)
    ends = [one for one in entries(kernel.home, "end") if (one.method, one.run) == ("post.send", run)]
    done = sent(kernel.home)
    assert len(done) == len(set(done))
    assert len(ends) == 3
    for one in ends:
        assert one.verdict == "failed" or f"{one.resource} x" in done
        assert one.verdict == "done" or one.why.startswith("outcome unknown: "), one
    assert none_waits(kernel)


@pytest.mark.wide
def test_what_is_idempotent_and_was_approved_is_made_again_and_not_asked_about_again(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello", method="post.pin")
    held = waiting(kernel)
    answer(kernel, held)
    crash(kernel)
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]
    assert set(sent(kernel.home)) == {"ann hello"}
    assert [one.call for one in entries(kernel.home, "approval")].count(held[0].call) == 1


@pytest.mark.wide
def test_in_whose_name_it_is_asked_is_known_after_a_restart(kernel: Kernel) -> None:
    asks = '"kernel.spawn" = { allow = ["*"], approval = false }\n"post.*" = ["*"]\n'
    install(kernel, writer("chief", asks))
    run = begin(kernel, "ann hello", hand="chief", spawn="writer")
    (before,) = waiting(kernel)
    crash(kernel)
    (after,) = waiting(kernel)
    assert (after.asks, after.chain) == (before.asks, before.chain)
    assert [one.name for one in after.asks] == ["writer", "chief"]
    answer(kernel, [after])
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


@pytest.mark.wide
def test_what_an_approved_call_leads_to_is_not_asked_about_after_a_restart_either(kernel: Kernel) -> None:
    install(kernel, writer("chief", '"kernel.spawn" = ["*"]\n"post.*" = ["*"]\n'))
    run = begin(kernel, "ann hello", hand="chief", spawn="writer")
    answer(kernel, waiting(kernel))
    (before,) = waiting(kernel)
    assert [one.name for one in before.asks] == ["writer"]
    crash(kernel)
    (after,) = waiting(kernel)
    assert after.asks == before.asks
    answer(kernel, [after])
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]
    assert sent(kernel.home) == ["ann hello"]


@pytest.mark.parametrize("fate", spread([kill_run, crash], 1))
def test_a_run_that_was_to_be_spawned_is_spawned_once_whatever_happened_to_whoever_asked(
    kernel: Kernel, fate: Callable[[Kernel], None]
) -> None:
    install(kernel, writer("clerk", autonomy="full"))
    call(kernel, "kernel.remove", "writer")
    install(kernel, writer(asks='"kernel.spawn" = ["*"]\n"post.*" = ["*"]\n'))
    run = begin(kernel, "ann hello", spawn="clerk")
    (held,) = waiting(kernel)
    assert held.method == "kernel.spawn"
    fate(kernel)
    answer(kernel, waiting(kernel))
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]
    assert sent(kernel.home) == ["ann hello"]
    assert _held(kernel, run) == [held.call]


SEND = "    async def send(self, method, to, text, timeout):"


@pytest.mark.wide
@pytest.mark.parametrize("fate", spread([restart, crash], 1))
def test_nobody_is_asked_again_for_a_run_whose_spawning_was_approved(
    kernel: Kernel, fate: Callable[[Kernel], None]
) -> None:
    clerk = writer("clerk", autonomy="full")
    slow = clerk.main.replace(SEND, f"{SEND}\n        await self.sleep(2)")
    install(kernel, clerk._replace(main=slow))
    call(kernel, "kernel.remove", "writer")
    install(kernel, writer(asks='"kernel.spawn" = ["*"]\n"post.*" = ["*"]\n'))
    run = begin(kernel, "ann hello", spawn="clerk")
    answer(kernel, waiting(kernel))
    entry(kernel.home, "call", method="kernel.sleep")
    fate(kernel)
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


@pytest.mark.parametrize("rest", spread([0.0, 0.002, 0.01, 0.05], 1))
def test_what_was_edited_is_never_made_as_it_was_asked_for(kernel: Kernel, rest: float) -> None:
    begin(kernel, "ann hello", method="post.pin")
    (held,) = waiting(kernel)
    answer(kernel, [held], "edited", instead={"text": "bye"})
    time.sleep(rest)
    crash(kernel)
    end = entry(kernel.home, "end", call=held.call)
    assert end.verdict == "done" or end.why.startswith("outcome unknown"), end
    assert none_waits(kernel)
    assert set(sent(kernel.home)) <= {"ann bye"}
    assert len(sent(kernel.home)) <= 1
