"""The arena in which attacks run: a kernel, a neighbour that must not notice, and checks that nothing is left (acts)."""

import os
import threading
import time
from collections.abc import Iterator
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

ANSWER_S: Final = 1.0
"""Seconds within which the neighbour must answer after an attack: a hundred times its usual time."""

ANSWER_UNDER_ATTACK_S: Final = 5.0
"""Seconds within which it must answer during an attack that uses two cores, which other tests share."""

ANSWER_USUALLY_S: Final = 0.5
"""Seconds within which nine of ten such answers must come: ten times the usual time on two busy cores."""

_PAUSE_S: Final = 0.05
"""Seconds between two questions: short enough for the shortest attack, long enough to cause no load."""

_SHARED_FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm")


class Traces(NamedTuple):
    """What an attack could leave behind; after it, this must be as before."""

    processes: frozenset[int]
    scratch: frozenset[str]
    descriptors: tuple[int, int]
    mounts: tuple[int, int]
    files: frozenset[str]


class Arena:
    """A kernel with a neighbour. client: the operator's link; prey: other things of this machine to attack, by name."""

    def __init__(self, kernel: Kernel, client: Client, prey: Given) -> None:
        self.kernel, self._client, self._prey = kernel, client, prey
        self._puppets: dict[tuple[frozenset[str], tuple[tuple[str, str | int], ...], bool], str] = {}
        install(kernel, NEIGHBOUR)
        install(kernel, BYSTANDER)
        client.call("neighbour.say", "", {"text": "up"})
        (self.neighbour,) = live_runs.fetch_all(client)
        self.template = kernel.template_pid
        first = uid_of(Home(str(kernel.home)).identity.hash_seed, 0, None)
        self._ids = range(first, first + UID_COUNT)
        (self._state,) = (kernel.home / "state").iterdir()
        self.before = self._settled_traces()

    def given(self) -> dict[str, str]:
        """What the attacker may know about this machine: the `given` of its code."""
        return {
            **self._prey, "home": str(self.kernel.home), "kernel": str(self.kernel.pid),
            "template": str(self.template), "neighbour": str(self.neighbour.pid),
            "neighbour_run": self.neighbour.run, "neighbour_state": str(self._state),
            "neighbour_scratch": str(self.kernel.home / "scratch" / self.neighbour.run),
        }  # fmt: skip

    def run_attack(self, attack: Attack, layers: frozenset[str] = frozenset()) -> dict[str, Value]:
        """Run an attack to its end, without these layers if the kernel is a weakened one.

        Returns {"got": value} if its code returned, else {"refused": error or outcome of the run, "text": …}.
        """
        given, hand = {**self.given(), **attack.extra(self.given())}, self._puppet(layers, attack)
        inputs = {"code": attack.code, "given": given}
        outcome = self._client.call("kernel.start", hand, {"inputs": inputs, "wait": True}, seconds=60).value
        assert isinstance(outcome, dict)
        if isinstance(outcome["value"], dict):
            return outcome["value"]
        return {"refused": outcome["code"] or outcome["outcome"], "text": outcome["text"]}

    @contextmanager
    def check_neighbour_meanwhile(self) -> Iterator[None]:
        """Call the neighbour repeatedly during the block, and check that it answers in time."""
        done, waits, first = threading.Event(), list[float](), threading.Event()

        def ask() -> None:
            try:
                with self.kernel.client() as client:
                    while not done.wait(_PAUSE_S):
                        started = time.monotonic()
                        client.call("neighbour.say", "", {"text": "still here"}, seconds=2 * ANSWER_UNDER_ATTACK_S)
                        waits.append(time.monotonic() - started)
                        first.set()
            finally:
                first.set()

        with ThreadPoolExecutor(1) as threads:
            asking = threads.submit(ask)
            first.wait()
            try:
                yield
            finally:
                done.set()
            asking.result()
        assert max(waits) < ANSWER_UNDER_ATTACK_S
        assert sorted(waits)[len(waits) * 9 // 10] < ANSWER_USUALLY_S

    def check_unharmed(self) -> None:
        """Check that kernel and neighbour are the same live processes, accept a new link, and answer in time."""
        started = time.monotonic()
        with self.kernel.client() as client:
            assert client.call("neighbour.say", "", {"text": "still here"}).value == {"text": "still here"}
        assert time.monotonic() - started < ANSWER_S
        assert self.neighbour.pid in [run.pid for run in live_runs.fetch_all(self._client)]

    def check_clean(self) -> None:
        """Wait until no process, file, mount or descriptor of the attacker is left, at most 10 seconds."""
        fates.until(lambda: self._traces() == self.before, f"{self._traces()} is {self.before}", seconds=10)

    def _puppet(self, layers: frozenset[str], attack: Attack) -> str:
        """The name of the Hand for this attack whose runs lack these layers; installs it at its first use."""
        kind = layers, tuple(attack.limits.items()), attack.programs
        if kind not in self._puppets:
            name = self._puppets[kind] = f"puppet-{len(self._puppets)}"
            install(self.kernel, puppet(name, layers, attack.limits, programs=attack.programs))
        return self._puppets[kind]

    def _settled_traces(self) -> Traces:
        """The traces, once they have not changed for a while, so that closed links have gone."""
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
            files=frozenset(path for folder in _SHARED_FOLDERS for path in _files_of_runs(folder, self._ids)),
        )


def _mounts(pid: int) -> int:
    return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


def _files_of_runs(folder: str, ids: range) -> Iterator[str]:
    """Yield files in a shared folder that belong to a user id of this home's runs."""
    for entry in list(os.scandir(folder)):
        try:
            if entry.stat(follow_symlinks=False).st_uid in ids:
                yield entry.path
        except FileNotFoundError:
            continue  # another process has removed it


@contextmanager
def open_arena(folder: Path, prey: Given, taken: frozenset[str] | None = None) -> Iterator[Arena]:
    """Yield an arena in a new home. taken: layers missing for all runs of a weakened kernel; None: the real kernel."""
    folder.mkdir()
    home = make_home(folder / "home")
    if taken is not None:
        (home / "weakened").write_text("\n".join(sorted(taken)))
    with (
        Kernel(home, "kernel.main" if taken is None else "tests.attacks.weakened", by_exec=True) as kernel,
        kernel.client() as client,
    ):
        yield Arena(kernel, client, prey)
