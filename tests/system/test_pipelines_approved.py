"""Steps that begin only after the operator's yes: what he is shown, what follows, and that none begins without it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.cli import answering, logbook
from kernel.cli.exits import NotDone
from kernel.cli.pipeline_progress import ASKS, NEEDLES, RunTree
from manifests.approvals import PER_RUN
from tests.living import Kernel, make_home
from tests.system import chaos, fates
from tests.system.approving import answer, none_waits, waiting
from tests.system.fates import begin, call, entries, entry, until
from tests.system.piped import add, furnish, ledger
from tests.system.recordings import maniple
from wire.approval import RuleSaid

ONE = """
[inputs]
word = "string"
[steps.first]
hand = "worker"
with = { text = "first" }
[steps.out]
hand = "worker"
with = { text = "${inputs.word} of ${steps.first.text}", fail = 1 }
approval = "${inputs.word} goes out"
retry = { times = 1, backoff = "100ms", on = ["flaky"] }
[steps.first.undo]
hand = "worker"
with = { text = "not ${output.text}" }
[finally.end]
hand = "worker"
with = { text = "it is ${outcome}" }
[outputs]
count = "${steps.out.count}"
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        furnish(kernel)
        add(kernel, "one", ONE)
        yield kernel


def began(kernel: Kernel, name: str = "one", **inputs: object) -> str:
    with kernel.client() as client:
        return begin(client, name, **inputs)


def lines(kernel: Kernel) -> list[str]:
    with kernel.client() as client:
        return [line.partition(" ")[2] for line in ledger(client)]


def test_a_step_that_asks_is_shown_in_full_and_begins_once_when_it_is_approved(kernel: Kernel) -> None:
    run = began(kernel, word="news")
    (held,) = waiting(kernel)
    assert (held.run, held.hand, held.method, held.resource) == (run, "one", "kernel.spawn", "worker")
    assert [reason.why for reason in held.asks] == ["one asks you itself: out begins after your yes: news goes out"]
    with kernel.client() as client:
        shown: Any = answering.arguments(answering.fetch_full(client, held.call))
    assert shown["inputs"] == {"text": "news of first", "fail": 1}
    assert lines(kernel) == ["first"]
    course = RunTree()
    for one in logbook.entries(logbook.folder_of(str(kernel.home)), needles=NEEDLES):
        course.apply(one)
    assert [(str(piece.name), piece.state) for piece in course.pieces_of(run)] == [("first", "done"), ("out", ASKS)]
    assert list(course.pending_approvals(run)) == [
        ("out", f"`maniple approve {held.call}` or `maniple deny {held.call}`")
    ]
    answer(kernel, [held])
    assert chaos.value(kernel, run) == {"count": 2}
    assert lines(kernel) == ["first", "news of first", "news of first", "it is done"]
    assert len(entries(kernel.home, "approval")) == 1  # its second try is the same


def test_a_denied_step_has_failed_as_denied_and_what_was_done_is_undone(kernel: Kernel) -> None:
    run = began(kernel, word="news")
    answer(kernel, waiting(kernel), "denied", why="not today")
    told: Any = chaos.outcome_of(kernel, run)
    assert (told["outcome"], told["code"]) == ("failed", "denied")
    assert told["text"] == "out: the operator said no: not today"
    assert (told["value"]["step"], told["value"]["undone"]) == ("out", ["first"])
    assert lines(kernel) == ["first", "not first", "it is failed"]


def test_waiting_for_its_approval_costs_a_pipeline_no_process_and_outlives_everything(kernel: Kernel) -> None:
    run = began(kernel, word="news")
    (before,) = waiting(kernel)
    entry(kernel.home, "run.left", run=run, why="it only waits")
    until(lambda: not [row for row in fates.runs(kernel) if row["pid"] and row["run"] == run], "it has no process")
    kernel.kill()
    kernel.up()
    call(kernel, "kernel.freeze")
    call(kernel, "kernel.thaw")
    kernel.down()
    kernel.up()
    (after,) = waiting(kernel)
    assert (after.call, after.asks, after.until) == (before.call, before.asks, before.until)
    answer(kernel, [after])
    assert chaos.value(kernel, run) == {"count": 2}
    assert lines(kernel) == ["first", "news of first", "news of first", "it is done"]


@pytest.mark.wide
def test_no_rule_answers_what_a_step_asks(kernel: Kernel) -> None:
    run = began(kernel, word="news")
    held = waiting(kernel)
    rule = RuleSaid(pattern="worker", until=after_days(1))
    with pytest.raises(NotDone, match="each time: no rule answers that"):
        answer(kernel, held, rule=rule)
    answer(kernel, held)
    chaos.value(kernel, run)


def after_days(days: int) -> int:
    import time

    return time.time_ns() // 1000 + days * 86_400_000_000


MANY = """
[steps.each]
hand = "worker"
for_each = "${range(8)}"
parallel = 8
with = { text = "${text(item)}" }
approval = true
[outputs]
texts = "${steps.each}"
"""


@pytest.mark.wide
def test_each_item_asks_and_no_more_at_once_than_may_wait(kernel: Kernel) -> None:
    add(kernel, "many", MANY)
    run = began(kernel, "many")
    answered = set[str]()
    while len(answered) < 8:
        held = waiting(kernel, min(PER_RUN, 8 - len(answered)))
        answer(kernel, held[-1:])
        answered.add(held[-1].asks[0].why)
    value: Any = chaos.value(kernel, run)
    assert [one["text"] for one in value["texts"]] == [str(item) for item in range(8)]
    assert sorted(lines(kernel)) == [str(item) for item in range(8)]
    assert not [one for one in entries(kernel.home, "refusal") if one.detail.get("code") == "approvals"]


TWO = """
[steps.each]
hand = "worker"
for_each = ["a", "b"]
parallel = 2
with = { text = "${item}" }
approval = true
[steps.other]
hand = "worker"
with = { text = "other", seconds = 1, fail = 9 }
"""


@pytest.mark.wide
def test_what_nobody_has_answered_when_the_pipeline_fails_is_taken_back(kernel: Kernel) -> None:
    add(kernel, "two", TWO)
    run = began(kernel, "two")
    waiting(kernel, 2)
    told = chaos.outcome_of(kernel, run)
    assert (told["outcome"], told["code"]) == ("failed", "flaky")
    assert none_waits(kernel)
    assert lines(kernel) == ["other"]


@pytest.mark.soak
def test_a_step_that_finds_no_room_among_the_approvals_asks_later(kernel: Kernel) -> None:
    add(kernel, "many", MANY)
    runs = [began(kernel, "many") for _ in range(6)]
    with kernel.client() as client:
        for _ in range(6 * 8):
            held = until(lambda: answering.fetch_held(client), "something waits", 90)
            answer(kernel, held[:1])
    assert [len(lines_of) for lines_of in (chaos.value(kernel, run)["texts"] for run in runs)] == [8] * 6  # type: ignore[index]
    assert sorted(lines(kernel)) == sorted(str(item) for item in range(8) for _ in runs)
    assert [one for one in entries(kernel.home, "refusal") if one.detail.get("code") == "approvals"]


@pytest.mark.wide
def test_a_pipeline_that_waits_without_a_process_is_cancelled_as_any_other(kernel: Kernel) -> None:
    run = began(kernel, word="news")
    waiting(kernel)
    entry(kernel.home, "run.left", run=run, why="it only waits")
    until(lambda: not [row for row in fates.runs(kernel) if row["pid"] and row["run"] == run], "it has no process")
    assert maniple(kernel.home, "cancel", run).out == f"{run} is cancelled.\n"
    assert chaos.outcome_of(kernel, run)["outcome"] == "cancelled"
    assert none_waits(kernel)
    assert f"no run {run} is live" in maniple(kernel.home, "cancel", run).words
