"""Unfinished runs whose Hand is upgraded: they go on with their own code, begin anew, or wait for their operator."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from kernel.cli.exits import NotDone
from tests.living import Kernel, install, make_home, write_hand
from tests.spread import spread
from tests.system import chaos, fates
from tests.system.chaos import value
from tests.system.costly import COSTLY
from tests.system.fates import PATIENCE, call, entries, entry, until
from tests.system.recordings import maniple, replay
from tests.system.test_resuming import begin
from tests.system.test_resuming_attacked import SLOW
from tests.system.upgraded import (
    ERRATIC,
    HASTY,
    PARENT,
    SPENDER,
    only,
    pid_of,
    put_in,
    sleeping,
    source,
    why_ended,
    written,
)
from wire.amounts import Cost
from wire.errors import ManipleError
from wire.signing import SigningKey


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        chaos.prepare(kernel)
        yield kernel


def test_a_run_finishes_with_the_code_it_began_with_whatever_dies_and_then_that_is_gone(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0")
    run = sleeping(kernel, seconds=5.0)
    pid = pid_of(kernel, run)
    put_in(kernel, "1.1.0")
    assert pid_of(kernel, run) == pid, "it was disturbed"
    assert only(kernel, "1.0.0", "1.1.0")
    assert value(kernel, sleeping(kernel, seconds=0.0, text="new")) == "1.1.0"
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid_of(kernel, run) != pid, "another process")
    kernel.kill()
    (kernel.home / "log" / "snapshot").unlink(missing_ok=True)
    kernel.up()
    assert value(kernel, run) == "1.0.0"
    assert sorted(written(kernel)) == sorted(
        f"{one} {two}" for one in ("1.0.0 x", "1.1.0 new") for two in ("before", "after")
    )
    assert only(kernel, "1.1.0")
    kernel.down()
    fates.verified(kernel.home)


def test_a_run_begins_anew_with_the_new_code_and_who_waits_for_it_hears_how_that_ends(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "restart")
    install(kernel, PARENT)
    waits = begin(kernel, "parent")
    run = entry(kernel.home, "call", method="kernel.sleep").run
    put_in(kernel, "1.1.0", "restart")
    again = entry(kernel.home, "run.start", instead=run)
    entry(
        kernel.home, "call", method="kernel.sleep", run=again.run
    )  # an effect under way would have an unknown outcome
    kernel.kill()
    kernel.up()
    assert value(kernel, waits) == [True, "done", "1.1.0"]
    assert sorted(written(kernel)) == ["1.0.0 child before", "1.1.0 child after", "1.1.0 child before"]
    assert why_ended(kernel, run) == f"upgraded: it was begun anew as {again.run}"
    assert entry(kernel.home, "run.left", run=run).why == "upgraded: steady 1.0.0 was replaced by 1.1.0"
    assert only(kernel, "1.1.0")


def test_a_run_waits_for_its_operator_who_decides(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "ask")
    runs = [sleeping(kernel, seconds=3.0, text=text) for text in ("a", "b")]
    assert put_in(kernel, "1.1.0", "finish")["waiting"] == 2
    for run in runs:
        entry(kernel.home, "decision", run=run, verdict="asked")
    for row in fates.runs(kernel, "steady"):
        assert (row["pid"], row["state"], row["version"]) == (0, "waits: upgraded", "1.0.0")
    kernel.kill()
    kernel.up()
    assert {str(row["run"]) for row in fates.runs(kernel, "steady")} == {*runs}
    call(kernel, "kernel.decide", runs[0], {"how": "finish"})
    assert value(kernel, runs[0]) == "1.0.0"
    until(lambda: [row["run"] for row in fates.runs(kernel, "steady")] == [runs[1]], "the other one waits on")
    assert only(kernel, "1.0.0", "1.1.0")
    call(kernel, "kernel.decide", "steady", {"how": "restart"})
    assert value(kernel, runs[1]) == "1.1.0"
    assert sorted(written(kernel)) == [
        "1.0.0 a after", "1.0.0 a before", "1.0.0 b before", "1.1.0 b after", "1.1.0 b before",
    ]  # fmt: skip
    assert len([one for one in entries(kernel.home, "decision") if one.verdict == "asked"]) == 2
    assert only(kernel, "1.1.0")


@pytest.mark.wide
def test_runs_of_three_versions_live_beside_each_other_until_their_hand_is_removed(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "finish")
    first = sleeping(kernel, seconds=30.0)
    put_in(kernel, "1.1.0", "ask")
    second = sleeping(kernel, seconds=30.0)
    put_in(kernel, "1.2.0", "restart")
    assert value(kernel, sleeping(kernel, seconds=0.0)) == "1.2.0"
    kernel.kill()
    kernel.up()
    assert only(kernel, "1.0.0", "1.1.0", "1.2.0")
    assert pid_of(kernel, first)
    states = {row["run"]: (row["version"], row["state"]) for row in fates.runs(kernel, "steady")}
    assert states == {first: ("1.0.0", "working"), second: ("1.1.0", "waits: upgraded")}
    call(kernel, "kernel.remove", "steady")
    assert [why_ended(kernel, run) for run in (first, second)] == ["its Hand was removed"] * 2
    assert only(kernel)


def test_the_replaced_code_may_no_more_than_its_hand_is_granted_now(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0")
    run = sleeping(kernel, seconds=3.0)
    put_in(kernel, "1.1.0")
    call(kernel, "kernel.revoke", "steady", {"method": "ledger.*"})
    assert value(kernel, run) == "1.0.0 refused capability"


def test_the_replaced_code_starts_only_as_it_was_sealed_and_by_a_key_that_is_trusted(kernel: Kernel) -> None:
    key = SigningKey("author", os.urandom(32))
    call(kernel, "kernel.key-add", "", {"key": key.verify_key.text(), "hands": ["*"]})
    put_in(kernel, "1.0.0", "finish", key)
    altered, live = (sleeping(kernel, seconds=30.0) for _ in range(2))
    put_in(kernel, "1.1.0", "ask", key)
    waiting = sleeping(kernel, seconds=30.0)
    put_in(kernel, "1.2.0", "ask", key)
    with pytest.raises(NotDone, match="older than"):
        put_in(kernel, "1.1.0", "ask", key)
    (folder,) = (kernel.home / "hands").glob("steady-1.0.0-*")
    sealed = (folder / "main.py").read_text()
    (folder / "main.py").write_text(sealed + "# altered")
    os.kill(pid_of(kernel, altered), signal.SIGKILL)
    assert "main.py was changed" in why_ended(kernel, altered)
    assert entry(kernel.home, "refusal", code="seal").verdict == "refused"
    call(kernel, "kernel.key-revoke", key.verify_key.id)
    assert all("was revoked" in why_ended(kernel, run) for run in (live, waiting))
    assert only(kernel, "1.2.0")


def _upgraded_to_death(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Hand is upgraded, and it dies of that as MORTAL_AT says; the next kernel does not."""
    with suppress(ManipleError):
        put_in(kernel, "1.1.0")
    assert kernel.process is not None
    assert kernel.process.wait(PATIENCE) == -signal.SIGKILL
    monkeypatch.delenv("MORTAL_AT")


@pytest.mark.parametrize("at", spread(["unsynced", "installed", "discard", "discarded", "half", "begun"], 1))
def test_whenever_the_kernel_dies_while_a_hand_is_upgraded_nothing_is_lost_and_nothing_left(
    tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTAL_AT", at)
    with Kernel(make_home(tmp_path / "home"), "tests.system.mortal") as kernel:
        chaos.prepare(kernel)
        put_in(kernel, "1.0.0", "restart")
        run = sleeping(kernel, seconds=3.0)
        _upgraded_to_death(kernel, monkeypatch)
        kernel.up()
        told, version = chaos.outcome_of(kernel, run), "1.1.0"
        if at.startswith("discard") and told["outcome"] == "failed":  # it had begun anew, and with it an effect
            assert "outcome unknown: ledger.add" in str(told["text"])
            assert set(written(kernel)) <= {"1.0.0 x before", "1.1.0 x after", "1.1.0 x before"}
        else:
            version = str(value(kernel, run))
            assert version in ("1.0.0", "1.1.0") if at == "unsynced" else version == "1.1.0"
        if version == "1.1.0" and told["outcome"] == "done":
            assert sorted(written(kernel)) == ["1.0.0 x before", "1.1.0 x after", "1.1.0 x before"]
            assert why_ended(kernel, run).startswith("upgraded: it was begun anew as")
        assert only(kernel, version)
        kernel.down()
        fates.verified(kernel.home)


@pytest.mark.wide
def test_what_an_interrupted_install_or_a_lost_tape_leaves_is_taken_away_and_nothing_else(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0")
    run = sleeping(kernel, seconds=30.0)
    put_in(kernel, "1.1.0")
    kernel.kill()
    for name in ("steady-1.2.0-0123abcd", "replay-steady-0123abcd", "mine"):
        (kernel.home / "hands" / name).mkdir()
        (kernel.home / "hands" / name / "main.py").write_text("half")
    (kernel.home / "journal" / "runs" / f"{run}.tape").unlink()
    kernel.up()
    assert entry(kernel.home, "run.end", run=run).verdict == "died"
    assert only(kernel, "1.1.0")
    assert not [*(kernel.home / "hands").glob("replay-*")]
    assert (kernel.home / "hands" / "mine" / "main.py").read_text() == "half"


def test_a_run_that_goes_on_as_a_crash_took_the_one_that_was_begun_instead_is_the_one_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTAL_AT", "half")
    with Kernel(make_home(tmp_path / "home"), "tests.system.mortal") as kernel:
        chaos.prepare(kernel)
        put_in(kernel, "1.0.0", "restart")
        run = sleeping(kernel, seconds=1.0)
        _upgraded_to_death(kernel, monkeypatch)
        taken = entry(kernel.home, "run.start", instead=run).run
        (folder,) = (kernel.home / "hands").glob("steady-1.1.0-*")
        (folder / "HAND.toml").write_text("")  # so that none can begin instead
        kernel.up()
        entry(kernel.home, "run.end", run=taken)
        entry(kernel.home, "decision", run=run, verdict="asked")
        call(kernel, "kernel.decide", run, {"how": "finish"})
        assert chaos.outcome_of(kernel, run)["text"] == "CallCancelled: its run is restarted"


@pytest.mark.wide
def test_another_runtime_is_an_upgrade_of_every_hand(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "ask")
    asked = sleeping(kernel, seconds=3.0)
    install(kernel, ERRATIC)
    erratic = begin(kernel, "erratic")
    entry(kernel.home, "call", method="kernel.sleep", run=erratic)
    kernel.kill()
    with Kernel(kernel.home, "tests.system.rebuilt") as another:
        assert entry(another.home, "decision", run=asked).why == "another runtime"
        outcome = chaos.outcome_of(another, erratic)
        assert "diverged: begun as erratic 1.0.0, it should ask for" in str(outcome["text"])
        assert str(outcome["text"]).endswith("; since then, another runtime")
        call(another, "kernel.decide", asked, {"how": "finish"})
        assert value(another, asked) == "1.0.0"


@pytest.mark.wide
def test_what_is_replaced_is_replayed_while_it_is_kept_and_then_with_its_folder_alone(
    kernel: Kernel, tmp_path: Path
) -> None:
    put_in(kernel, "1.0.0")
    run, long = sleeping(kernel, seconds=0.0), sleeping(kernel, seconds=30.0)
    put_in(kernel, "1.1.0")
    assert replay(kernel, run).code == 0
    call(kernel, "kernel.stop", long)
    assert only(kernel, "1.1.0")
    said = replay(kernel, run)
    assert said.code == 1
    assert f"{run} was begun with steady 1.0.0, which was replaced by 1.1.0 and is gone" in said.words
    assert f"replay {run} --against DIR`" in said.words
    assert replay(kernel, run, "--against", str(write_hand(tmp_path / "old", source("1.0.0")))).code == 0


def test_people_see_what_waits_and_what_to_type(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "ask")
    runs = [sleeping(kernel, seconds=3.0, text=text) for text in "ab"]
    put_in(kernel, "1.1.0")
    entry(kernel.home, "decision", run=runs[1])
    for command in (["ps"], ["runs", "steady"], ["run-show", runs[0]], ["status"]):
        said = maniple(kernel.home, *command)
        text = said.out + said.words
        assert "waits: upgraded" in text, text
        assert f"decide {min(runs) if command == ['status'] else runs[0]} finish" in text, text
    assert maniple(kernel.home, "decide", runs[0], "finish").out == f"{runs[0]} goes on.\n"
    assert f"{runs[1]} is begun anew as r-" in maniple(kernel.home, "decide", "steady", "restart").out
    assert "waits for a decision" in maniple(kernel.home, "decide", runs[0], "finish").words
    assert [value(kernel, run) for run in runs] == ["1.0.0", "1.1.0"]


@pytest.mark.wide
def test_a_run_that_only_waits_and_has_no_process_is_asked_about_as_well(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        chaos.prepare(kernel)
        put_in(kernel, "1.0.0", "ask")
        run = sleeping(kernel, seconds=3600.0)
        entry(kernel.home, "run.left", why="it only waits", run=run)
        put_in(kernel, "1.1.0")
        entry(kernel.home, "decision", verdict="asked", run=run)
        call(kernel, "kernel.stop", run)
        assert only(kernel, "1.1.0")


@pytest.mark.wide
def test_a_run_that_is_upgraded_on_its_way_to_sleep_is_asked_about_as_well(tmp_path: Path) -> None:
    """Its process is dead, and its template has not told so yet."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        chaos.prepare(kernel)
        put_in(kernel, "1.0.0", "ask")
        begun, template = begin(kernel, "steady", seconds=3600.0), kernel.template_pid
        pid = pid_of(kernel, begun)
        entry(kernel.home, "call", method="kernel.sleep", run=begun)
        os.kill(template, signal.SIGSTOP)
        until(lambda: not fates.living([psutil.Process(pid)]), "it rests")
        put_in(kernel, "1.1.0")
        os.kill(template, signal.SIGCONT)
        entry(kernel.home, "decision", verdict="asked", run=begun)


@pytest.mark.wide
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_run_that_begins_anew_may_spend_what_is_left(kernel: Kernel, *, is_killed: bool) -> None:
    install(kernel, COSTLY._replace(toml=COSTLY.toml.replace('"costly-two.spend" = ["*"]', "")))
    install(kernel, SPENDER)
    most = Cost(tokens=10, micro_dollars=10)
    with kernel.client() as client:
        told = fates.table(client.call("kernel.start", "spender", most=most).value)
    until(lambda: any(one.read_text() for one in kernel.home.glob("state/*/spent")), "its call is at work")
    if is_killed:
        call(kernel, "kernel.pause", "spender")
        kernel.kill()
        kernel.up()
    install(kernel, SPENDER._replace(toml=SPENDER.toml.replace("1.0.0", "1.1.0")))
    if is_killed:
        call(kernel, "kernel.resume", "spender")
    assert value(kernel, str(told["run"])) == "over_budget"
    works = [one.detail["most"] for one in entries(kernel.home, "call") if one.method == "run"]
    assert works == [{"tokens": 10, "micro_dollars": 10}, {"tokens": 4, "micro_dollars": 4}]


@pytest.mark.wide
def test_who_waits_for_a_run_that_began_anew_twice_hears_the_end_after_a_restart_too(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "restart")
    install(
        kernel, PARENT._replace(main=PARENT.main.replace('"child"}', '"child"}, detached=True').replace("0.6", "1.5"))
    )
    waits = begin(kernel, "parent")
    run = first = entry(kernel.home, "call", method="kernel.sleep").run
    for version in ("1.1.0", "1.2.0"):
        put_in(kernel, version, "restart")
        run = entry(kernel.home, "run.start", instead=run).run
    entry(kernel.home, "call", method="kernel.sleep", run=run)
    kernel.kill()
    kernel.up()
    assert value(kernel, first) == "1.2.0"
    assert value(kernel, waits) == [True, "done", "1.2.0"]
    kernel.down()
    kernel.up()
    assert value(kernel, first) == "1.2.0", "all of them have ended"


@pytest.mark.wide
def test_an_upgrade_that_is_taken_back_while_its_hand_is_paused_has_changed_nothing(kernel: Kernel) -> None:
    first = source("1.0.0", "restart")
    install(kernel, first)
    run = sleeping(kernel, seconds=3.0)
    call(kernel, "kernel.pause", "steady")
    install(kernel, first._replace(main=first.main + "# another\n"))
    entry(kernel.home, "run.left", run=run)
    install(kernel, first)
    call(kernel, "kernel.resume", "steady")
    assert value(kernel, run) == "1.0.0"
    assert sorted(written(kernel)) == ["1.0.0 x after", "1.0.0 x before"]


@pytest.mark.parametrize("on_upgrade", spread(["restart", "ask"], 1))
def test_a_run_is_not_lost_when_the_new_code_cannot_start(kernel: Kernel, on_upgrade: str) -> None:
    put_in(kernel, "1.0.0", on_upgrade)
    run = sleeping(kernel, seconds=3.0)
    install(kernel, source("1.1.0", more='[requires]\nbinaries = ["no-such-program"]\n'))
    asked = entry(kernel.home, "decision", run=run, verdict="asked")
    assert ("requires the program" in asked.why) is (on_upgrade == "restart")
    said = maniple(kernel.home, "decide", run, "restart")
    assert "steady requires the program no-such-program" in said.words
    kernel.kill()
    kernel.up()
    assert [row["state"] for row in fates.runs(kernel, "steady")] == ["waits: upgraded"]
    assert maniple(kernel.home, "decide", run, "finish").out == f"{run} goes on.\n"
    assert value(kernel, run) == "1.0.0"
    assert len([one for one in entries(kernel.home, "decision") if one.verdict == "asked"]) == 1


@pytest.mark.wide
def test_what_a_run_had_begun_is_not_done_again_when_it_cannot_begin_anew_and_goes_on(kernel: Kernel) -> None:
    """The new code lacks a setting, which is found when its run is to be made, and the old run's calls were ended."""
    install(kernel, SLOW)
    install(kernel, HASTY)
    run = begin(kernel, "hasty")
    until(lambda: chaos.done(kernel.home), "it is done, and not answered")
    call(kernel, "kernel.freeze")
    entry(kernel.home, "run.left", run=run)
    lacking = '\n[settings.must]\ntype = "string"\nrequired = true\nhelp = "What it works with"\n'
    install(kernel, HASTY._replace(toml=HASTY.toml.replace("1.0.0", "1.1.0") + lacking))
    call(kernel, "kernel.thaw")
    assert "must" in entry(kernel.home, "decision", run=run, verdict="asked").why
    call(kernel, "kernel.decide", run, {"how": "finish"})
    assert value(kernel, run) == "outcome unknown"
    assert chaos.done(kernel.home) == {"add x": 1}
    kernel.down()
    fates.verified(kernel.home)
