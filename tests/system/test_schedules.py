"""A Hand's schedule starts it: in its own name, with its own inputs and grants, and nobody else can start it so."""

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import ECHO, Kernel, Source, install, make_home
from tests.system.actors import Told, actor, ask, cast, done, rows
from tests.system.beats import SCHEDULING, beat, begun, ended, following, history, told
from tests.system.fates import bare, entries, until
from tests.system.piped import add


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("schedules") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(living: Kernel) -> Iterator[Kernel]:
    """A kernel with `scheduling`, which knows of nothing; in the log each test has a Hand of a name of its own."""
    install(living, SCHEDULING)
    yield living
    bare(living)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def fire(client: Client, who: str, hand: str, arguments: dict[str, object]) -> Told:
    """Have an actor fire a Hand."""
    return ask(client, f"{who}.do", [{"call": "kernel.fire", "on": hand, "with": arguments}])[0]


def test_every_second_a_run_begins_with_the_inputs_of_its_schedule(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("tick", 'every = "1s"\ninputs = { when = "$time", say = "hi" }'))
    found = until(lambda: ended(client, "tick")[2:], "three runs")
    assert {row["outcome"] for row in found} == {"done"}
    values = [told(client, "kernel.wait", "", {"run": row["run"]}) for row in ended(client, "tick")]
    assert [one["value"]["when"] for one in values] == [row["planned"] for row in ended(client, "tick")]
    times = [seconds(row["planned"]) for row in ended(client, "tick")]
    assert all(round(later - sooner) == 1 for sooner, later in pairwise(times))
    assert all(0 <= seconds(row["at"]) - seconds(row["planned"]) < 10 for row in history(client, "tick"))


@pytest.mark.wide
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_what_finds_no_room_for_its_run_is_begun_when_there_is_some(kernel: Kernel, client: Client) -> None:
    scratch = kernel.home / "scratch"
    until(lambda: told(client, "kernel.show", "scheduling")["state"] == "ready", "it keeps time")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "none", scratch], check=False).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        install(kernel, beat("roomy", 'every = "1s"\ninputs = { when = "$time" }'))
        until(lambda: [one for one in entries(kernel.home, "end") if "no space" in one.why.lower()], "there is no room")
    finally:
        subprocess.run(["umount", "-l", scratch], check=True)
    first = until(lambda: ended(client, "roomy"), "it has run")[0]
    assert not [row for row in history(client, "roomy") if row["what"] == "refused"]
    assert first["planned"] == min(row["planned"] for row in history(client, "roomy"))


def test_a_scheduled_run_has_its_own_hands_grants_and_no_others(kernel: Kernel, client: Client) -> None:
    install(kernel, ECHO)
    inputs = 'every = "1s"\ninputs = { ask = "echo.say", say = "x" }'
    install(kernel, beat("may", inputs, '"echo.say" = ["*"]'))
    install(kernel, beat("asks", inputs, '"echo.say" = ["*"]'), grants=[])
    assert until(lambda: ended(client, "may"), "a run that may")[0]["outcome"] == "done"
    assert until(lambda: ended(client, "asks"), "a run that may not")[0]["outcome"] == "failed"
    scheduling = told(client, "kernel.show", "scheduling")
    assert "echo" not in str(scheduling["grants"])
    assert "asks holds no grant for echo.say" in str(entries(kernel.home, "refusal"))


def test_who_may_fire_starts_only_what_is_scheduled_as_it_is_scheduled(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("fired", 'at = "2999-01-01T00:00"\ninputs = { say = "mine" }'))
    install(kernel, beat("event", 'on = "web.seen"\nwhere = { rows = 5 }'))
    cast(kernel, [actor("idle", "", kind="task"), actor("firing", rows("kernel.fire")), actor("other", "")])
    due: dict[str, object] = {"key": "k", "due": "2026-11-26T00:00:00.000000Z"}
    assert fire(client, "other", "fired", due)["code"] == "capability"
    assert fire(client, "firing", "idle", due)["code"] == "schedule"
    assert fire(client, "firing", "firing", due)["code"] == "schedule"
    events: list[dict[str, object]] = [{"event": "web.gone"}, {"event": "web.seen", "body": {"rows": 6}}]
    for more in events:
        answer = fire(client, "firing", "event", due | more)
        assert answer["code"] == "schedule"
    inputs: dict[str, object] = {"inputs": {"say": "yours"}}
    assert fire(client, "firing", "fired", due | inputs)["code"] == "arguments"
    run = done(fire(client, "firing", "fired", due))["value"]["run"]
    outcome = told(client, "kernel.wait", "", {"run": run})
    assert outcome["value"]["say"] == "mine"


def test_the_same_key_never_begins_two_runs_also_after_a_crash(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("later", 'at = "2999-01-01T00:00"'))
    due = {"key": "at 1", "due": "2026-11-26T00:00:00.000000Z"}
    first = told(client, "kernel.fire", "later", due)
    client.call("kernel.wait", "", {"run": first["run"]})
    again = told(client, "kernel.fire", "later", due)
    assert again == first | {"again": True, "working": False}
    until(lambda: begun(kernel.home, "later"), "the start in the log")
    kernel.kill()
    kernel.up()
    with kernel.client() as after:
        assert told(after, "kernel.fire", "later", due) == again
        assert told(after, "kernel.fire", "later", due | {"key": "at 2"}) != again
    assert [key for key, _ in begun(kernel.home, "later")] == ["at 1", "at 2"]


def test_overlap_is_kept_whoever_asks(kernel: Kernel, client: Client) -> None:
    for overlap in ("skip", "queue", "replace"):
        install(kernel, beat(overlap, f'at = "2999-01-01T00:00"\noverlap = "{overlap}"\ninputs = {{ lasts = 60 }}'))
    due = "2026-11-26T00:00:00.000000Z"
    until(lambda: following(client, "replace"), "it is known")
    runs = {}
    for overlap in ("skip", "queue", "replace"):
        runs[overlap] = told(client, "kernel.fire", overlap, {"key": "1", "due": due})["run"]
    for overlap in ("skip", "queue"):
        with pytest.raises(NotDone) as refused:
            client.call("kernel.fire", overlap, {"key": "2", "due": due})
        assert refused.value.reason == "overlap"
    client.call("kernel.fire", "replace", {"key": "2", "due": due})
    outcome = told(client, "kernel.wait", "", {"run": runs["replace"]})
    assert outcome["outcome"] == "cancelled"
    assert until(lambda: ended(client, "replace"), "its history")[0]["outcome"] == "cancelled"


@pytest.mark.wide
@pytest.mark.parametrize("why", ["paused", "seal"])
def test_a_run_whose_next_one_is_refused_works_on(kernel: Kernel, client: Client, why: str) -> None:
    """Refused by the kernel, and by the run's own process, which finds a file that is not what was sealed."""
    source = beat(f"stays-{why}", 'at = "2999-01-01T00:00"\noverlap = "replace"\ninputs = { lasts = 600 }')
    install(kernel, source)
    due: dict[str, object] = {"due": "2026-11-26T00:00:00.000000Z"}
    run = told(client, "kernel.fire", f"stays-{why}", due | {"key": "1"})["run"]
    (main,) = kernel.home.glob(f"hands/stays-{why}-*/main.py")
    sealed = main.read_bytes()
    if why == "paused":
        client.call("kernel.pause", f"stays-{why}")
    else:
        main.write_bytes(sealed + b"# altered")
    with pytest.raises(NotDone) as refused:
        client.call("kernel.fire", f"stays-{why}", due | {"key": "2"})
    assert refused.value.reason == why
    main.write_bytes(sealed)
    client.call("kernel.resume", f"stays-{why}")
    assert {one["run"] for one in told(client, "kernel.ps")["runs"]} >= {run}
    assert not [one for one in entries(kernel.home, "end") if "replaced by" in one.why and one.principal == run]
    begun = told(client, "kernel.fire", f"stays-{why}", due | {"key": "3"})["run"]
    outcome = told(client, "kernel.wait", "", {"run": run})
    assert (outcome["outcome"], outcome["text"]) == ("cancelled", "replaced by its next scheduled run")
    assert {one["run"] for one in told(client, "kernel.ps")["runs"]} >= {begun}


@pytest.mark.wide
def test_a_run_that_sleeps_is_replaced_like_any_other(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel, kernel.client() as client:
        install(kernel, SCHEDULING)
        install(kernel, beat("tick", 'at = "2999-01-01T00:00"\noverlap = "replace"\ninputs = { lasts = 600 }'))
        until(lambda: following(client, "tick"), "it is known")
        due: dict[str, object] = {"due": "2026-11-26T00:00:00.000000Z"}
        run = told(client, "kernel.fire", "tick", due | {"key": "1"})["run"]
        until(lambda: entries(kernel.home, "run.left"), "it sleeps")
        told(client, "kernel.fire", "tick", due | {"key": "2"})
        outcome = told(client, "kernel.wait", "", {"run": run})
        assert (outcome["outcome"], outcome["text"]) == ("cancelled", "replaced by its next scheduled run")
        assert until(lambda: ended(client, "tick"), "its history")[0]["outcome"] == "cancelled"


def test_one_slow_run_delays_nobody(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("slow", 'every = "1s"\ninputs = { lasts = 600 }'))
    install(kernel, beat("quick", 'every = "1s"'))
    until(lambda: ended(client, "quick")[3:], "four runs beside a slow one")
    assert [row["what"] for row in history(client, "slow")] == ["fired", "skipped"]
    assert "still works" in history(client, "slow")[1]["why"]


@pytest.mark.wide
def test_pause_upgrade_and_removal_are_followed(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("changing", 'every = "1s"\nmissed = "skip"'))
    until(lambda: ended(client, "changing"), "a run")
    client.call("kernel.pause", "changing")
    until(lambda: following(client, "changing")["held"] == "paused", "it is held")
    before = len(begun(kernel.home, "changing"))
    with kernel.client() as second:
        second.call("kernel.sleep", "", {"milliseconds": 2_500})
    assert len(begun(kernel.home, "changing")) == before
    client.call("kernel.resume", "changing")
    until(lambda: len(begun(kernel.home, "changing")) > before, "it goes on")
    install(kernel, beat("changing", 'at = "2999-01-01T00:00"', version="1.1.0"))
    until(lambda: following(client, "changing")["next"].startswith("2999"), "the new schedule")
    client.call("kernel.remove", "changing")
    until(lambda: following(client, "changing") == {}, "nothing is left of it")
    assert ended(client, "changing")


def test_an_event_starts_who_waits_for_it_with_what_it_says(kernel: Kernel, client: Client) -> None:
    install(
        kernel,
        beat("hears", 'on = "loads.loaded"\nwhere = { rows = { above = 10 } }\ninputs = { event = "$event.rows" }'),
    )
    install(kernel, beat("deaf", 'on = "loads.loaded"'), grants=[])
    install(kernel, beat("loads", 'at = "2999-01-01T00:00"'))
    until(lambda: following(client, "deaf"), "it is known")
    for rows_ in (5, 20):
        client.call("kernel.start", "loads", {"inputs": {"publish": "loaded", "body": {"rows": rows_}}, "wait": True})
    run = until(lambda: ended(client, "hears"), "a run")[0]["run"]
    assert told(client, "kernel.wait", "", {"run": run})["value"]["event"] == 20
    assert len(begun(kernel.home, "hears")) == 1
    refusals = until(lambda: ended(client, "deaf", "refused"), "refusals")
    assert re.fullmatch(r"capability: [^:]* may not hear loads.loaded.*", refusals[0]["why"])
    assert begun(kernel.home, "deaf") == []


@pytest.mark.wide
def test_a_run_by_an_event_carries_its_labels_and_one_by_the_clock_none(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("marked", 'on = "source.loaded"'))
    install(kernel, actor("source", more='[events]\npublishes = ["loaded"]'))
    until(lambda: following(client, "marked"), "it is known")
    done(ask(client, "source.do", [{"publish": "loaded", "labels": ["web"]}])[0])
    until(lambda: ended(client, "marked"), "a run by an event")
    install(kernel, beat("unmarked", 'every = "1s"'))
    until(lambda: ended(client, "unmarked"), "a run by the clock, begun by who has heard the event")
    by_event, by_clock = begun(kernel.home, "marked")[0][1], begun(kernel.home, "unmarked")[0][1]
    ends = {one.principal: one.labels for one in entries(kernel.home, "end") if one.method == "run"}
    assert (ends[by_event], ends[by_clock]) == (("web",), ())


@pytest.mark.wide
def test_an_event_that_waits_keeps_its_labels_when_who_keeps_it_begins_anew(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("queues", 'on = "origin.loaded"\noverlap = "queue"\ninputs = { lasts = 3 }'))
    install(kernel, actor("origin", more='[events]\npublishes = ["loaded"]'))
    until(lambda: following(client, "queues"), "it is known")
    done(ask(client, "origin.do", [{"publish": "loaded"}])[0])
    until(lambda: begun(kernel.home, "queues"), "a run that works for a while")
    done(ask(client, "origin.do", [{"publish": "loaded", "labels": ["web"]}])[0])
    until(lambda: told(client, "scheduling.next", "", {"hand": "queues"})["hands"][0]["waiting"], "one that waits")
    client.call("kernel.restart", "scheduling")
    until(lambda: len(ended(client, "queues")) == 2, "both runs")
    ends = {one.principal: one.labels for one in entries(kernel.home, "end") if one.method == "run"}
    assert [ends[run] for _, run in begun(kernel.home, "queues")] == [(), ("web",)]


def test_hands_that_start_each_other_are_stopped_and_told(kernel: Kernel, client: Client) -> None:
    more = 'overlap = "queue"\ninputs = { publish = "done", lasts = 0.05 }'
    install(kernel, beat("ping", f'on = "pong.done"\n{more}'))
    install(kernel, beat("pong", f'on = "ping.done"\n{more}'))
    until(lambda: following(client, "pong"), "it is known")
    client.call("kernel.start", "ping", {"inputs": {"publish": "done"}, "wait": True})
    skipped = until(lambda: ended(client, "ping", "skipped") + ended(client, "pong", "skipped"), "the end of the loop")
    assert "a loop" in skipped[0]["why"]
    assert len(begun(kernel.home, "ping")) + len(begun(kernel.home, "pong")) == 8
    assert until(lambda: [one for one in entries(kernel.home, "event") if one.method == "scheduling.loop"], "its event")


def test_a_frozen_home_starts_nothing_and_goes_on(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("frozen", 'every = "1s"'))
    until(lambda: ended(client, "frozen"), "a run")
    client.call("kernel.freeze")
    frozen = len(begun(kernel.home, "frozen"))
    client.call("kernel.sleep", "", {"milliseconds": 1_500})
    assert len(begun(kernel.home, "frozen")) <= frozen + 1
    client.call("kernel.thaw")
    until(lambda: len(begun(kernel.home, "frozen")) > frozen + 1, "it goes on")
    keys = [key for key, _ in begun(kernel.home, "frozen")]
    assert len(keys) == len(set(keys))


def crier(name: str) -> Source:
    """A task Hand that publishes, and is scheduled itself by nothing."""
    toml = f"""
[hand]
name = "{name}"
version = "1.0.0"
description = "Cries."
entry = "main:Crier"
kind = "task"
autonomy = "full"

[events]
publishes = ["done"]
"""
    main = (
        "from runtime import Hand\n\nclass Crier(Hand):\n    async def run(self):\n        await self.publish('done')\n"
    )
    return Source(toml, main)


def loops_told(home: Path, hand: str) -> list[str]:
    """What the log says of loops that a Hand is in."""
    return [one.why for one in entries(home, "note") if "a loop: " in one.why and one.why.startswith(f"{hand} ")]


@pytest.mark.wide
def test_a_loop_of_pipelines_over_events_of_their_steps_is_stopped_and_told_once(
    kernel: Kernel, client: Client
) -> None:
    for name in ("left", "right"):
        install(kernel, crier(f"{name}-crier"))
    for name, other in (("left", "right"), ("right", "left")):
        schedule = f'[schedule]\non = "{other}-crier.done"\noverlap = "queue"\n'
        add(kernel, name, f'{schedule}[steps.cry]\nhand = "{name}-crier"\n')
    until(lambda: following(client, "right"), "it is known")
    client.call("kernel.start", "left", {"wait": True}, seconds=60)
    skipped = until(lambda: ended(client, "left", "skipped") + ended(client, "right", "skipped"), "the end of the loop")
    why = "a loop: left-crier.done came of 8 runs, each begun by an event of the one before"
    assert [row["why"] for row in skipped] == [why]
    assert len(begun(kernel.home, "left")) + len(begun(kernel.home, "right")) == 8
    assert until(lambda: loops_told(kernel.home, "right"), "it is in the log") == [f"right is not started: {why}"]
    problems = told(client, "scheduling.next")["problems"]
    assert problems == [f"right: {why}; it is not started by that: see `maniple schedules history right`"]
    cries = [one for one in entries(kernel.home, "event") if one.method in ("left-crier.done", "right-crier.done")]
    assert [one.detail.get("depth", 0) for one in cries] == list(range(9))


@pytest.mark.wide
def test_how_deep_a_run_is_outlives_its_kernel(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("deep", 'on = "loads.loaded"\ninputs = { lasts = 2, say = "x" }'))
    install(kernel, beat("after", 'on = "deep.done"'))
    install(kernel, beat("loads", 'at = "2999-01-01T00:00"'))
    until(lambda: following(client, "after"), "it is known")
    client.call("kernel.start", "loads", {"inputs": {"publish": "loaded"}, "wait": True})
    until(lambda: begun(kernel.home, "deep"), "it has begun")
    (start,) = [one for one in entries(kernel.home, "run.start") if one.detail["name"] == "deep"]
    assert start.detail["depth"] == 1
    until(
        lambda: [one for one in entries(kernel.home, "run.confined") if one.run == start.run], "its work is in the log"
    )
    client.close()
    kernel.kill()
    kernel.up()
    again = until(
        lambda: [one for one in entries(kernel.home, "run.start") if one.run == start.run][1:], "another process"
    )
    assert again[0].detail["depth"] == 1


def fired_by(event: str, body: object) -> dict[str, object]:
    due = "2026-11-26T00:00:00.000000Z"
    return {"key": "k", "due": due, "event": event, "body": body, "depth": 1}


def test_nothing_is_fired_beyond_the_depth_whoever_asks(kernel: Kernel, client: Client) -> None:
    install(kernel, beat("event", 'on = "web.seen"'))
    with pytest.raises(NotDone) as refused:
        client.call("kernel.fire", "event", fired_by("web.seen", None) | {"depth": 9})
    assert refused.value.reason == "loop"
