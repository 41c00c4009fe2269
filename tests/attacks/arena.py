"""Where attacks take place: a kernel, a neighbour that must not notice, and what an attack must leave as it was (acts)."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from kernel.cli import live_runs
from kernel.cli.client import Client
from kernel.home import Home
from manifests.values import UID_COUNT, uid_of
from tests.attacks.attack import Attack, Given
from tests.attacks.neighbour import BYSTANDER, NEIGHBOUR
from tests.attacks.puppet import puppet
from tests.living import Kernel, install, make_home
from tests.system import fates
from wire.codec import Value

ON_TIME: Final = 1.0
"""Seconds in which the neighbour answers, whatever goes on beside it: a hundred times what it takes."""

MEANWHILE: Final = 5.0
"""Seconds in which it answers while an attack takes what it can of two cores that other tests use too."""

PROMPT: Final = 0.5
"""Seconds in which it answers then nine times of ten: ten times what it takes on two busy cores."""

_PAUSE: Final = 0.05
"""Seconds between two questions: enough of them for the shortest attack, and no load of their own."""

_EVERYBODYS: Final = ("/tmp", "/var/tmp", "/dev/shm")


class Traces(NamedTuple):
    """What an attack could leave behind, and must not: all as it was before it."""

    processes: frozenset[int]
    scratch: frozenset[str]
    descriptors: tuple[int, int]
    mounts: tuple[int, int]
    files: frozenset[str]


class Arena:
    """A kernel with a neighbour in it. operator: a link to it; prey: what else of this machine may be attacked."""

    def __init__(self, kernel: Kernel, operator: Client, prey: Given) -> None:
        self.kernel, self._operator, self._prey = kernel, operator, prey
        self._puppets: dict[tuple[frozenset[str], tuple[tuple[str, str | int], ...]], str] = {}
        install(kernel, NEIGHBOUR)
        install(kernel, BYSTANDER)
        operator.call("neighbour.say", "", {"text": "up"})
        (self.neighbour,) = live_runs.fetch_all(operator)
        self.template = kernel.template_pid
        first = uid_of(Home(str(kernel.home)).identity.hash_seed, 0, None)
        self._ids = range(first, first + UID_COUNT)
        (self._state,) = (kernel.home / "state").iterdir()
        self.before = self._quiet()

    def given(self) -> dict[str, str]:
        """What the attacker may know of this machine."""
        return {
            **self._prey, "home": str(self.kernel.home), "kernel": str(self.kernel.pid),
            "template": str(self.template), "neighbour": str(self.neighbour.pid),
            "neighbour_run": self.neighbour.run, "neighbour_state": str(self._state),
            "neighbour_scratch": str(self.kernel.home / "scratch" / self.neighbour.run),
        }  # fmt: skip

    def suffer(self, attack: Attack, layers: frozenset[str] = frozenset()) -> dict[str, Value]:
        """Let the attack run to its end, without layers where the kernel is a weakened one.

        What came of it: got; or refused, with text; or how the run ended, as refused.
        """
        given, hand = {**self.given(), **attack.told(self.given())}, self._puppet(layers, attack.limits)
        inputs = {"code": attack.code, "given": given}
        outcome = self._operator.call("kernel.start", hand, {"inputs": inputs, "wait": True}, seconds=60).value
        assert isinstance(outcome, dict)
        if isinstance(outcome["value"], dict):
            return outcome["value"]
        return {"refused": outcome["code"] or outcome["outcome"], "text": outcome["text"]}

    @contextmanager
    def asking_meanwhile(self) -> Iterator[None]:
        """Ask the neighbour again and again while the block runs; each answer must come soon."""
        over, waits, first = threading.Event(), list[float](), threading.Event()

        def ask() -> None:
            try:
                with self.kernel.client() as client:
                    while not over.wait(_PAUSE):
                        begun = time.monotonic()
                        client.call("neighbour.say", "", {"text": "still here"}, seconds=2 * MEANWHILE)
                        waits.append(time.monotonic() - begun)
                        first.set()
            finally:
                first.set()

        with ThreadPoolExecutor(1) as threads:
            asking = threads.submit(ask)
            first.wait()
            try:
                yield
            finally:
                over.set()
            asking.result()
        assert max(waits) < MEANWHILE
        assert sorted(waits)[len(waits) * 9 // 10] < PROMPT

    def check_unharmed(self) -> None:
        """Kernel and neighbour live, are the same processes, let in who comes now, and answer on time."""
        begun = time.monotonic()
        with self.kernel.client() as client:
            assert client.call("neighbour.say", "", {"text": "still here"}).value == {"text": "still here"}
        assert time.monotonic() - begun < ON_TIME
        assert self.neighbour.pid in [run.pid for run in live_runs.fetch_all(self._operator)]

    def check_clean(self) -> None:
        """No process, file, mount or descriptor of the attacker's is left, as soon as his run's last trace is removed."""
        fates.until(lambda: self._traces() == self.before, f"{self._traces()} is {self.before}", seconds=10)

    def _puppet(self, layers: frozenset[str], limits: Mapping[str, str | int]) -> str:
        """A Hand whose runs lack these layers, installed when it is first asked for."""
        kind = layers, tuple(limits.items())
        if kind not in self._puppets:
            name = self._puppets[kind] = f"puppet-{len(self._puppets)}"
            install(self.kernel, puppet(name, layers, limits))
        return self._puppets[kind]

    def _quiet(self) -> Traces:
        """The traces, when they have not changed for a while: links that were closed are gone."""
        seen = [self._traces()]
        while len(seen) < 5 or len(set(seen[-5:])) > 1:
            time.sleep(0.02)
            seen.append(self._traces())
        return seen[-1]

    def _traces(self) -> Traces:
        kernel, template = self.kernel.pid, self.template
        spare = fates.spare_of(template)
        return Traces(
            processes=frozenset(one.pid for one in fates.under(kernel)) - spare,
            scratch=frozenset(os.listdir(self.kernel.home / "scratch")),
            descriptors=(fates.descriptors(kernel), fates.descriptors(template) - 2 * len(spare)),
            mounts=(_mounts(kernel), _mounts(template)),
            files=frozenset(path for folder in _EVERYBODYS for path in _of_runs(folder, self._ids)),
        )


def _mounts(pid: int) -> int:
    return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


def _of_runs(folder: str, ids: range) -> Iterator[str]:
    """What lies in a folder of everybody's and belongs to an id that only runs of this home have."""
    for entry in list(os.scandir(folder)):
        try:
            if entry.stat(follow_symlinks=False).st_uid in ids:
                yield entry.path
        except FileNotFoundError:
            continue  # somebody else's, and gone


@contextmanager
def opened(place: Path, prey: Given, taken: frozenset[str] | None = None) -> Iterator[Arena]:
    """An arena in a new home below place. taken: what a weakened kernel lacks for all runs; None for the real kernel."""
    place.mkdir()
    home = make_home(place / "home")
    if taken is not None:
        (home / "weakened").write_text("\n".join(sorted(taken)))
    with (
        Kernel(home, "kernel.main" if taken is None else "tests.attacks.weakened", by_exec=True) as kernel,
        kernel.client() as operator,
    ):
        yield Arena(kernel, operator, prey)
