"""What a run was told can be erased, by its operator or when it is old; the log and every proof of it stay."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.record.keeping import AT_ONCE
from tests.cli.shell import Shell
from tests.living import Kernel, make_home
from tests.system import chaos, fates
from tests.system.fates import call, ended, entries, entry, until
from tests.system.test_resuming import begin


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        chaos.prepare(kernel)
        yield kernel


def tape(kernel: Kernel, run: str) -> Path:
    return kernel.home / "journal" / "runs" / f"{run}.tape"


def key(kernel: Kernel, run: str) -> str:
    lines = (kernel.home / "journal" / "keys" / "000000.jsonl").read_text().splitlines()
    (line,) = (line for line in lines if f'"{run}"' in line)
    return line.split('"key":"')[1][:64]


def test_an_erased_run_leaves_neither_tape_nor_key_and_every_proof_holds(kernel: Kernel) -> None:
    kept, gone = begin(kernel, calls=3), begin(kernel, calls=3)
    for run in (kept, gone):
        assert chaos.outcome_of(kernel, run)["outcome"] == "done"
        until(lambda of=run: entry(kernel.home, "run.end", run=of), "its end")  # type: ignore[misc]
    before = key(kernel, kept)
    with kernel.client() as client:
        assert ended(client, "kernel.erase", "", {"run": gone}) == "done"
        assert not tape(kernel, gone).exists()
        assert set(key(kernel, gone)) == {"0"}
        assert ended(client, "kernel.erase", "", {"run": gone}) == "unknown run"
        assert ended(client, "kernel.wait", "", {"run": gone}) == "unknown run", (
            "what it came to is not kept anywhere else"
        )
        for odd in ("", "../keys/x", "r-nobody"):
            assert ended(client, "kernel.erase", "", {"run": odd}) == "unknown run"
    assert tape(kernel, kept).exists()
    assert key(kernel, kept) == before
    erased = entry(kernel.home, "erase", run=gone)
    assert (erased.principal, erased.why) == ("operator", "by the operator")
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))


@pytest.mark.wide
def test_the_command_asks_and_says_what_it_did(kernel: Kernel) -> None:
    run = begin(kernel, calls=3)
    chaos.outcome_of(kernel, run)
    until(lambda: entry(kernel.home, "run.end", run=run), "its end")
    shell = Shell(kernel.home)
    asked = shell.run("erase", run)
    assert (asked.code, tape(kernel, run).exists()) == (2, True)
    assert f"maniple erase {run} --yes" in asked.err
    assert shell.good("erase", run, "--yes") == f"The recording of {run} is erased.\n"
    assert not tape(kernel, run).exists()


def test_a_run_that_has_not_ended_keeps_its_tape(kernel: Kernel) -> None:
    run = begin(kernel, rest=0.5)
    with kernel.client() as client:
        assert ended(client, "kernel.erase", "", {"run": run}) == "alive"
    assert tape(kernel, run).exists()


@pytest.mark.wide
def test_what_lies_among_the_tapes_and_is_none_keeps_no_kernel_from_starting(kernel: Kernel) -> None:
    kernel.down()
    strange = kernel.home / "journal" / "runs"
    for name in ("notes.txt", "r-note", "x.tape", "r-\udcff.tape", "r-0000000000000000.tape"):
        (strange / name).write_text("none")
        os.utime(strange / name, (0, 0))
    (strange / "r-folder.tape").mkdir()
    os.utime(strange / "r-folder.tape", (0, 0))
    kernel.up()
    assert entry(kernel.home, "erase", run="r-0000000000000000").why == "older than 90 days"
    until(lambda: not (strange / "r-0000000000000000.tape").exists(), "the one that may be a tape is erased")
    assert (strange / "notes.txt").exists()


def test_what_is_old_is_erased_when_a_kernel_starts_and_a_run_that_failed_is_kept_longer(kernel: Kernel) -> None:
    runs = {"done": begin(kernel, calls=3), "failed": begin(kernel, calls="no")}
    assert {how: chaos.outcome_of(kernel, run)["outcome"] for how, run in runs.items()} == {how: how for how in runs}
    kernel.down()
    for run in runs.values():
        os.utime(tape(kernel, run), (0, time.time() - 31 * 86_400))
    kernel.up()
    assert entry(kernel.home, "erase", run=runs["done"]).why == "older than 30 days"
    assert not [one for one in entries(kernel.home, "erase") if one.run == runs["failed"]]
    assert tape(kernel, runs["failed"]).exists()


def test_a_clock_that_leapt_ahead_while_no_kernel_ran_costs_no_tape_at_once_nor_at_a_second_start(
    kernel: Kernel,
) -> None:
    """To a kernel that starts with the clock of next year all that lies here is a year old, also what ended just now."""
    run = begin(kernel, calls=3)
    chaos.outcome_of(kernel, run)
    kernel.down()
    last_year, note = time.time() - 365 * 86_400, kernel.home / "journal" / "looked"
    for path in (tape(kernel, run), *(kernel.home / "log").rglob("*"), *([note] if note.exists() else [])):
        os.utime(path, (last_year, last_year))
    for _ in range(2):
        _up_until_it_has_looked(kernel, note)
        assert tape(kernel, run).exists()
        kernel.down()
    assert "Traceback" not in kernel.log()


def _up_until_it_has_looked(kernel: Kernel, note: Path) -> None:
    def looked() -> float:
        return note.stat().st_ctime if note.exists() else 0.0

    before = looked()
    kernel.up()
    until(lambda: looked() != before, "it looks at what is old")
    with kernel.client() as client:
        assert ended(client, "kernel.status") == "done"  # that look is over


def test_the_folder_of_tapes_that_is_taken_away_is_made_anew_and_that_is_told(kernel: Kernel) -> None:
    """Before the first look at what is old; and while a run works, which cannot go on later."""
    folder = kernel.home / "journal" / "runs"
    kernel.down()
    kernel.up()
    shutil.rmtree(folder)
    time.sleep(1.3)
    assert "Traceback" not in kernel.log()
    lost = begin(kernel, rest=0.02)
    until(lambda: len(entries(kernel.home, "call")) > 6, "it is under way")
    assert kernel.log().count("journal/runs was missing") == 1
    shutil.rmtree(folder)
    whole = begin(kernel, calls=3)
    assert chaos.outcome_of(kernel, whole)["outcome"] == "done"
    assert tape(kernel, whole).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    kernel.kill()
    kernel.up()
    assert "it cannot resume" in entry(kernel.home, "run.end", run=lost).why
    with kernel.client() as client:
        assert ended(client, "kernel.status") == "done"
    assert chaos.outcome_of(kernel, begin(kernel, calls=3))["outcome"] == "done"
    assert "Traceback" not in kernel.log()


@pytest.mark.wide
def test_many_are_erased_in_one_go(kernel: Kernel) -> None:
    runs = [begin(kernel, calls=1) for _ in range(12)]
    for run in runs:
        chaos.outcome_of(kernel, run)
    kernel.down()
    for run in runs[:10]:
        os.utime(tape(kernel, run), (0, 0))
    kernel.up()
    until(lambda: not any(tape(kernel, run).exists() for run in runs[:10]), "ten are erased")
    assert all(set(key(kernel, run)) == {"0"} for run in runs[:10])
    assert all(tape(kernel, run).exists() and set(key(kernel, run)) != {"0"} for run in runs[10:])


@pytest.mark.wide
def test_more_than_are_erased_at_once_are_erased_all_the_same(kernel: Kernel) -> None:
    kernel.down()
    folder = kernel.home / "journal" / "runs"
    for number in range(2 * AT_ONCE + 1):
        (folder / f"r-{number:016}.tape").touch()
        os.utime(folder / f"r-{number:016}.tape", (0, 0))
    kernel.up()
    until(lambda: not list(folder.glob("r-0*.tape")), "all are erased")
    kernel.down()
    erased = [one.run for one in entries(kernel.home, "erase")]
    assert len(erased) == len(set(erased)) == 2 * AT_ONCE + 1


@pytest.mark.wide
def test_what_is_older_than_its_operator_says_is_erased(kernel: Kernel) -> None:
    young, old = begin(kernel, calls=3), begin(kernel, calls=3)
    for run in (young, old):
        chaos.outcome_of(kernel, run)
    kernel.down()
    home = kernel.home / "home.toml"
    home.write_text(home.read_text() + "\n[journal]\ndays = 10\n")
    os.utime(tape(kernel, old), (0, time.time() - 11 * 86_400))
    kernel.up()
    assert entry(kernel.home, "erase", run=old).why == "older than 10 days"
    until(lambda: not tape(kernel, old).exists(), "it is erased")
    assert tape(kernel, young).exists()
    assert call(kernel, "kernel.status") is not None
