"""What tests of a whole kernel share: waiting for what must come true, the log as it stands, and who is alive."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from kernel.home import Home
from kernel.record.recovery import Lines, read_notes
from tests.living import Kernel
from wire.checkpoint import open_checkpoints
from wire.codec import Value
from wire.entries import Entry, decode
from wire.verify import Verified, verify_lines

T = TypeVar("T")
PATIENCE = 45.0
"""Seconds after which what should come true has failed to, on a busy machine."""

PAGE = os.sysconf("SC_PAGE_SIZE")


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE, *, closely: bool = False) -> T:
    """Look until there is something to see; give it. Fails when there is nothing within so many seconds.

    The longer it has looked the less often it looks: a look may cost the kernel a link and a call, and what is waited for
    comes the later the more is looked. closely: not so, for who must be there at once.
    """
    began = time.monotonic()
    while not (seen := look()):
        waited = time.monotonic() - began
        assert waited < seconds, f"never came true: {what}"
        time.sleep(0.003 if closely else min(0.03, 0.003 + waited / 20))
    return seen


def entries(home: Path, *kinds: str) -> list[Entry]:
    """The whole entries on disk, of these kinds or all. Only those are decoded: a log of thousands is looked at often."""
    marks = [f'"kind":"{kind}"'.encode() for kind in kinds]
    lines = [line for line in Lines(home / "log") if not marks or any(mark in line for mark in marks)]
    return [entry for entry in (decode(line[:-1]) for line in lines) if not kinds or entry.kind in kinds]


def entry(home: Path, *kinds: str, seconds: float = PATIENCE, since: int = 0, **said: object) -> Entry:
    """The first entry of one of these kinds whose fields, or details, are as said, as soon as it is on disk."""

    def fits(one: Entry) -> bool:
        return one.seq >= since and all(
            getattr(one, name, one.detail.get(name)) == wanted for name, wanted in said.items()
        )

    found = until(lambda: list(filter(fits, entries(home, *kinds))), f"an entry {kinds} with {said}", seconds)
    return found[0]


class Shared(Kernel):
    """A kernel of several tests, one after the other: each sees the log from where it began itself."""

    since = 0

    def begin(self) -> None:
        """The next test begins; what was answered before is on disk."""
        self.since = len(entries(self.home))

    def end(self) -> None:
        """A test is over, which may have left it down: it runs, and no Hand is installed."""
        assert self.process is not None
        if self.process.poll() is not None:
            self.up()
        bare(self)

    def entries(self, *kinds: str) -> list[Entry]:
        """The entries since then, of these kinds or all."""
        return [one for one in entries(self.home, *kinds) if one.seq >= self.since]

    def entry(self, *kinds: str, seconds: float = PATIENCE, **said: object) -> Entry:
        """The first entry since then that is so, as soon as it is on disk."""
        return entry(self.home, *kinds, seconds=seconds, since=self.since, **said)


def verified(home: Path) -> Verified:
    """Verify all of a stopped kernel's log, as `maniple audit verify` does."""
    folder, opened = home / "log", Home(str(home))
    key, origin = opened.keys().log.verify_key, opened.identity.origin
    own = open_checkpoints(read_notes(folder, origin), [key], origin)
    return verify_lines(Lines(folder), checkpoints=own)


def moment(entry: Entry) -> float:
    """An entry's time in seconds since 1970."""
    from datetime import datetime

    return datetime.fromisoformat(entry.time).timestamp()


def call(kernel: Kernel, method: str, resource: str = "", arguments: object = None, *, seconds: float = 0) -> Value:
    """One call as the operator, over a link of its own; what Done brought."""
    with kernel.client() as client:
        return client.call(method, resource, arguments, seconds=seconds).value


def ended(client: Client, method: str, resource: str = "", arguments: object = None, *, seconds: float = 0) -> str:
    """How a call ends: "done", or the code of whatever else."""
    try:
        client.call(method, resource, arguments, seconds=seconds)
    except NotDone as error:
        return error.reason
    return "done"


def begin(client: Client, name: str, **inputs: object) -> str:
    """Begin a run of a task Hand; its id."""
    return str(table(client.call("kernel.start", name, {"inputs": inputs}).value)["run"])


def outcome(client: Client, run: str) -> dict[str, Any]:
    """How a run ended."""
    return dict(table(client.call("kernel.wait", "", {"run": run}, seconds=60).value))


def ran(client: Client, name: str, **inputs: object) -> dict[str, Any]:
    """How a whole run of a task Hand ended."""
    return outcome(client, begin(client, name, **inputs))


def held_up_by_no_pipe(asking: Callable[[], object], pipe: Path, other_end: int) -> None:
    """Ask, in a thread, for what makes a kernel open this pipe: it must not wait until somebody opens the other end."""
    thread = threading.Thread(target=asking)
    thread.start()
    thread.join(10)
    is_held = thread.is_alive()
    if is_held:  # whoever opens the other end lets the kernel go on
        os.close(os.open(pipe, other_end | os.O_NONBLOCK))
    thread.join()
    assert not is_held


def table(value: Value) -> dict[str, Value]:
    """A reply that is a table."""
    assert isinstance(value, dict)
    return value


def runs(kernel: Kernel, hand: str = "") -> list[dict[str, Value]]:
    """What runs now, of one Hand or of all."""
    rows = table(call(kernel, "kernel.ps"))["runs"]
    assert isinstance(rows, list)
    return [row for row in map(table, rows) if hand in ("", row["hand"])]


def alive(kernel: Kernel) -> list[dict[str, Value]]:
    """What has a process now."""
    return [row for row in runs(kernel) if row["pid"]]


def hands(kernel: Kernel) -> list[dict[str, Value]]:
    """The Hands that are installed."""
    rows = table(call(kernel, "kernel.hands"))["hands"]
    assert isinstance(rows, list)
    return [table(row) for row in rows]


def bare(kernel: Kernel, *kept: str) -> None:
    """Remove every Hand but these: but for its log, the next test finds the home as the one before did."""
    with kernel.client() as client:
        while names := {str(row["name"]) for row in hands(kernel)}.difference(kept):
            told = [ended(client, "kernel.remove", name) for name in names]
            assert "done" in told, (names, told)  # the others are needed by what was not removed before
    until(lambda: {row["hand"] for row in runs(kernel)} <= {*kept}, "nothing else runs any more")


def pid_of(kernel: Kernel, hand: str) -> int:
    """The first process of the one run of a Hand, as soon as there is one."""

    def pid() -> int:
        rows = runs(kernel, hand)
        assert len(rows) < 2, rows
        return int(str(rows[0]["pid"])) if rows else 0

    return until(pid, f"{hand} has a process")


def state_of(kernel: Kernel, hand: str) -> str:
    """The state of a Hand, as people see it."""
    return next(str(row["state"]) for row in hands(kernel) if row["name"] == hand)


def under(pid: int) -> list[psutil.Process]:
    """Every process below one, however deep, and however much of a daemon it made of itself."""
    return psutil.Process(pid).children(recursive=True)


def children(pid: int) -> list[int]:
    """The processes that a process with one thread has made and not reaped."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def spare_of(template: int) -> frozenset[int]:
    """What stands ready to be the template's next run, if anything does: it has nothing open but the line it waits on."""
    return frozenset(child for child in children(template) if _waits(child))


def _waits(pid: int) -> bool:
    try:
        names = {number: os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
        own = os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # it is gone, or nobody's to look into
        return False
    return own and state == "S" and sorted(names) == ["0", "1", "2", "3"] and names["3"].startswith("socket:")


def living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those of them that still run; one that is dead, and waits to be reaped by the machine, does not."""
    found = []
    for one in processes:
        try:
            found += [one] * (one.is_running() and one.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            pass
    return found


def zombies(pid: int) -> list[psutil.Process]:
    """What is dead below a process and was not reaped."""
    return [one for one in under(pid) if one.is_running() and one.status() == psutil.STATUS_ZOMBIE]


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def standing_still(pid: int) -> bool:
    """Whether every thread of a process is stopped."""
    return all(
        (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
        for thread in Path(f"/proc/{pid}/task").iterdir()
    )
