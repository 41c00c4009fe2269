"""What a run has used of its limits counts in its next process, also when the kernel was killed; what is no use does not."""

import time
from pathlib import Path

import pytest

from kernel.record.journal import Journal
from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos, fates
from tests.system.fates import call, entries, entry
from tests.system.test_resuming import DREAMER, begin
from tests.system.upgraded import pid_of
from wire.tape import Spent

BURNER = Source(
    DREAMER.toml.replace("dreamer", "burner").replace("Dreamer", "Burner") + '\n[limits]\ncpu = "2s"\nwall = "5s"\n',
    """
import time

from runtime import Hand


class Burner(Hand):
    async def run(self, burn=0.0, seconds=0.5):
        until = time.process_time() + burn
        while time.process_time() < until:
            pass
        await self.sleep(seconds)
""",
)


def asleep(kernel: Kernel, **inputs: object) -> str:
    run = begin(kernel, "burner", **inputs)
    entry(kernel.home, "call", method="kernel.sleep", run=run)
    return run


@pytest.mark.parametrize("how", spread(["kill", "down"], 1))
def test_the_time_that_a_run_has_had_is_not_given_to_it_again_and_the_kernels_absence_is_none_of_it(
    tmp_path: Path, how: str
) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.thrifty") as kernel:
        install(kernel, BURNER)
        run = asleep(kernel, seconds=60.0)
        began = fates.moment(entry(kernel.home, "run.start", run=run))
        time.sleep(2.0)
        {"kill": kernel.kill, "down": kernel.down}[how]()
        died = time.time()
        time.sleep(0.5)
        kernel.up()
        assert chaos.outcome_of(kernel, run)["code"] == "deadline"
        second = fates.moment(entry(kernel.home, "run.end", run=run)) - fates.moment(
            entries(kernel.home, "kernel.start")[-1]
        )
        assert 4.8 < died - began + second < 6.9, "of 5 s; given anew it would be 7"


@pytest.mark.wide
def test_the_processor_time_of_a_killed_kernels_run_counts(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.thrifty") as kernel:
        install(kernel, Source(BURNER.toml.replace('wall = "5s"', 'wall = "1m"'), BURNER.main))
        run = asleep(kernel, burn=0.5, seconds=5.0)
        time.sleep(0.2)
        kernel.kill()
        kernel.up()
        pid = pid_of(kernel, run)
        fates.until(lambda: fates.runs(kernel)[0]["confinement"], "it is walled in")
        (soft,) = [
            line.split()[3] for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "cpu time" in line
        ]
        assert soft == "1", "of the 2 s, half a second was used before"
        assert chaos.outcome_of(kernel, run)["outcome"] == "done"
        assert int(str(entry(kernel.home, "run.end", run=run).detail["cpu_us"])) > 900_000


TALKER = Source(
    DREAMER.toml.replace("dreamer", "talker").replace("Dreamer", "Talker"),
    """
from runtime import CallRefused, Hand


class Talker(Hand):
    async def run(self):
        try:
            await self.kernel.call("kernel.pause", "talker")
        except CallRefused:
            pass
        for n in range(4):
            await self.kernel.note(f"so far {n}")
            await self.sleep(0.5)
        return (await self.kernel.budget()).calls
""",
)


@pytest.mark.parametrize("how", spread(["kill", "down", "freeze"], 1))
def test_the_calls_that_a_run_has_made_are_counted_over_all_its_processes_and_kernels(tmp_path: Path, how: str) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.thrifty") as kernel:
        install(kernel, TALKER)
        run = begin(kernel, "talker")
        fates.until(lambda: len(entries(kernel.home, "note")) == 2, "it is in the middle")
        if how == "freeze":
            with kernel.client() as client:
                client.call("kernel.freeze")
                client.call("kernel.thaw")
        else:
            {"kill": kernel.kill, "down": kernel.down}[how]()
            kernel.up()
        assert chaos.outcome_of(kernel, run)["value"] == 9
        made = [one for one in entries(kernel.home, "call") if one.principal == run]
        assert len(made) == 9, "four notes, four sleeps, one question; what was refused is none"
        assert entry(kernel.home, "run.end", run=run).detail["calls"] == 9


def used(kernel: Kernel, run: str) -> float:
    """The seconds of its time that a run has used, as its tape says."""
    journal = Journal(kernel.home / "journal")
    tape = journal.tape(run, journal.secret(run))
    tape.end = tape.path.stat().st_size
    return [one.record.wall for one in tape.records() if isinstance(one.record, Spent)][-1] / 1000


@pytest.mark.wide
def test_frozen_paused_and_undecided_time_counts_against_no_limit(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.thrifty") as kernel:
        lasting = Source(BURNER.toml.replace('wall = "5s"', 'wall = "1m"'), BURNER.main)
        install(kernel, lasting)
        run = asleep(kernel, seconds=3.0)
        call(kernel, "kernel.freeze")
        time.sleep(0.7)
        call(kernel, "kernel.thaw")
        call(kernel, "kernel.pause", "burner")
        kernel.kill()
        kernel.up()
        time.sleep(0.7)
        install(kernel, Source(lasting.toml.replace("1.0.0", "1.1.0"), lasting.main))
        call(kernel, "kernel.resume", "burner")
        entry(kernel.home, "decision", verdict="asked", run=run)
        time.sleep(0.7)
        call(kernel, "kernel.decide", run, {"how": "finish"})
        assert chaos.outcome_of(kernel, run)["outcome"] == "done"
        began, ended = (fates.moment(entry(kernel.home, kind, run=run)) for kind in ("run.start", "run.end"))
        assert ended - began - used(kernel, run) > 2.0
