"""A run that cannot go on says why, and what its operator does to one that has no process counts as ever."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import ECHO, Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos, fates
from tests.system.fates import call, entries, entry, state_of, until
from tests.system.test_resuming import DREAMER, begin, kill

CRASHER = Source(
    DREAMER.toml.replace("dreamer", "crasher").replace("Dreamer", "Crasher"),
    """
import ctypes
import os

from runtime import Hand


class Crasher(Hand):
    async def run(self, how="exit"):
        await self.kernel.note("about to crash")
        if how == "exit":
            os._exit(3)
        if how == "75":
            os._exit(75)
        ctypes.string_at(0)
""",
)

BUSY = Source(
    DREAMER.toml.replace("dreamer", "busy").replace("Dreamer", "Busy"),
    """
import time

from runtime import Hand


class Busy(Hand):
    async def run(self):
        for number in range(60):
            await self.kernel.note(f"note {number}")
            began = time.process_time()
            while time.process_time() < began + 0.006:
                pass
        await self.sleep(60.0)
""",
)

LEADER = Source(
    DREAMER.toml.replace("dreamer", "leader").replace("Dreamer", "Leader")
    + '\n[capabilities]\n"kernel.spawn" = ["follower"]\n"echo.say" = ["*"]\n',
    """
from runtime import Hand


class Leader(Hand):
    async def run(self):
        return await self.kernel.spawn("follower", detached=True)
""",
)

FOLLOWER = Source(
    DREAMER.toml.replace("dreamer", "follower").replace("Dreamer", "Follower")
    + '\n[capabilities]\n"echo.say" = ["*"]\n',
    """
from runtime import CallRefused, Hand


class Follower(Hand):
    async def run(self):
        await self.sleep(1.0)
        try:
            return (await self.kernel.call("echo.say", text="said")).value["text"]
        except CallRefused as refused:
            return refused.code
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for hand in (DREAMER, CRASHER, ECHO):
            install(kernel, hand)
        yield kernel


def dreaming(kernel: Kernel, seconds: float = 3.0) -> str:
    run = begin(kernel, "dreamer", seconds=seconds)
    entry(kernel.home, "call", method="kernel.sleep", run=run)
    return run


def ended(kernel: Kernel, run: str) -> str:
    """Why a run ended that did not end well."""
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["outcome"] != "done", outcome
    return str(outcome["text"])


def of(kernel: Kernel, run: str) -> Path:
    return kernel.home / "journal" / "runs" / f"{run}.tape"


@pytest.mark.parametrize("how", spread(["exit", "75", "segfault"], 1))
def test_a_run_that_crashes_itself_ends_and_says_how(kernel: Kernel, how: str) -> None:
    run = begin(kernel, "crasher", how=how)
    why = ended(kernel, run)
    assert {"exit": "exit code 3", "75": "exit code 75", "segfault": "SIGSEGV"}[how] in why
    assert len(entries(kernel.home, "run.start")) == {"exit": 1, "75": 4, "segfault": 4}[how]


@pytest.mark.wide
def test_a_run_that_is_stopped_while_it_goes_through_its_tape_is_accused_of_nothing(kernel: Kernel) -> None:
    install(kernel, BUSY)
    run = begin(kernel, "busy")
    entry(kernel.home, "call", method="kernel.sleep", run=run)
    kill(kernel, "run", "busy")
    entry(kernel.home, "run.left", run=run)
    until(lambda: float(str(fates.runs(kernel)[0]["cpu_seconds"])) > 0.12, "it goes through its tape, for 0.4 s")
    call(kernel, "kernel.stop", run)
    assert entry(kernel.home, "run.end", run=run).verdict == "ended"
    assert entries(kernel.home, "refusal") == []


def test_a_run_that_is_killed_from_outside_again_and_again_goes_on(kernel: Kernel) -> None:
    run = dreaming(kernel, 3600.0)
    for times in range(5):
        os.kill(fates.pid_of(kernel, "dreamer"), signal.SIGKILL)
        until(lambda before=times: len(entries(kernel.home, "run.left")) > before, "it is gone")  # type: ignore[misc]
    until(lambda: [row for row in fates.runs(kernel, "dreamer") if row["pid"]], "it has a process once more")
    call(kernel, "kernel.stop", run)
    assert chaos.outcome_of(kernel, run)["outcome"] == "cancelled"
    assert len(entries(kernel.home, "run.left")) == 5


@pytest.mark.parametrize("damage", spread(["byte", "torn", "missing", "key", "empty"], 1))
def test_a_run_whose_tape_was_lost_or_changed_says_so_and_nothing_is_guessed(kernel: Kernel, damage: str) -> None:
    run = dreaming(kernel, 60.0)
    kernel.kill()
    path = of(kernel, run)
    whole = path.read_bytes()
    keys = kernel.home / "journal" / "keys" / "000000.jsonl"
    match damage:
        case "byte":
            path.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])
        case "torn":
            path.write_bytes(whole[: len(whole) // 2])
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "key":
            lines = keys.read_bytes().split(b"\n")
            keys.write_bytes(b"\n".join(b"-" * len(one) if run.encode() in one else one for one in lines))
    kernel.up()
    end = entry(kernel.home, "run.end", run=run)
    assert (end.verdict, end.why[:29]) == ("died", "run ended: it cannot resume: ")
    wanted = {
        "missing": "No such file",
        "key": "its key was erased",
        "empty": "does not say what its run was started with",
    }
    assert wanted.get(damage, "it lacks the message that entry") in end.why or "breaks off" in end.why
    if damage in ("byte", "torn"):  # what is left of it is evidence, also that there was such a run
        assert chaos.outcome_of(kernel, run)["text"] == "run ended: the kernel ended before it, or its tape is gone"
        assert len(path.read_bytes()) >= len(whole) // 2
    kernel.down()
    fates.verified(kernel.home)


@pytest.mark.wide
def test_a_run_without_a_process_is_stopped_and_cancelled_and_ends(kernel: Kernel) -> None:
    runs = [dreaming(kernel, 60.0) for _ in range(2)]
    call(kernel, "kernel.freeze")
    until(lambda: not [row for row in fates.runs(kernel, "dreamer") if row["pid"]], "no process")
    with kernel.client() as client:
        for run in runs:
            client.call("kernel.stop", run)
        client.call("kernel.thaw")
    for run in runs:
        outcome = chaos.outcome_of(kernel, run)
        assert outcome["outcome"] == "cancelled", outcome
    time.sleep(0.3)
    assert fates.runs(kernel, "dreamer") == []
    starts = [one.run for one in entries(kernel.home, "run.start")]
    assert all(starts.count(run) == 1 for run in runs)


@pytest.mark.wide
def test_a_hand_that_is_removed_while_its_run_has_no_process_ends_it(kernel: Kernel) -> None:
    run = dreaming(kernel, 60.0)
    call(kernel, "kernel.freeze")
    until(lambda: not [row for row in fates.runs(kernel, "dreamer") if row["pid"]], "no process")
    call(kernel, "kernel.remove", "dreamer")
    assert ended(kernel, run) == "run ended: its Hand was removed"
    call(kernel, "kernel.thaw")
    assert fates.runs(kernel, "dreamer") == []


@pytest.mark.wide
def test_a_paused_run_that_is_killed_waits_until_it_is_resumed(kernel: Kernel) -> None:
    run = dreaming(kernel)
    call(kernel, "kernel.pause", "dreamer")
    kill(kernel, "run", "dreamer")
    entry(kernel.home, "run.left", run=run)
    kernel.kill()
    kernel.up()
    time.sleep(0.8)
    assert not [row for row in fates.runs(kernel, "dreamer") if row["pid"]]
    call(kernel, "kernel.resume", "dreamer")
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"


@pytest.mark.wide
def test_a_run_without_a_process_waits_for_a_decision_when_its_hand_is_upgraded_meanwhile(kernel: Kernel) -> None:
    run = dreaming(kernel, 60.0)
    call(kernel, "kernel.freeze")
    until(lambda: not [row for row in fates.runs(kernel, "dreamer") if row["pid"]], "no process")
    install(kernel, Source(DREAMER.toml.replace("1.0.0", "1.1.0"), DREAMER.main.replace("str(seen)", "repr(seen)")))
    call(kernel, "kernel.thaw")
    assert [row["state"] for row in fates.runs(kernel, "dreamer")] == ["waits: upgraded"]
    call(kernel, "kernel.stop", run)
    assert "stopped by its operator" in ended(kernel, run)


@pytest.mark.wide
def test_many_runs_at_once_go_on_when_the_kernel_dies_twice_in_a_row(kernel: Kernel) -> None:
    runs = [dreaming(kernel, 3.0) for _ in range(20)]
    kernel.kill()
    kernel.up()
    time.sleep(0.3)
    kernel.kill()
    kernel.up()
    time.sleep(0.1)
    kernel.down()
    kernel.up()
    for run in runs:
        assert chaos.outcome_of(kernel, run)["outcome"] == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_run_for_which_there_is_no_room_waits_until_there_is(kernel: Kernel) -> None:
    run = dreaming(kernel)
    kernel.kill()
    scratch = kernel.home / "scratch"
    shutil.rmtree(scratch)
    scratch.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1,mode=700", "none", scratch], check=False).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        kernel.up()
        time.sleep(0.5)
        assert entries(kernel.home, "run.end") == []
        subprocess.run(["mount", "-o", "remount,nr_inodes=1000", scratch], check=True)
        call(kernel, "kernel.freeze")
        call(kernel, "kernel.thaw")
        outcome = chaos.outcome_of(kernel, run)
        assert outcome["outcome"] == "done", outcome
        kernel.down()
    finally:
        subprocess.run(["umount", "-l", scratch], check=True)


@pytest.mark.wide
def test_a_stopped_process_that_is_killed_while_it_is_told_goes_on(kernel: Kernel) -> None:
    run = dreaming(kernel)
    for wait in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05):
        kill(kernel, "run", "dreamer")
        time.sleep(wait)
        for row in fates.runs(kernel, "dreamer"):
            if row["pid"]:
                try:
                    os.kill(int(str(row["pid"])), signal.SIGKILL)
                except ProcessLookupError:
                    continue
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"


ASKER = Source(
    DREAMER.toml.replace("dreamer", "asker").replace("Dreamer", "Asker") + '\n[capabilities]\n"slow.look" = ["a/**"]\n',
    """
from runtime import CallFailed, CallRefused, Hand


class Asker(Hand):
    async def run(self):
        try:
            return await self.kernel.call("slow.look", "a/b")
        except (CallRefused, CallFailed) as end:
            return end.code
""",
)
SLOW = Source(
    ECHO.toml.replace("echo", "slow").replace("slow.say", "slow.look").replace("Echo", "Slow")
    .replace('resource = "none"', 'resource = "path"').replace('params = { text = "string" }\n', ""),
    """
import asyncio

from runtime import Hand


class Slow(Hand):
    async def look(self, call):
        await asyncio.sleep(3600)
""",
)  # fmt: skip


@pytest.mark.parametrize("effect", spread(["write", "read"], 1))
@pytest.mark.parametrize("how", spread(["removed", "gives another method", "takes another resource"], 1))
def test_a_call_that_nobody_answers_any_more_is_refused_unless_it_may_have_been_done(
    kernel: Kernel, how: str, effect: str
) -> None:
    install(kernel, SLOW._replace(toml=SLOW.toml.replace('effect = "read"\nidempotent = true', f'effect = "{effect}"')))
    install(kernel, ASKER)
    run = begin(kernel, "asker")
    made = entry(kernel.home, "call", method="slow.look", run=run)
    until(lambda: state_of(kernel, "slow") == "ready", "it is at its provider")
    call(kernel, "kernel.pause", "asker")
    kernel.kill()
    kernel.up()
    later = SLOW.toml.replace("1.0.0", "1.1.0")
    if how == "removed":
        call(kernel, "kernel.remove", "slow")
    elif how == "gives another method":
        install(kernel, SLOW._replace(toml=later.replace("slow.look", "slow.see")))
    else:
        install(kernel, SLOW._replace(toml=later.replace('"path"', '"url"')))
    call(kernel, "kernel.resume", "asker")
    outcome = chaos.outcome_of(kernel, run)
    expected = "resource" if how == "takes another resource" else "no provider"
    verdict = "refused"
    if effect == "write":
        expected, verdict = "outcome unknown", "failed"
    assert (outcome["outcome"], outcome["value"]) == ("done", expected)
    assert [one.verdict for one in entries(kernel.home, "end") if one.call == made.call] == [verdict]
    assert "Traceback" not in kernel.log()


@pytest.mark.wide
@pytest.mark.parametrize("is_removed", [False, True])
def test_in_whose_name_a_run_acts_who_was_removed_may_nothing_any_more_under_the_next_kernel_too(
    kernel: Kernel, is_removed: bool
) -> None:
    install(kernel, FOLLOWER)
    install(kernel, LEADER)
    run = str(chaos.value(kernel, begin(kernel, "leader")))
    if is_removed:
        call(kernel, "kernel.remove", "leader")
    kernel.kill()
    kernel.up()
    assert chaos.value(kernel, run) == ("capability" if is_removed else "said")
