"""Pipelines after a power cut: wherever the log and the tapes of a home end, its pipeline comes to its own end.

One run is killed in the middle; then copies of its home are cut, the log at entries and bytes, the tapes at bytes that no
entry vouches for yet, and each goes on.
"""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.living import Kernel, make_home
from tests.spread import spread
from tests.system import chaos, fates
from tests.system.cuts import Whole, tape_of
from tests.system.fates import begin, entries, until
from tests.system.piped import add, furnish, ledger

STEPS = """
[steps.one]
hand = "worker"
with = { text = "one", fail = 1 }
retry = { times = 1, backoff = "100ms" }
[steps.each]
hand = "worker"
for_each = ["a", "b", "c"]
parallel = 2
with = { text = "each ${item}${steps.one.text}", seconds = 1 }
[steps.last]
hand = "worker"
needs = ["each"]
with = { text = "last" }
[outputs]
counts = "${[steps.one.count, steps.last.count, len(steps.each)]}"
"""
LINES = Counter({"one": 2, "each aone": 1, "each bone": 1, "each cone": 1, "last": 1})


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Whole, str]:
    """A home whose kernel was killed while the third step of three items ran, and the pipeline's run."""
    home = make_home(tmp_path_factory.mktemp("cut") / "home")
    with Kernel(home) as kernel:
        furnish(kernel)
        add(kernel, "cuts", STEPS)
        with kernel.client() as client:
            run = begin(client, "cuts")
            until(lambda: len(ledger(client)) == 5, "the third item has written its line")
        kernel.kill()
    return Whole(home), run


def check_goes_on(home: Path, run: str) -> None:
    """Fails unless the pipeline of a home comes to its end, each line was written once, and the log verifies."""
    with Kernel(home) as kernel:
        told = chaos.outcome_of(kernel, run)
        assert (told["outcome"], told["value"]) == ("done", {"counts": [2, 1, 3]}), str(told)
        with kernel.client() as client:
            assert Counter(line.partition(" ")[2] for line in ledger(client)) == LINES
        kernel.down()
    assert fates.verified(home).size == len(entries(home))


def signed(whole: Whole, run: str) -> int:
    """Entries that the checkpoint of every copy is over: those before the pipeline began."""
    return next(one.seq for one in whole.entries if one.run == run)


@pytest.mark.wide
def test_a_step_whose_run_was_begun_and_whose_work_the_log_has_lost_goes_on(
    killed: tuple[Whole, str], tmp_path: Path
) -> None:
    whole, run = killed
    starts = [one.seq for one in whole.entries if one.kind == "run.start" and one.detail["name"] == "worker"]
    assert len(starts) == 5
    seq = starts[3]
    after = whole.entries[seq + 1]
    assert (after.kind, after.method, after.call) == ("call", "run", whole.entries[seq].call)
    home = whole.cut(tmp_path / "cut", whole.ends[seq], signed=signed(whole, run))
    check_goes_on(home, run)
    lost = next(one for one in entries(home, "run.end") if one.run == whole.entries[seq].run)
    assert lost.verdict == "died"


def at_random(whole: Whole, run: str, to: Path, chance: random.Random) -> Path:
    """A copy that was cut somewhere after the pipeline's work had begun, each tape at a byte that nothing vouches for."""
    first = whole.ends[next(one.seq for one in whole.entries if one.kind == "call" and one.run == run)]
    at = chance.randrange(first, whole.ends[-1])
    runs = {one.run for one in whole.entries if one.kind == "run.start" and one.detail.get("kind") == "task"}
    there = {one.run for one, end in zip(whole.entries, whole.ends, strict=True) if end <= at} & runs
    tapes = {one: chance.randint(*whole.vouched(one, at)) for one in sorted(there)}
    return whole.cut(to, at, signed=signed(whole, run), tapes=tapes)


@pytest.mark.wide
@pytest.mark.parametrize("seed", spread(range(2), 1))
def test_cut_anywhere_a_pipeline_goes_on(killed: tuple[Whole, str], tmp_path: Path, seed: int) -> None:
    whole, run = killed
    check_goes_on(at_random(whole, run, tmp_path / "cut", random.Random(f"cut {seed}")), run)


@pytest.mark.parametrize(
    ("of", "damage"), spread([("pipeline", "byte"), ("step", "byte"), ("step", "key"), ("all", "missing")], 2)
)
def test_what_is_missing_of_a_pipeline_or_was_changed_is_named_and_nothing_is_guessed(
    killed: tuple[Whole, str], tmp_path: Path, of: str, damage: str
) -> None:
    """Of a step: it has failed as `ended`. Of the pipeline's own run: that has ended, and what it spawned with it."""
    whole, run = killed
    step = [one.run for one in whole.entries if one.kind == "run.start" and one.detail["name"] == "worker"][-1]
    home = whole.cut(tmp_path / "home", whole.ends[-1], signed=signed(whole, run))
    lost = {"pipeline": [run], "step": [step], "all": [run, step]}[of]
    for one in lost:
        tape = tape_of(home, one)
        if damage == "missing":
            tape.unlink()
        elif damage == "byte":
            at = whole.vouched(one, whole.ends[-1])[0] - 1
            tape.write_bytes(tape.read_bytes()[:at] + b"?" + tape.read_bytes()[at + 1 :])
        else:
            keys = home / "journal" / "keys" / "000000.jsonl"
            lines = keys.read_bytes().split(b"\n")
            keys.write_bytes(b"\n".join(b"-" * len(line) if one.encode() in line else line for line in lines))
    with Kernel(home) as kernel:
        if run not in lost:
            told = chaos.outcome_of(kernel, run)
            assert (told["outcome"], told["code"]) == ("failed", "ended"), str(told)
        until(lambda: all(ended(home, one) for one in {run, step}), "both have ended")
        with kernel.client() as client:
            assert Counter(line.partition(" ")[2] for line in ledger(client)) == LINES - Counter({"last": 1})
        kernel.down()
    why = {"missing": "No such file", "key": "its key was erased", "byte": "it lacks the message that entry"}[damage]
    ends = {one.run: one.why for one in entries(home, "run.end")}
    assert ends[lost[0]].startswith("run ended: it cannot resume: ")
    assert why in ends[lost[0]]
    if run in lost:
        assert "the run that spawned it does not resume" in ends[step]
    assert fates.verified(home).size == len(entries(home))


def ended(home: Path, run: str) -> bool:
    return any(one.run == run for one in entries(home, "run.end"))


@pytest.mark.soak
def test_cut_at_hundreds_of_places_a_pipeline_goes_on(killed: tuple[Whole, str], tmp_path: Path) -> None:
    whole, run = killed
    chance = random.Random(20261126)
    for number in range(300):
        home = at_random(whole, run, tmp_path / "cut", chance)
        check_goes_on(home, run)
        shutil.rmtree(home)
        print(number, flush=True)


@pytest.mark.soak
@pytest.mark.parametrize("of", ["the log", "its tape"])
def test_cut_at_every_byte_of_its_last_records_a_pipeline_goes_on(
    killed: tuple[Whole, str], tmp_path: Path, of: str
) -> None:
    whole, run = killed
    last = whole.ends[-3]
    places: list[tuple[int, dict[str, int]]] = [(at, {}) for at in range(last, whole.ends[-1] + 1)]
    if of == "its tape":
        at = next(end for one, end in zip(whole.entries, whole.ends, strict=True) if one.method == "kernel.spawn")
        good, end = whole.vouched(run, at)
        assert end - good > 400
        places = [(at, {run: byte}) for byte in range(good, good + 400)]
    for at, tapes in places:
        home = whole.cut(tmp_path / "cut", at, signed=signed(whole, run), tapes=tapes)
        check_goes_on(home, run)
        shutil.rmtree(home)
        print(at, tapes, flush=True)
