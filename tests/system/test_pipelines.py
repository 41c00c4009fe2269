"""Pipelines with a real kernel and real runs: every feature of a step, what stops them, and what they may not do."""

import functools
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kernel.cli import logbook
from kernel.cli.client import Client
from manifests.errors import ManifestInvalid
from tests.cli.shell import is_gone
from tests.living import Kernel, make_home
from tests.spread import spread
from tests.system import fates
from tests.system.fates import begin, entries, outcome, ran, until
from tests.system.piped import add, furnish, ledger, live


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("pipelines") / "home")) as kernel:
        yield kernel
        kernel.down()


@pytest.fixture
def kernel(living: Kernel) -> Iterator[Kernel]:
    """A kernel with the Hands of the steps, and an empty ledger."""
    furnish(living)
    yield living
    fates.bare(living)


def test_the_output_of_a_step_is_the_input_of_the_next(kernel: Kernel, client: Client) -> None:
    add(kernel, "two", """
[inputs]
word = "string"
[steps.first]
hand = "worker"
with = { text = "${inputs.word}" }
[steps.second]
hand = "worker"
with = { text = "${steps.first.text}, again" }
[outputs]
text = "${steps.second.text}"
""")  # fmt: skip
    assert ran(client, "two", word="hello")["value"] == {"text": "hello, again"}
    assert ledger(client) == ["book/a hello", "book/a hello, again"]


@pytest.mark.wide
def test_inputs_of_another_type_are_refused_before_anything_runs(kernel: Kernel, client: Client) -> None:
    add(kernel, "typed", '[inputs]\nnumber = "int"\n[steps.a]\nhand = "worker"\n')
    assert ran(client, "typed", number="three")["code"] == "arguments"
    assert ledger(client) == []


def test_a_step_goes_over_items_side_by_side(kernel: Kernel, client: Client) -> None:
    add(kernel, "fan", """
[steps.each]
hand = "worker"
for_each = ["a", "b", "c", "d"]
parallel = 4
with = { text = "${item}", seconds = 1.5 }
[outputs]
texts = "${steps.each}"
""")  # fmt: skip
    before = len(entries(kernel.home))
    value = ran(client, "fan")["value"]
    assert [one["text"] for one in value["texts"]] == ["a", "b", "c", "d"]
    since = [one for one in entries(kernel.home, "run.start") if one.seq >= before]
    starts = {one.run: one.seq for one in since if one.detail["name"] == "worker"}
    ends = until(
        lambda: [one.seq for one in entries(kernel.home, "run.end") if one.run in starts], "their ends are on disk"
    )
    assert sum(seq < ends[0] for seq in starts.values()) > 1, "one after the other"
    assert sorted(ledger(client)) == ["book/a a", "book/a b", "book/a c", "book/a d"]


def test_a_step_that_fails_is_tried_again(kernel: Kernel, client: Client) -> None:
    add(kernel, "again", """
[steps.flaky]
hand = "worker"
with = { text = "x", fail = 2 }
retry = { times = 2, backoff = "50ms" }
[outputs]
count = "${steps.flaky.count}"
""")  # fmt: skip
    assert ran(client, "again")["value"] == {"count": 3}


@pytest.mark.wide
def test_a_wait_for_the_next_try_keeps_nobody_when_another_step_has_failed(kernel: Kernel, client: Client) -> None:
    add(kernel, "patient", """
[steps.flaky]
hand = "worker"
with = { text = "x", fail = 9 }
retry = { times = 5, backoff = "1h" }
[steps.other]
hand = "worker"
with = { text = "y", fail = 9, seconds = 0.5 }
""")  # fmt: skip
    assert ran(client, "patient")["text"].startswith("other: ")


def test_a_step_whose_process_dies_is_tried_again_if_that_is_named(kernel: Kernel, client: Client) -> None:
    add(kernel, "dies", """
[steps.a]
hand = "worker"
with = { text = "x", die = true }
retry = { times = 1, backoff = "10ms", on = ["ended"] }
""")  # fmt: skip
    told = ran(client, "dies")
    assert (told["outcome"], told["code"]) == ("failed", "ended")
    assert ledger(client) == ["book/a x", "book/a x"]


def test_a_step_that_takes_too_long_ends_and_has_failed(kernel: Kernel, client: Client) -> None:
    add(kernel, "slow", """
[steps.slow]
hand = "worker"
with = { text = "x", seconds = 30 }
timeout = "300ms"
""")  # fmt: skip
    began = time.monotonic()
    told = ran(client, "slow")
    assert (told["outcome"], told["code"]) == ("failed", "deadline")
    assert time.monotonic() - began < 10
    until(lambda: live(client) == [], "all runs are gone")


FAILS = """
[steps.bad]
hand = "worker"
with = { text = "bad", fail = 9 }
on_failure = "HOW"
[steps.after]
hand = "worker"
needs = ["bad"]
with = { text = "${'nothing' if steps.bad == null else steps.bad.text}" }
[steps.spare]
hand = "worker"
with = { text = "in its place, ${failure.code}" }
[steps.user]
hand = "worker"
when = "${false}"
on_failure = "spare"
"""


@pytest.mark.parametrize(
    ("how", "outcome_", "lines"),
    spread(
        [
            ("stop", "failed", ["bad"]),
            ("skip", "done", ["bad", "nothing"]),
            ("spare", "done", ["bad", "in its place, flaky", "in its place, flaky"]),
        ],
        1,
    ),
)
def test_a_failure_stops_or_is_passed_over_or_another_step_stands_in(
    kernel: Kernel, client: Client, how: str, outcome_: str, lines: list[str]
) -> None:
    add(kernel, "fails", FAILS.replace("HOW", how))
    assert ran(client, "fails")["outcome"] == outcome_
    assert ledger(client) == [f"book/a {line}" for line in lines]


def test_a_failure_undoes_what_was_done_and_then_the_end_comes(kernel: Kernel, client: Client) -> None:
    add(kernel, "undone", """
[steps.one]
hand = "worker"
with = { text = "one" }
undo = { hand = "worker", with = { text = "not ${output.text}" } }
[steps.two]
hand = "worker"
needs = ["one"]
for_each = ["x", "y"]
with = { text = "two ${item}" }
undo = { hand = "worker", with = { text = "not two ${item}" } }
[steps.three]
hand = "worker"
needs = ["two"]
with = { text = "three", fail = 1 }
[finally.end]
hand = "worker"
with = { text = "${outcome}: ${failure.step}" }
""")  # fmt: skip
    told = ran(client, "undone")
    assert (told["code"], told["text"]) == ("flaky", "three: it fails the first 1 times")
    assert told["value"] == {"step": "three", "undone": ["two[1]", "two[0]", "one"], "left": []}
    lines = [line.removeprefix("book/a ") for line in ledger(client)]
    assert lines == ["one", "two x", "two y", "three", "not two y", "not two x", "not one", "failed: three"]


def test_a_pipeline_runs_another_and_gets_its_outputs(kernel: Kernel, client: Client) -> None:
    add(kernel, "inner", """
[inputs]
word = "string"
[steps.a]
hand = "worker"
with = { text = "${inputs.word}" }
[outputs]
text = "${upper(steps.a.text)}"
""")  # fmt: skip
    add(kernel, "outer", """
[steps.below]
pipeline = "inner"
for_each = ["a", "b"]
with = { word = "${item}" }
[outputs]
all = "${at(steps.below, 1)}"
""")  # fmt: skip
    assert ran(client, "outer")["value"] == {"all": {"text": "B"}}


@pytest.mark.wide
def test_a_pipeline_that_would_run_itself_through_another_is_refused(kernel: Kernel) -> None:
    add(kernel, "inner", '[steps.a]\nhand = "worker"\n')
    add(kernel, "outer", '[steps.a]\npipeline = "inner"\n')
    with pytest.raises(ManifestInvalid, match="outer runs inner"):
        add(kernel, "inner", '[steps.a]\npipeline = "outer"\n')


# stopping ------------------------------------------------------------------------------------------------------------

LONG = """
[steps.each]
hand = "worker"
for_each = [1, 2, 3]
parallel = 3
with = { text = "begun", seconds = 60 }
undo = { hand = "worker", with = { text = "undone" } }
[steps.after]
hand = "worker"
needs = ["each"]
with = { text = "after" }
[finally.end]
hand = "worker"
with = { text = "end" }
"""


def test_cancel_stops_everything_under_it(kernel: Kernel, client: Client) -> None:
    add(kernel, "inner", LONG)
    add(kernel, "long", '[steps.below]\npipeline = "inner"\n')
    run = begin(client, "long")
    until(lambda: len(ledger(client)) == 3, "all three have begun")
    client.call("kernel.stop", run)
    assert outcome(client, run)["outcome"] == "cancelled"
    until(lambda: live(client) == [], "all runs are gone")
    assert ledger(client) == ["book/a begun"] * 3


@pytest.mark.wide
def test_a_run_that_is_cancelled_under_it_is_a_failure_of_its_step(kernel: Kernel, client: Client) -> None:
    add(kernel, "long", LONG.replace("for_each = [1, 2, 3]\nparallel = 3", "for_each = [1]"))
    run = begin(client, "long")
    until(lambda: len(ledger(client)) == 1, "it has begun")
    told: Any = client.call("kernel.ps").value
    client.call("kernel.stop", next(row["run"] for row in told["runs"] if row["hand"] == "worker"))
    assert outcome(client, run)["code"] == "cancelled"
    assert ledger(client) == ["book/a begun", "book/a end"]


@pytest.mark.wide
def test_the_log_of_a_pipeline_run_verifies_and_tells_which_run_is_which_step(kernel: Kernel, client: Client) -> None:
    add(kernel, "two", '[steps.a]\nhand = "worker"\n[steps.b]\nhand = "worker"\nneeds = ["a"]\n')
    run = begin(client, "two")
    assert outcome(client, run)["outcome"] == "done"
    entries = list(logbook.entries(logbook.folder_of(str(kernel.home))))
    notes = [entry.why for entry in entries if entry.kind == "note" and entry.run == run]
    assert [note.partition(":")[0] for note in notes] == ["a", "b"]
    spawned = [entry for entry in entries if entry.kind == "call" and entry.method == "run" and entry.principal == run]
    assert len(spawned) == 2
    methods = {entry.method for entry in entries if entry.kind == "call" and entry.principal == run}
    assert methods == {"kernel.spawn", "kernel.wait", "kernel.note", "run"}


@pytest.mark.wide
def test_a_paused_pipeline_begins_nothing_until_it_is_resumed(kernel: Kernel, client: Client) -> None:
    add(kernel, "calm", """
[steps.a]
hand = "worker"
with = { text = "a", seconds = 0.5 }
[steps.b]
hand = "worker"
needs = ["a"]
with = { text = "b" }
""")  # fmt: skip
    run = begin(client, "calm")
    until(lambda: ledger(client) == ["book/a a"], "the first step has begun")
    client.call("kernel.pause", "calm")
    until(lambda: live(client) == ["calm"], "the first step is over")
    client.call("kernel.resume", "calm")
    assert outcome(client, run)["outcome"] == "done"
    assert ledger(client) == ["book/a a", "book/a b"]


@pytest.mark.wide
def test_a_step_whose_hand_is_paused_waits_until_that_is_resumed_and_so_do_undo_and_end(
    kernel: Kernel, client: Client
) -> None:
    add(kernel, "calm", """
[steps.a]
hand = "worker"
with = { text = "a" }
undo = { hand = "worker", with = { text = "undone" } }
[steps.b]
hand = "worker"
needs = ["a"]
with = { text = "b", seconds = 0.5, fail = 9 }
[finally.end]
hand = "worker"
with = { text = "end" }
""")  # fmt: skip
    client.call("kernel.pause", "worker")
    run = begin(client, "calm")
    noted(kernel, run, "a: waits, worker is paused: `maniple resume worker`")
    client.call("kernel.resume", "worker")
    until(lambda: "book/a b" in ledger(client), "the second step has begun")
    client.call("kernel.pause", "worker")
    client.call("kernel.stop", next(str(row["run"]) for row in fates.runs(kernel) if row["hand"] == "worker"))
    noted(kernel, run, "undo of a: waits, worker is paused: `maniple resume worker`")
    client.call("kernel.resume", "worker")
    assert outcome(client, run)["code"] == "cancelled"
    assert ledger(client) == ["book/a a", "book/a b", "book/a undone", "book/a end"]


@pytest.mark.wide
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_step_that_finds_no_room_for_its_run_waits_until_there_is_some(kernel: Kernel, client: Client) -> None:
    add(
        kernel,
        "one",
        '[steps.a]\nhand = "worker"\nwith = { text = "a", seconds = 1.0 }\n[steps.b]\nhand = "worker"\nneeds = ["a"]\n',
    )
    run = begin(client, "one")
    scratch = kernel.home / "scratch"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "none", scratch], check=False).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        until(lambda: [one for one in fates.entries(kernel.home, "end") if "no space" in one.why.lower()], "no room")
        assert any(row["run"] == run for row in fates.runs(kernel))
    finally:
        subprocess.run(["umount", "-l", scratch], check=True)
    assert outcome(client, run)["outcome"] == "done"


def noted(kernel: Kernel, run: str, text: str) -> None:
    """Wait until a run has noted this."""
    entries = functools.partial(logbook.entries, logbook.folder_of(str(kernel.home)))
    until(lambda: any(one.kind == "note" and one.run == run and text in one.why for one in entries()), text)


def test_when_the_kernel_is_killed_everything_stops_and_goes_on_with_the_next_one(kernel: Kernel) -> None:
    add(kernel, "long", LONG.replace("60", "5"))
    with kernel.client() as client:
        run = begin(client, "long")
        until(lambda: len(ledger(client)) == 3, "all three have begun")
        told: Any = client.call("kernel.ps").value
        pids = [row["pid"] for row in told["runs"]]
    kernel.kill()
    until(lambda: all(map(is_gone, pids)), "every process is gone")
    kernel.up()
    with kernel.client() as client:
        assert outcome(client, run)["outcome"] == "done"
        assert ledger(client) == ["book/a begun"] * 3 + ["book/a after", "book/a end"]


@pytest.mark.wide
def test_a_pipeline_that_names_itself_is_refused_by_the_check_and_by_the_kernel(kernel: Kernel, client: Client) -> None:
    text = '[steps.a]\npipeline = "itself"\n'
    with pytest.raises(ManifestInvalid, match="this pipeline itself"):
        add(kernel, "itself", text)
    add(kernel, "itself", text, checked=False)
    ended_ = ran(client, "itself")
    assert (ended_["outcome"], ended_["code"]) == ("failed", "chain")
    until(lambda: live(client) == [], "all runs are gone")
