"""Every limit of a HAND.toml has its effect on a real process, and the end says which it was."""

from collections.abc import Iterator

import pytest

from manifests import values
from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import call, ended, entries, entry, table, until
from tests.system.programs import in_sh
from wire.codec import Value

LIMITS = """
[limits]
memory = "64MiB"
cpu = "1s"
wall = "1m"
processes = 12
open_files = 32
file_size = "1MiB"
"""

GLUTTON = Source(
    f"""
[hand]
name = "glutton"
version = "1.0.0"
description = "Takes more than it may."
entry = "main:Glutton"
kind = "task"
autonomy = "full"
{LIMITS}""",
    """
import asyncio, os, time
from runtime import Hand


class Glutton(Hand):
    async def run(self, what: str) -> object:
        return await getattr(self, what)()

    async def memory(self) -> object:
        kept = []
        while True:
            kept.append(bytearray(1 << 20))

    async def cpu(self) -> object:
        while True:
            pass

    async def wall(self) -> object:
        await asyncio.sleep(3600)

    async def processes(self) -> object:
        for count in range(100):
            if os.fork() == 0:
                time.sleep(3600)

    async def open_files(self) -> object:
        kept = []
        while True:
            kept.append(open("/dev/null"))

    async def file_size(self) -> object:
        with open(self.scratch / "large", "wb") as file:
            for _ in range(3):
                file.write(bytes(1 << 20))
""",
)

GREEDY = Source(
    f"""
[hand]
name = "greedy"
version = "1.0.0"
description = "A service that takes more than it may."
entry = "main:Greedy"
kind = "service"
autonomy = "full"
{LIMITS}
[provides."greedy.burn"]
summary = "Compute for ever"
resource = "none"
effect = "read"

[provides."greedy.have-burnt"]
summary = "Have another process compute for ever"
resource = "none"
effect = "read"

[provides."greedy.spin"]
summary = "Compute for ever, and hear nothing"
resource = "none"
effect = "read"

[provides."greedy.wait"]
summary = "Wait for ever"
resource = "none"
effect = "read"

[provides."greedy.work"]
summary = "Compute for less than is allowed"
resource = "none"
effect = "read"
params = {{ seconds = "float" }}
""",
    """
import asyncio, os, time
from runtime import Call, Hand


class Greedy(Hand):
    async def have_burnt(self, call: Call) -> object:
        if os.fork() == 0:
            while True:
                pass
        await asyncio.sleep(3600)

    async def burn(self, call: Call) -> object:
        while True:
            await asyncio.sleep(0)

    async def spin(self, call: Call) -> object:
        while True:
            pass

    async def wait(self, call: Call) -> object:
        await asyncio.sleep(3600)

    async def work(self, call: Call, seconds: float) -> object:
        end = time.process_time() + seconds
        while time.process_time() < end:
            await asyncio.sleep(0)
        return {}
""",
)


def _hurried(hand: Source, name: str, to: str) -> Source:
    """The same under another name, with a second for everything."""
    return Source(hand.toml.replace(name, to).replace("1m", "1s"), hand.main)


LEAST = "\n".join(
    f"{name} = {values.format_limit(name, limit.floor)}"
    for name, limit in values.LIMITS.items()
    if name not in ("wall", "fuel")
)
"""The least of every limit, but of time, which is as short as the machine is fast, and of what is for WASM Hands."""

FRUGAL = Source(
    f"""
[hand]
name = "frugal"
version = "1.0.0"
description = "Takes as little as one may have."
entry = "main:Frugal"
kind = "service"
autonomy = "full"
isolation = "fork"

[limits]
{LEAST}

[provides."frugal.do"]
summary = "Do it"
resource = "none"
effect = "read"
""",
    """
from runtime import Call, Hand


class Frugal(Hand):
    async def do(self, call: Call) -> object:
        return "up"
""",
)
PROGRAM = in_sh("frugal", """told "{\\"type\\":\\"done\\",\\"id\\":$id,\\"value\\":\\"up\\"}" """)
FRUGALS = {
    "fork": FRUGAL,
    "exec": FRUGAL._replace(toml=FRUGAL.toml.replace('"fork"', '"exec"')),
    "a program": PROGRAM._replace(toml=PROGRAM.toml.replace("processes = 32", LEAST)),
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("limits") / "home")) as kernel:
        install(kernel, GLUTTON)
        install(kernel, GREEDY)
        install(kernel, _hurried(GLUTTON, "glutton", "hurried"))
        install(kernel, _hurried(GREEDY, "greedy", "hasty"))
        yield kernel


def _outcome(kernel: Kernel, what: str) -> dict[str, Value]:
    hand = "hurried" if what == "wall" else "glutton"
    return table(call(kernel, "kernel.start", hand, {"inputs": {"what": what}, "wait": True}))


@pytest.mark.parametrize(
    ("what", "code", "text"),
    [
        ("memory", "raised", "MemoryError"),
        ("cpu", "ended", "run ended: it used more than its 1 s of processor time"),
        ("wall", "deadline", "run did not end within its time: [limits] wall, or less where its caller gave less"),
        ("processes", "raised", "Resource temporarily unavailable"),
        ("open_files", "raised", "Too many open files"),
        ("file_size", "raised", "File too large"),
    ],
)
def test_a_limit_ends_a_run_and_the_end_says_which_it_was(kernel: Kernel, what: str, code: str, text: str) -> None:
    told = _outcome(kernel, what)
    assert (told["outcome"], told["code"]) == ("failed", code), told
    assert text in str(told["text"])
    end = entry(kernel.home, "run.end", run=told["run"])
    assert (end.verdict, end.why) == (("died", text[11:]) if what == "cpu" else ("ended", "its work has ended"))
    logged = [one for one in entries(kernel.home, "end") if one.method == "run"][-1]
    assert (logged.verdict, text in logged.why) == ("failed", True)
    assert not [row for row in fates.runs(kernel) if row["run"] == told["run"]]


def test_processor_time_counts_per_call_at_a_service_which_is_started_again(kernel: Kernel) -> None:
    call(kernel, "kernel.start", "greedy")
    with kernel.client() as client:
        for _ in range(2):  # together more than one call may use
            assert ended(client, "greedy.work", "", {"seconds": 0.6}) == "done"
        assert len(entries(kernel.home, "hand.ready")) == 1
        assert ended(client, "greedy.burn") == "cpu"
        died = entry(kernel.home, "run.end", why="a call used more than its 1 s of processor time")
        assert died.verdict == "died"
        entry(kernel.home, "hand.state", verdict="backing_off")
        until(lambda: fates.state_of(kernel, "greedy") == "ready", "it is wanted, so it is up again")
        assert ended(client, "greedy.work", "", {"seconds": 0.0}) == "done"


@pytest.mark.wide
def test_a_service_that_goes_on_computing_for_a_call_whose_time_is_over_is_ended_too(kernel: Kernel) -> None:
    """As a loop that never gives way hears nothing, not even that nobody waits for it any more."""
    with kernel.client() as client:
        client.call("kernel.start", "greedy")
        for _ in range(2):  # who comes later waits in vain, and pays with it
            assert ended(client, "greedy.spin", seconds=0.3) == "deadline"
        entry(kernel.home, "run.end", why="a call used more than its 1 s of processor time")
        until(lambda: fates.state_of(kernel, "greedy") == "ready", "it is wanted, so it is up again")
        assert ended(client, "greedy.work", "", {"seconds": 0.0}) == "done"


@pytest.mark.wide
def test_what_other_processes_of_a_service_compute_counts_too(kernel: Kernel) -> None:
    """As of a program or an MCP server, whose first process is a bridge and does next to nothing."""
    with kernel.client() as client:
        assert ended(client, "greedy.have-burnt") == "cpu"


def test_wall_time_counts_per_call_at_a_service_which_goes_on(kernel: Kernel) -> None:
    with kernel.client() as client:
        client.call("kernel.start", "hasty")
        at = fates.pid_of(kernel, "hasty")
        assert ended(client, "hasty.wait", seconds=60) == "deadline"
        assert fates.pid_of(kernel, "hasty") == at


CHATTERER = Source(
    """
[hand]
name = "chatterer"
version = "1.0.0"
description = "Prints nearly as much as it may."
entry = "main:Chatterer"
kind = "task"
autonomy = "full"

[limits]
file_size = "64KiB"
""",
    """
from runtime import Hand


class Chatterer(Hand):
    async def run(self, number: int) -> object:
        print("x" * 60_000, f"run {number} has printed", flush=True)
        return {}
""",
)


def test_what_a_run_printed_leaves_room_for_the_next(kernel: Kernel) -> None:
    install(kernel, CHATTERER)
    for number in range(1, 4):
        told = table(call(kernel, "kernel.start", "chatterer", {"inputs": {"number": number}, "wait": True}))
        assert told["outcome"] == "done", told
        assert f"run {number} has printed" in (kernel.home / "output" / "chatterer.log").read_text()


@pytest.mark.parametrize("what", FRUGALS)
def test_a_hand_comes_up_with_the_least_of_every_limit(what: str, kernel: Kernel) -> None:
    source = FRUGALS[what]
    name = f"frugal-{what.replace(' ', '-')}"
    install(kernel, source._replace(toml=source.toml.replace("frugal", name)))
    with kernel.client() as client:
        assert client.call(f"{name}.do").value == "up"
