"""The layers that the log and `ps` tell of a run are there, for every kind of run there is; none is told that is not."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from kernel.cli import package
from kernel.cli.exits import NotDone
from manifests.confinement import layers
from manifests.rlimits import rlimits_of
from manifests.schema import Manifest
from manifests.values import UID_BASE
from tests.living import ROOT, Kernel, Source, install, make_home
from tests.rights import IS_WHOLE_ROOT
from tests.system import fates
from tests.system.programs import in_sh
from tests.system.test_spare import ready
from tests.system.test_wasm import ECHO as WASM
from tests.system.test_wasm import guest

pytestmark = pytest.mark.skipif(
    not IS_WHOLE_ROOT,
    reason="only the machine's root sees a run's namespaces; test_ordinary_user.py looks at what he sees",
)
SECRET: Final = "what only the kernel knows"
KINDS: Final = ("forked", "spared", "executed", "program", "shell", "module", "web")
_PYTHON: Final = """
[hand]
name = "{}"
version = "1.0.0"
description = "Is there."
entry = "main:There"
kind = "service"
isolation = "{}"
autonomy = "full"

[provides."{}.do"]
summary = "Do it"
resource = "none"
effect = "read"

[limits]
memory = "200MiB"
processes = 20
open_files = 77
file_size = "3MiB"
"""
_MAIN: Final = """
from runtime import Hand


class There(Hand):
    async def do(self, call):
        return ""
"""


class _Live(NamedTuple):
    """A run: what is told of it, its manifest, and the status of each of its processes in /proc, its first one first."""

    told: dict[str, Any]
    manifest: Manifest
    pids: tuple[int, ...]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    work = tmp_path_factory.mktemp("told")
    os.environ["MANIPLE_TOLD"] = SECRET
    with Kernel(make_home(work / "home"), by_exec=True) as kernel:
        for name, isolation in (("forked", "fork"), ("spared", "fork"), ("executed", "exec")):
            install(kernel, Source(_PYTHON.format(name, isolation, name), _MAIN))
        install(kernel, in_sh("program", "true", "sleep 600 &"))
        install(kernel, guest(work / "guest", WASM, name="module", kind="service"))
        for name in ("shell", "web"):
            install(kernel, ROOT / "hands" / name)
        yield kernel


@pytest.fixture(scope="module")
def live(kernel: Kernel) -> Iterator[Mapping[str, _Live]]:
    """One run of each kind, at work."""
    for name in KINDS:
        stands_ready = ready(kernel) if name == "spared" else 0
        if name != "shell":
            fates.call(kernel, "kernel.start", name)
            assert (fates.pid_of(kernel, name) == stands_ready) == (name == "spared")
    busy = threading.Thread(target=_keep_busy, args=(kernel,))
    busy.start()
    try:
        yield {name: _at_work(kernel, name) for name in KINDS}
    finally:
        os.kill(fates.pid_of(kernel, "shell"), signal.SIGKILL)
        busy.join()


def _keep_busy(kernel: Kernel) -> None:
    with kernel.client() as link, pytest.raises(NotDone):
        link.call("shell.run", "", {"command": "sleep 300 & sleep 300"}, seconds=200)


def _at_work(kernel: Kernel, name: str) -> _Live:
    least = {"program": 3, "shell": 4}.get(name, 1)

    def all_there() -> tuple[int, ...]:
        pids = [int(str(run["pid"])) for run in fates.runs(kernel, name) if run["confinement"] and run["pid"]]
        pids += [child.pid for pid in pids for child in fates.under(pid)]
        return tuple(pids) if len(pids) >= least else ()

    pids = fates.until(all_there, f"{name} is at work")
    (told,) = fates.runs(kernel, name)
    manifests = map(package.read_manifest, map(str, (kernel.home / "hands").iterdir()))
    return _Live(told, next(one for one in manifests if one.hand.name == name), pids)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: said.strip() for name, _, said in (line.partition(":") for line in lines)}


def _own_namespace(kind: str) -> Callable[[_Live, int], bool]:
    """Whether a process is in its run's namespace of this kind, and that is not the kernel's."""

    def look(live: _Live, pid: int) -> bool:
        own, first = os.readlink(f"/proc/{pid}/ns/{kind}"), os.readlink(f"/proc/{live.pids[0]}/ns/{kind}")
        return own == first != os.readlink(f"/proc/self/ns/{kind}")

    return look


def _limits(pid: int) -> dict[str, str]:
    """The soft and the hard limit of each kind, as the system shows them."""
    rows = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {row[:26].strip(): " ".join(row[26:].split()[:2]) for row in rows}


def _has_limits(live: _Live, pid: int) -> bool:
    wanted, found = rlimits_of(live.manifest), _limits(pid)
    cpu = "unlimited unlimited" if wanted.cpu < 0 else f"{wanted.cpu} {wanted.cpu + 1}"
    return cpu == found["Max cpu time"] and all(
        found[name] == f"{most} {most}"
        for name, most in (
            ("Max data size", wanted.memory), ("Max processes", wanted.processes), ("Max open files", wanted.open_files),
            ("Max file size", wanted.file_size), ("Max core file size", 1), ("Max stack size", 8 << 20),
            ("Max pending signals", 1024),
        )
    )  # fmt: skip


def _in_a_group(live: _Live, pid: int) -> bool:
    """Whether the memory of all its processes is bounded together, by what its manifest declares and a little more."""
    paths = dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    second = Path(f"/sys/fs/cgroup{paths.get('')}/memory.max")
    first = Path(f"/sys/fs/cgroup/memory{paths.get('memory')}/memory.limit_in_bytes")
    told = next((file.read_text().strip() for file in (first, second) if file.exists()), "max")
    most = -1 if told == "max" else int(told)
    return live.manifest.limits.memory <= most <= live.manifest.limits.memory + (32 << 20)


def _has_no_capability(_: _Live, pid: int) -> bool:
    status = _status(pid)
    return {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}


def _has_own_id(live: _Live, pid: int) -> bool:
    status = _status(pid)
    ids = {*status["Uid"].split(), *status["Gid"].split()}
    return ids == {str(live.told["uid"])} and int(ids.pop()) >= UID_BASE and status["Groups"] == ""


def _is_shut(live: _Live, pid: int) -> bool:
    """What a run was made as is nobody's to look into; a program of its own begins as every program does."""
    return pid != live.pids[0] or os.stat(f"/proc/{pid}/status").st_uid == 0


def _has_no_environment_of_the_kernel(_: _Live, pid: int) -> bool:
    return SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def _opens_only_its_own(live: _Live, pid: int) -> bool:
    """Of what has a name: the run's own folders and files, and what a program was started from."""
    paths = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    home = [path for path in paths if "/home/" in path]
    return all(path.rsplit("/", 2)[1] in ("run", "output", "state") for path in home)


SEEN: Final[Mapping[str, Callable[[_Live, int], bool]]] = {
    "descriptors": _opens_only_its_own,
    "environment": _has_no_environment_of_the_kernel,
    "session": lambda live, pid: os.getsid(pid) in live.pids,
    "pid-namespace": _own_namespace("pid"),
    "network-namespace": _own_namespace("net"),
    "ipc-namespace": _own_namespace("ipc"),
    "mount-namespace": _own_namespace("mnt"),
    "user-namespace": _own_namespace("user"),
    "user-id": _has_own_id,
    "rlimits": _has_limits,
    "cgroup": _in_a_group,
    "no-new-privileges": lambda _, pid: _status(pid)["NoNewPrivs"] == "1",
    "not-dumpable": _is_shut,
    "capabilities": _has_no_capability,
    "seccomp": lambda _, pid: (_status(pid)["Seccomp"], _status(pid)["Seccomp_filters"]) == ("2", "1"),
}
"""By layer, whether a process of a run really has it."""

UNSEEN: Final = ("landlock", "landlock-tcp", "landlock-scopes")
"""Landlock shows nowhere: what it refuses does, in the attacks."""


def test_every_layer_is_looked_at() -> None:
    assert {*SEEN, *UNSEEN} == {*layers.NAMES}


def test_the_looks_tell_a_process_without_layers_apart(kernel: Kernel, live: Mapping[str, _Live]) -> None:
    had = {layer for layer, look in SEEN.items() if look(live["forked"], kernel.pid)}
    assert had <= {"not-dumpable"}  # what belongs to root looks so anyway


@pytest.mark.parametrize("kind", KINDS)
def test_each_layer_that_is_told_is_there_in_every_process(live: Mapping[str, _Live], kind: str) -> None:
    run = live[kind]
    told = run.told["confinement"]
    absent = [
        (layer, pid) for layer in told if layer not in UNSEEN for pid in run.pids if not SEEN[layer](run, pid)
    ]  # fmt: skip
    assert absent == [], [_status(pid)["Name"] for pid in run.pids]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_has_a_control_group_where_one_kind_has(live: Mapping[str, _Live], kind: str) -> None:
    assert ("cgroup" in live[kind].told["confinement"]) is ("cgroup" in live["forked"].told["confinement"])


@pytest.mark.parametrize("kind", KINDS)
def test_each_layer_is_told_as_there_or_lacking_or_was_declared_not_to_be(live: Mapping[str, _Live], kind: str) -> None:
    told, lacking = live[kind].told["confinement"], live[kind].told["lacking"]
    spared = {"user-namespace"} | ({"network-namespace"} if kind == "web" else set())
    assert {*told} | {*lacking} == {*layers.NAMES} - spared
    assert not {*told} & {*lacking}
    pid = live[kind].pids[0]
    assert SEEN["network-namespace"](live[kind], pid) == ("network-namespace" in told)


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_tells_what_ps_tells(kernel: Kernel, live: Mapping[str, _Live], kind: str) -> None:
    told = live[kind].told
    (entry,) = [one for one in fates.entries(kernel.home, "run.confined") if one.run == told["run"]]
    assert (entry.detail["applied"], entry.detail["missing"]) == (told["confinement"], told["lacking"])
    assert entry.detail["uid"] == told["uid"]


@pytest.mark.parametrize("kind", KINDS)
def test_when_memory_is_short_every_process_of_a_run_is_ended_before_the_kernel(
    kernel: Kernel, live: Mapping[str, _Live], kind: str
) -> None:
    """Which process the system chooses is seen by its score: the higher, the sooner."""
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (kernel.pid, *live[kind].pids)]
    assert {*scores[1:]} == {500}
    assert scores[0] < 500
