"""A call that only waited when all was ended is made when its run goes on, once; and costs nothing where that does not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos
from tests.system.costly import COSTLY, rooms, spent
from tests.system.fates import call, entries, entry, runs, table, until
from tests.system.test_resuming import begin

DESK = Source(
    COSTLY.toml.replace("costly", "desk").replace("Costly", "Desk").replace("in_flight = 128", "in_flight = 1")
    .split("\n[capabilities]")[0]
    + """
[limits]
in_flight = 1

[provides."desk.send"]
summary = "Have an effect, and take so long"
resource = "none"
effect = "external"
params = { text = "string", seconds = "float" }
""",
    """
import asyncio
from runtime import Call, Hand


class Desk(Hand):
    async def send(self, call: Call, text: str, seconds: float) -> str:
        with open(self.state / "sent", "a") as file:
            file.write(f"{text}\\n")
        await asyncio.sleep(seconds)
        return "sent"
""",
)  # fmt: skip

PAIR = Source(
    """
[hand]
name = "pair"
version = "1.0.0"
description = "Makes two calls at once, of which one waits for the other."
entry = "main:Pair"
kind = "task"
autonomy = "full"

[capabilities]
"desk.send" = ["*"]
""",
    """
import asyncio
from runtime import CallFailed, CallRefused, Cost, Hand


class Pair(Hand):
    async def run(self, second: float = 0.0, most: int = 0) -> list[str]:
        self.most = Cost(tokens=most, micro_dollars=most) if most else None
        return list(await asyncio.gather(self.send("first", 600.0), self.send("second", second)))

    async def send(self, text: str, seconds: float) -> str:
        try:
            return (await self.kernel.call("desk.send", text=text, seconds=seconds, at_most=self.most)).value
        except (CallFailed, CallRefused) as ended:
            return ended.code
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        yield kernel


def pair(kernel: Kernel, **inputs: object) -> str:
    """A run of which one call is at its provider, and one waits for that."""
    for hand in (DESK, PAIR):
        install(kernel, hand)
    run = begin(kernel, "pair", **inputs)
    until(lambda: sent(kernel) == ["first"], "one is there")
    until(lambda: len([one for one in entries(kernel.home, "call") if one.method == "desk.send"]) == 2, "both are made")
    return run


def sent(kernel: Kernel) -> list[str]:
    """What reached the provider."""
    return [line for file in kernel.home.glob("state/*/sent") for line in file.read_text().split()]


def frozen(kernel: Kernel) -> None:
    """Frozen, and every process is gone."""
    call(kernel, "kernel.freeze")
    until(lambda: not [row for row in runs(kernel) if row["pid"]], "no process is left")


def freeze(kernel: Kernel) -> None:
    frozen(kernel)
    call(kernel, "kernel.thaw")


def freeze_and_kill(kernel: Kernel) -> None:
    frozen(kernel)
    entry(kernel.home, "run.left")
    kernel.kill()
    kernel.up()
    call(kernel, "kernel.thaw")


def down(kernel: Kernel) -> None:
    kernel.down()
    kernel.up()


def down_without_snapshot(kernel: Kernel) -> None:
    kernel.down()
    (kernel.home / "log/snapshot").unlink()
    kernel.up()


WAYS = (down_without_snapshot, freeze, freeze_and_kill, down)


@pytest.mark.parametrize("way", spread(WAYS, 2))
def test_a_call_that_only_waited_is_made_and_one_that_was_at_its_provider_is_unknown(
    kernel: Kernel, way: Callable[[Kernel], None]
) -> None:
    run = pair(kernel)
    way(kernel)
    assert chaos.outcome_of(kernel, run)["value"] == ["outcome unknown", "sent"]
    assert sent(kernel) == ["first", "second"]
    made = [one.call for one in entries(kernel.home, "call") if one.method == "desk.send"]
    ends = {one.call: one.verdict for one in entries(kernel.home, "end") if one.method == "desk.send"}
    assert [ends[one] for one in made] == ["failed", "done"]


@pytest.mark.wide
@pytest.mark.parametrize("module", spread(["kernel.main", "tests.system.often"], 1))
@pytest.mark.parametrize("way", spread(WAYS, 1))
def test_one_that_reached_its_provider_since_then_is_unknown_as_any(
    tmp_path: Path, way: Callable[[Kernel], None], module: str
) -> None:
    with Kernel(make_home(tmp_path / "home"), module) as kernel:
        run = pair(kernel, second=600.0)
        way(kernel)
        until(lambda: sent(kernel) == ["first", "second"], "it is there now")
        kernel.kill()
        kernel.up()
        assert chaos.outcome_of(kernel, run)["value"] == ["outcome unknown"] * 2
        assert sent(kernel) == ["first", "second"]


@pytest.mark.parametrize("way", spread([frozen, down], 1))
def test_only_what_was_at_its_provider_costs_its_most_when_the_run_does_not_go_on(
    kernel: Kernel, way: Callable[[Kernel], None]
) -> None:
    run = pair(kernel, most=100)
    call(kernel, "kernel.pause", "pair")
    way(kernel)
    call(kernel, "kernel.stop", run)
    until(lambda: entries(kernel.home, "run.end")[-1].run == run, "it has ended")
    assert spent(kernel) == 100
    ends: dict[int, Any] = {one.call: one for one in entries(kernel.home, "end") if one.method == "desk.send"}
    assert [(one.verdict, one.cost and one.cost.tokens) for _, one in sorted(ends.items())] == [
        ("failed", 100),
        ("cancelled", None),
    ]
    assert all(row["reserved"] == 0 for row in rooms(kernel, "").values())


SLOW_DESK = DESK._replace(
    main=DESK.main.replace(
        "class Desk(Hand):",
        """class Desk(Hand):
    async def start(self) -> None:
        (self.state / "starts").touch()
        while (self.state / "hold").exists():
            await asyncio.sleep(0.02)
""",
    )
)
CLERK = Source(
    """
[hand]
name = "desk"
version = "1.0.0"
description = "Has an effect, and takes its time to start."
entry = "main:Desk"
kind = "task"
autonomy = "full"

[provides."desk.send"]
summary = "Have an effect"
resource = "none"
effect = "external"
params = { text = "string", seconds = "float" }
""",
    """
import asyncio

from runtime import Call, Hand


class Desk(Hand):
    async def start(self) -> None:
        await asyncio.sleep(1.5)

    async def send(self, call: Call, text: str, seconds: float) -> str:
        return "sent"
""",
)


def test_what_a_process_that_dies_late_had_to_answer_is_answered_by_the_next_alone(tmp_path: Path) -> None:
    """A call that was put back, and is made again, has the same number: the end of the one before is not its own."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.late") as kernel:
        for hand in (CLERK, PAIR):
            install(kernel, hand)
        run = begin(kernel, "pair")
        until(lambda: len(entries(kernel.home, "run.confined")) == 3, "both that answer are starting")
        call(kernel, "kernel.freeze")
        call(kernel, "kernel.thaw")
        assert chaos.outcome_of(kernel, run)["value"] == ["sent", "sent"]


@pytest.mark.wide
def test_a_call_that_is_made_again_does_not_take_its_own_place_in_the_queue_before_it_is_due(tmp_path: Path) -> None:
    """Else it is at its provider before the log on disk says that it may be, and after a crash it is made once more."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.late") as kernel:
        slow = kernel.home / "run/slow"
        for hand in (SLOW_DESK, PAIR):
            install(kernel, hand)
        run = begin(kernel, "pair")
        until(lambda: sent(kernel) == ["first"], "one is there")
        until(lambda: len([one for one in entries(kernel.home, "call") if one.method == "desk.send"]) == 2, "both are")
        (starts,) = kernel.home.glob("state/*/starts")
        starts.with_name("hold").touch()
        starts.unlink()
        call(kernel, "kernel.freeze")
        call(kernel, "kernel.thaw")
        slow.touch()
        until(lambda: starts.exists(), "it starts again")
        again = until(lambda: [row for row in runs(kernel, "pair") if row["open"] == 2], "its caller has asked again")
        starts.with_name("hold").unlink()
        until(lambda: "second" in sent(kernel), "it is there", closely=True)
        durable = table(call(kernel, "kernel.status"))["durable"]
        assert isinstance(durable, int)
        slow.unlink()
        chaos.outcome_of(kernel, run)
        _, begun = [one for one in entries(kernel.home, "run.start") if one.run == again[0]["run"]]
        assert durable > begun.seq
        assert sent(kernel) == ["first", "second"]
