"""The time of a run that thinks: it ends before its kernel ends it, with the work so far; waiting for a yes costs no time."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, install, make_home
from tests.system import fates, thinking
from tests.system.approving import answer, waiting
from tests.system.fates import entries, entry
from tests.system.recordings import replay
from tests.system.thinking import ask, notes, script, turns

SHORT = '[limits]\nwall = "4s"\n'
SLOW = {"text": "I look.", "calls": [ask("desk_note", name="a", text="b"), ask("desk_look", name="left", seconds=50)]}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("time") / "home")) as kernel:
        install(kernel, ROOT / "hands" / "model")
        install(kernel, thinking.DESK)
        with kernel.client() as client:  # both are up before any time counts
            script(client, turns({"text": "up"}))
            client.call("model.complete", "scripted/script", {"messages": [{"role": "user", "parts": []}]})
            assert notes(client) == []
        yield kernel
        kernel.down()


@pytest.mark.wide
def test_a_run_whose_time_is_nearly_over_ends_with_the_work_so_far(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    thinking.add(kernel, tmp_path, "tidy", tail=SHORT)
    script(client, turns(SLOW))
    run = fates.begin(client, "tidy", task="look")
    told = fates.outcome(client, run)
    assert (told["code"], told["value"]["answer"]) == ("time", "I look."), told
    assert "its time" in told["text"]
    assert [line.partition("(")[0] for line in told["value"]["made"]] == ["desk_note", "desk_look"]
    looked = entry(kernel.home, "call", method="desk.look", principal=run)
    assert entry(kernel.home, "end", call=looked.call).verdict == "cancelled"


@pytest.mark.wide
def test_time_in_which_it_waits_for_a_yes_does_not_count(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    thinking.add(kernel, tmp_path, "asks", more='"desk.note" = { allow = ["*"], approval = true }', tail=SHORT)
    script(client, turns({"calls": [ask("desk_note", name="book", text="x")]}, {"text": "written"}))
    run = fates.begin(client, "asks", task="write")
    asks = waiting(kernel)
    with pytest.raises(Exception, match="time|deadline"):
        client.call("kernel.wait", "", {"run": run}, seconds=6)
    answer(kernel, asks)
    assert fates.outcome(client, run)["value"]["answer"] == "written"


@pytest.mark.wide
def test_it_is_so_too_where_the_kernel_is_killed_meanwhile(kernel: Kernel, tmp_path: Path) -> None:
    thinking.add(kernel, tmp_path, "outlives", tail='[limits]\nwall = "8s"\n')
    with kernel.client() as client:
        script(client, turns(SLOW))
        run = fates.begin(client, "outlives", task="look")
        looked = entry(kernel.home, "call", method="desk.look", principal=run)
        entry(kernel.home, "call", method="kernel.sleep", principal=run)
    kernel.kill()
    kernel.up()
    with kernel.client() as client:
        told = fates.outcome(client, run)
    assert (told["code"], told["value"]["answer"]) == ("time", "I look."), told
    entry(kernel.home, "end", call=looked.call)


def test_who_may_have_one_call_open_at_a_time_thinks_and_acts_while_its_time_is_watched(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    thinking.add(kernel, tmp_path, "alone", tail='[limits]\nwall = "2m"\nin_flight = 1\n')
    script(client, turns({"calls": [ask("desk_look", name="left")]}, {"text": "empty"}))
    run = fates.begin(client, "alone", task="look")
    told = client.call("kernel.wait", "", {"run": run}, seconds=20).value
    assert told["value"]["answer"] == "empty", told  # type: ignore[index, call-overload]


def test_a_run_of_another_hand_ends_in_time_for_what_it_has_to_be_used(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    thinking.add(kernel, tmp_path, "child")
    thinking.add(kernel, tmp_path, "boss", more='"kernel.spawn" = ["child"]', tail='[limits]\nwall = "10s"\n')
    look = {"text": "Half of it.", "calls": [ask("desk_look", name="a", seconds=50)]}
    script(client, [
        json.dumps({"when": "all of it", "at": 0, "calls": [ask("delegate", hand="child", task="one part")]}),
        json.dumps({"when": "one part", "at": 0, **look}),
        json.dumps({"at": 1, "text": "One half is done."}),
    ])  # fmt: skip
    run = fates.begin(client, "boss", task="all of it")
    told = fates.outcome(client, run)
    assert told["outcome"] == "done", told
    assert told["value"]["answer"] == "One half is done."
    child = entry(kernel.home, "run.start", name="child").run
    (ended,) = [one.why for one in fates.entries(kernel.home, "note") if one.run == child and "ended" in one.why]
    assert ended.startswith("ended: time"), "with what it had"


@pytest.mark.wide
def test_a_provider_that_is_gone_for_a_while_does_not_end_it(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    thinking.add(kernel, tmp_path, "patient")
    lines = turns({"text": "I look.", "calls": [ask("desk_look", name="left")]}, {"text": "Done."})
    gone = {"at": 1, "error": {"code": "limited", "text": "too many", "after": 0.01}, "times": 5}
    script(client, [json.dumps(gone), *lines])
    run = fates.begin(client, "patient", task="tidy up")
    told = fates.outcome(client, run)
    assert (told["outcome"], told["value"]["answer"]) == ("done", "Done.")
    (waits,) = [one.why for one in entries(kernel.home, "note") if one.run == run and one.why.startswith("waits")]
    assert "limited: too many; asking again in at most 5 s, giving up after 600 s more" in waits
    assert replay(kernel, run).code == 0


@pytest.mark.wide
def test_who_waits_for_its_model_ends_with_its_time_and_says_both(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    thinking.add(kernel, tmp_path, "hurried", tail=SHORT)
    gone = {"at": 1, "error": {"code": "limited", "text": "too many", "after": 0.01}, "times": 0}
    script(client, [json.dumps(gone), *turns({"text": "I look.", "calls": [ask("desk_look", name="left")]})])
    told = fates.outcome(client, fates.begin(client, "hurried", task="tidy up"))
    assert (told["code"], told["value"]["answer"]) == ("time", "I look."), told
    assert "it was waiting for its model (limited: too many)" in told["text"]
