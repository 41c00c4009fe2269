"""`maniple replay`: a recorded run again, from its tape alone, with its own code or with another's."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.living import ROOT, Kernel, Source, install, make_home, write_hand
from tests.system import chaos, fates, piped
from tests.system.fates import entries, until
from tests.system.recordings import RACER, SLOW, maniple, replay
from tests.system.test_resuming import begin
from tests.system.test_wasm import ECHO, guest


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    work = tmp_path_factory.mktemp("replay")
    (work / "data").mkdir()
    with Kernel(make_home(work / "home"), "tests.system.hasty") as kernel, kernel.client() as client:
        chaos.prepare(kernel)
        for hand in (ROOT / "hands" / "files", ROOT / "hands" / "data-pipeline", SLOW, RACER):
            install(kernel, hand)
        client.call("kernel.root-add", "data", {"path": str(work / "data")})
        client.call("kernel.set", "racer", {"values": {"token": "hush-hush"}})
        yield kernel


@pytest.fixture(scope="module")
def journey(kernel: Kernel) -> str:
    run = begin(kernel, calls=9, wide=3, rest=0.005)
    chaos.is_right(chaos.outcome_of(kernel, run), chaos.done(kernel.home), 9)
    return run


@pytest.fixture(scope="module")
def race(kernel: Kernel) -> str:
    run = begin(kernel, "racer")
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["outcome"] == "done", outcome
    return run


def changed(folder: Path, source: Source, old: str, new: str) -> str:
    """A Hand's folder with one piece of its code replaced."""
    assert old in source.main
    return str(write_hand(folder, source._replace(main=source.main.replace(old, new))))


# the same code --------------------------------------------------------------------------------------------------------


def test_a_run_replayed_makes_the_same_calls_comes_to_the_same_end_and_changes_nothing(
    kernel: Kernel, journey: str
) -> None:
    done, calls = chaos.done(kernel.home), len(entries(kernel.home, "call"))
    pids = [row["pid"] for row in fates.runs(kernel, "ledger")]
    tape = (kernel.home / "journal" / "runs" / f"{journey}.tape").read_bytes()
    said = replay(kernel, journey)
    assert said.code == 0, said.words
    asked = [row["on"] for row in said.rows[:-1] if row["kind"] == "call"]
    assert [one for one in asked if one != "kernel.sleep"] == ["ledger.read", "ledger.set", "ledger.add"] * 3
    assert said.rows[0]["kind"] == "work"
    assert said.verdict["end"] == "done"
    assert chaos.done(kernel.home) == done
    assert (kernel.home / "journal" / "runs" / f"{journey}.tape").read_bytes() == tape
    assert [row["pid"] for row in fates.runs(kernel, "ledger")] == pids
    since = entries(kernel.home, "call")[calls:]
    assert {one.method for one in since} <= {"kernel.replay", "kernel.ps"}
    until(lambda: not [row for row in fates.runs(kernel, "journey") if row["pid"]], "no process of it is left")


@pytest.mark.wide
def test_a_run_whose_parts_compete_replays_in_the_same_order(kernel: Kernel, race: str) -> None:
    fates.call(kernel, "kernel.stop", "slow")
    for said in [replay(kernel, race) for _ in range(3)]:
        assert said.code == 0, said.words
    assert not fates.runs(kernel, "slow"), "what it needs was started"
    said = replay(kernel, race)
    shown = {str(row["said"]) for row in said.rows[:-1]}
    assert {"call", "done", "failed", "cancelled", "chunk", "credit", "event"} <= shown
    paid = [row for row in said.rows[:-1] if row.get("cost")]
    assert paid[0]["cost"] == {"micro_dollars": 7, "tokens": 3}
    assert paid[0]["labels"] == ["slow"]
    assert "hush" not in said.out


def test_a_run_that_went_on_in_another_process_replays_as_one(kernel: Kernel) -> None:
    run = begin(kernel, calls=24, rest=0.02)
    until(
        lambda: [row for row in fates.runs(kernel, "journey") if row["run"] == run and int(str(row["calls"])) > 4],
        "calls",
    )
    (row,) = [row for row in fates.runs(kernel, "journey") if row["run"] == run]

    os.kill(int(str(row["pid"])), signal.SIGKILL)
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"
    said = replay(kernel, run)
    assert said.code == 0, said.words
    assert said.verdict["requests"] == 48


@pytest.mark.wide
def test_a_bundled_hands_run_replays(kernel: Kernel, tmp_path: Path) -> None:
    with kernel.client() as client:
        roots = client.call("kernel.home").value
    data = Path(roots["roots"]["data"])  # type: ignore[index,call-overload,arg-type]
    for name in ("weather.csv", "weather.toml"):
        for found in (ROOT / "docs" / "demo").rglob(name):
            shutil.copy(found, data / name)
    (data / "in.csv").write_text("name,age\nann,41\nbob,x\n" + "".join(f"n{n},{n}\n" for n in range(3000)))
    run = begin(kernel, "data-pipeline", source="data/in.csv", target="data/out.jsonl")
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["outcome"] == "done", outcome
    (data / "out.jsonl").unlink()
    (data / "in.csv").unlink()
    said = replay(kernel, run)
    assert said.code == 0, said.words
    assert {"files.read", "files.write"} <= {row["on"] for row in said.rows[:-1] if "on" in row}
    assert not (data / "out.jsonl").exists()
    shutil.copytree(
        ROOT / "hands" / "data-pipeline", tmp_path / "changed", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = next(file for file in (tmp_path / "changed").glob("*.py") if '"files.write"' in file.read_text())
    code.write_text(code.read_text().replace('"files.write"', '"files.append"'))
    other = replay(kernel, run, "--against", str(tmp_path / "changed"))
    assert other.code == 5, other.words
    assert other.verdict["difference"]["recorded"]["on"] == "files.write"  # type: ignore[index]
    assert other.verdict["difference"]["now"]["on"] == "files.append"  # type: ignore[index]


@pytest.mark.wide
def test_a_pipelines_run_replays_with_its_file_and_with_a_changed_one(tmp_path: Path) -> None:
    steps = '[steps.a]\nhand = "journey"\nwith = { calls = 3 }\n'
    file, other = tmp_path / "made.pipeline.toml", tmp_path / "other.pipeline.toml"
    file.write_text(piped.HEAD.replace("NAME", "made") + steps)
    other.write_text(piped.HEAD.replace("NAME", "other") + steps)
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        chaos.prepare(kernel)
        piped.add(kernel, "made", steps)
        run = fates.begin(client, "made")
        assert fates.outcome(client, run)["outcome"] == "done"
        assert (replay(kernel, run).code, replay(kernel, run, "--against", str(file)).code) == (0, 0)
        file.write_text(file.read_text().replace("calls = 3", "calls = 4"))
        said = replay(kernel, run, "--against", str(file))
        assert said.code == 5, said.words
        assert "at .inputs.calls: 3 became 4" in said.words
        said = replay(kernel, run, "--against", str(other))
        assert (said.code, "is the Hand other, and" in said.words) == (2, True)


def test_a_wasm_hands_run_replays(kernel: Kernel, tmp_path: Path) -> None:
    install(kernel, guest(tmp_path / "guest", ECHO))
    run = begin(kernel, "guest", a=1)
    assert chaos.outcome_of(kernel, run)["value"] == {"a": 1}
    assert replay(kernel, run).code == 0
    other = guest(tmp_path / "other", ECHO.replace("(local.get $size)", "(i32.const 1)"))
    assert replay(kernel, run, "--against", str(other)).code == 5
    assert replay(kernel, run).code == 0


@pytest.mark.wide
def test_a_run_with_an_interpreter_of_its_own_replays_with_sets_in_the_same_order(kernel: Kernel) -> None:
    install(kernel, ALONE)
    run = begin(kernel, "alone")
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"
    for _ in range(3):
        said = replay(kernel, run)
        assert said.code == 0, said.words


ALONE = Source(
    """
[hand]
name = "alone"
version = "1.0.0"
description = "Has an interpreter of its own."
entry = "main:Alone"
kind = "task"
autonomy = "full"
isolation = "exec"
""",
    """
from runtime import Hand


class Alone(Hand):
    async def run(self):
        for name in {f"name {n}" for n in range(9)}:
            await self.kernel.note(name)
        return {"drawn": self.random.random()}
""",
)


def test_a_programs_run_replays_by_what_it_asks(kernel: Kernel, tmp_path: Path) -> None:
    program = write_hand(tmp_path / "program", PROGRAM)
    (program / "main.py").chmod(0o755)
    install(kernel, program, as_declared=True)
    run = begin(kernel, "teller")
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"
    said = replay(kernel, run)
    assert said.code == 0, said.words
    assert [row["on"] for row in said.rows[1:-1]] == ["ledger.read", "ledger.read"]
    other = write_hand(tmp_path / "other", PROGRAM._replace(main=PROGRAM.main.replace("ask 2", "ask 3")))
    (other / "main.py").chmod(0o755)
    said = replay(kernel, run, "--against", str(other))
    assert said.code == 5
    assert "it makes a request that the recorded run did not make" in said.words


PROGRAM = Source(
    """
[hand]
name = "teller"
version = "1.0.0"
description = "A program that calls."
command = ["./main.py"]
kind = "task"
autonomy = "full"

[capabilities]
"ledger.read" = ["*"]

[limits]
processes = 8
""",
    """#!/bin/sh
told() { printf '%s\\n' "$1" >&3; }
ask() { told '{"type":"call","id":'$1',"method":"ledger.read","resource":"p'$1'"}'; read -r reply <&3; }
read -r hello <&3
told '{"type":"ready"}'
read -r call <&3
id=${call#*'"id":'}; id=${id%%,*}; id=${id%%\\}*}
ask 1
ask 2
told '{"type":"done","id":'$id',"value":"both"}'
read -r stop <&3
""",
)


# other code -----------------------------------------------------------------------------------------------------------


def test_a_changed_argument_is_the_first_difference(kernel: Kernel, journey: str, tmp_path: Path) -> None:
    other = changed(tmp_path / "other", chaos.JOURNEY, 'f"{n} {self', 'f"{n}: {self')
    hands = sorted(path.name for path in (kernel.home / "hands").iterdir())
    said = replay(kernel, journey, "--against", other)
    assert said.code == 5
    difference = said.verdict["difference"]
    assert isinstance(difference, dict)
    assert difference["recorded"]["arguments"]["text"].startswith("1 0.")
    assert difference["now"]["arguments"]["text"].startswith("1: 0.")
    assert "request 3 of the run is the same with other arguments at .text" in said.words
    assert "journey 1.0.0" in said.words
    assert sorted(path.name for path in (kernel.home / "hands").iterdir()) == hands


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('("read", "set", "add")', '("set", "read", "add")', "request 1 of the run is something else"),
        ('return reply.value["text"]', 'return reply.value["text"] + "!"', "it comes to another end at .value.told[0]"),
        ("range(0, calls, wide)", "range(0, calls - 3, wide)", "it ends where it should ask for more"),
        (
            'return {"told"',
            'await self.step(0)\n        return {"told"',
            "it makes a request that the recorded run did not make",
        ),
        ("self.unknown = []", "raise ValueError('no')", "it ends where it should ask for more"),
        ("import time", "import no_such_module", "No module named 'no_such_module'"),
        ("self.unknown = []", "self.unknown = []; await asyncio.Event().wait()", "it waits where it should ask"),
    ],
)
def test_each_kind_of_change_is_named(
    kernel: Kernel, journey: str, tmp_path: Path, old: str, new: str, why: str
) -> None:
    said = replay(kernel, journey, "--against", changed(tmp_path / "other", chaos.JOURNEY, old, new))
    assert said.code == 5
    assert why in said.words


def test_changed_code_that_makes_the_same_calls_is_as_good(kernel: Kernel, journey: str, tmp_path: Path) -> None:
    other = changed(tmp_path / "other", chaos.JOURNEY, "told += await", "told = told + await")
    said = replay(kernel, journey, "--against", other)
    assert said.code == 0, said.words


def test_the_folder_must_be_of_the_same_hand(kernel: Kernel, journey: str, tmp_path: Path) -> None:
    said = replay(kernel, journey, "--against", str(write_hand(tmp_path / "other", RACER)))
    assert said.code == 2
    assert "is the Hand racer" in said.words


# how it is seen -------------------------------------------------------------------------------------------------------


def test_people_see_a_line_for_each_message(kernel: Kernel, journey: str) -> None:
    said = maniple(kernel.home, "replay", journey)
    assert said.code == 0
    assert "ledger.read n0" in said.out
    assert '{"text":"reading of n0"}' in said.out
    assert "The same 12 requests, and to the same end, done." in said.words


@pytest.mark.parametrize("step", [True, False])
def test_with_a_step_at_a_time_the_run_is_told_nothing_before_there_is_credit(
    kernel: Kernel, journey: str, step: bool
) -> None:
    ahead: list[int] = []

    with kernel.client() as client:

        def slowly(_: bytes) -> None:
            ahead.append(client._link.poll(100))

        client.call("kernel.replay", journey, {"step": step}, seconds=60, chunk=slowly)
    assert len(ahead) == 13
    assert any(ahead[:-1]) is not step


def test_on_a_terminal_a_step_waits_for_enter(kernel: Kernel, journey: str) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "kernel.cli", "replay", journey, "--step", "--json", "--home", str(kernel.home)]
    with subprocess.Popen(words, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, bufsize=0) as command:
        assert command.stdout is not None
        for count in range(1, 14):
            row = msgspec.json.decode(command.stdout.readline())
            assert row["count"] == count
            ready, _, _ = select.select([command.stdout], [], [], 0.1)
            assert not ready, "it did not wait"
            os.write(ours, b"\n")
        assert b"verdict" in command.stdout.readline()
        assert command.wait(10) == 0
    os.close(ours)
    os.close(theirs)


def test_whoever_gives_up_ends_the_replayed_run(kernel: Kernel, journey: str) -> None:
    def stop(_: bytes) -> None:
        time.sleep(0.5)  # it has asked for all that it may ask for now
        raise InterruptedError

    with pytest.raises(InterruptedError), kernel.client() as client:
        client.call("kernel.replay", journey, {"step": True}, seconds=60, chunk=stop)
    until(lambda: not [row for row in fates.runs(kernel, "journey") if row["pid"]], "no process is left", 5.0)


def test_a_hand_may_not_replay(kernel: Kernel, journey: str) -> None:
    install(kernel, ASKER)
    run = begin(kernel, "asker", of=journey)
    assert "operator" in str(chaos.outcome_of(kernel, run)["value"])


ASKER = Source(
    """
[hand]
name = "asker"
version = "1.0.0"
description = "Asks for what it may not."
entry = "main:Asker"
kind = "task"
autonomy = "full"
""",
    """
from runtime import CallRefused, Hand

class Asker(Hand):
    async def run(self, of):
        try:
            await self.kernel.call("kernel.replay", of)
        except CallRefused as refused:
            return f"{refused.code} {refused.why}"
""",
)
