"""Every thread of every kind of run is in the same state, with namespaces that it shares with nobody."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from manifests.values import UID_BASE
from tests.living import Kernel, Source, install, make_home
from tests.rights import IS_WHOLE_ROOT
from tests.system import fates

KINDS: Final = [(kind, isolation) for kind in ("service", "task") for isolation in ("fork", "exec")]
NAMESPACES: Final = ("net", "ipc", "mnt", "pid")
LOOKS_IN: Final = pytest.mark.skipif(
    not IS_WHOLE_ROOT, reason="runs are not dumpable: only the machine's root sees what they have open"
)
NO_CAPABILITY: Final = "0" * 16
MAIN: Final = """
import asyncio
import os
import threading

from runtime import Hand


class Threaded(Hand):
    async def start(self):
        assert not os.environ, dict(os.environ)
        for _ in range(3):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        if os.fork() == 0:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
            threading.Event().wait()

    async def run(self):
        await asyncio.sleep(600)

    async def nothing(self, call):
        return {}
"""


def _threaded(kind: str, isolation: str) -> Source:
    """A Hand with threads, and a child with threads of its own."""
    name = f"{kind}-{isolation}"
    provides = f'[provides."{name}.nothing"]\nsummary = "Nothing"\nresource = "none"\neffect = "read"\n'
    return Source(
        f"""
[hand]
name = "{name}"
version = "1.0.0"
description = "Has threads."
entry = "main:Threaded"
kind = "{kind}"
isolation = "{isolation}"
autonomy = "full"

{provides if kind == "service" else ""}
[limits]
processes = 32
""",
        MAIN,
    )


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("state") / "home")) as kernel:
        for kind in KINDS:
            install(kernel, _threaded(*kind))
            fates.call(kernel, "kernel.start", "-".join(kind))
        yield kernel


def _threads(kernel: Kernel, hand: str) -> list[dict[str, str]]:
    """What the system says of every thread of a Hand's run and of its child, once all are there."""
    first = fates.pid_of(kernel, hand)

    def all_there() -> list[dict[str, str]]:
        processes = [first, *fates.children(first)]
        threads = [thread for pid in processes for thread in Path(f"/proc/{pid}/task").iterdir()]
        return [_status(thread) for thread in threads] if len(processes) == 2 and len(threads) >= 6 else []

    return fates.until(all_there, "the threads, and the child's")


def _status(thread: Path) -> dict[str, str]:
    lines = (thread / "status").read_text().splitlines()
    return {name: said.strip() for name, _, said in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_every_thread_is_in_the_same_state(kernel: Kernel, kind: tuple[str, str]) -> None:
    threads = _threads(kernel, "-".join(kind))
    kept = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters")
    capabilities = [f"Cap{which}" for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
    assert len({tuple(one[name] for name in (*kept, *capabilities)) for one in threads}) == 1, threads
    one = threads[0]
    assert (one["NoNewPrivs"], one["Seccomp"], one["Seccomp_filters"]) == ("1", "2", "1")
    assert {one[name] for name in capabilities} == {NO_CAPABILITY}
    depth = len(_status(Path("/proc/self"))["NSpid"].split())
    assert {len(one["NSpid"].split()) - depth for one in threads} == {2}  # the template's, and its own
    assert threads[0]["NSpid"].split()[-1] == "1"
    ids = {*one["Uid"].split(), *one["Gid"].split()}
    if os.geteuid() == 0:
        assert len(ids) == 1
        assert int(ids.pop()) >= UID_BASE
        assert one["Groups"] == ""
    else:
        assert one["Uid"].split() == [str(os.getuid())] * 4


def test_no_run_has_huge_pages(kernel: Kernel) -> None:
    """Where Linux gives them to everybody, a run could take 2 MB more: it has little in many places."""
    pids = [kernel.template_pid, *(fates.pid_of(kernel, "-".join(kind)) for kind in KINDS)]
    assert [_status(Path(f"/proc/{pid}"))["THP_enabled"] for pid in pids] == ["0"] * len(pids)


@LOOKS_IN
def test_no_two_runs_share_a_namespace_nor_one_with_the_kernel(kernel: Kernel) -> None:
    pids = [kernel.pid, *(fates.pid_of(kernel, "-".join(kind)) for kind in KINDS)]
    for name in NAMESPACES:
        found = [os.readlink(f"/proc/{pid}/ns/{name}") for pid in pids]
        assert len(set(found)) == len(pids), (name, found)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has one id to give")
def test_no_run_has_an_id_of_another(kernel: Kernel) -> None:
    assert len({_status(Path(f"/proc/{fates.pid_of(kernel, '-'.join(kind))}"))["Uid"] for kind in KINDS}) == len(KINDS)


@LOOKS_IN
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_no_file_is_open_but_its_own(kernel: Kernel, kind: tuple[str, str]) -> None:
    hand = "-".join(kind)
    pid = fates.pid_of(kernel, hand)
    opened = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    home = kernel.home.resolve()
    own = {"/dev/null", str(home / "run" / "bus"), str(home / "output" / f"{hand}.log")}
    state = {path for path in opened if path.startswith(f"{home}/state/")}
    assert len(state) == (kind[0] == "service")
    assert {path for path in opened if path.startswith("/")} - state <= own


@LOOKS_IN
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_nothing_that_it_sees_can_be_changed_but_its_own_folders(kernel: Kernel, kind: tuple[str, str]) -> None:
    rows = Path(f"/proc/{fates.pid_of(kernel, '-'.join(kind))}/mountinfo").read_text().splitlines()
    writable = {row.split()[4]: {*row.split()[5].split(",")} for row in rows if "ro" not in row.split()[5].split(",")}
    own = [folder for folder in ("scratch", "state") if folder == "scratch" or kind[0] == "service"]
    assert sorted(Path(path).parent for path in writable) == [kernel.home.resolve() / folder for folder in own]
    assert all({"rw", "nosuid", "nodev", "noexec"} <= options for options in writable.values()), writable


def test_a_stopped_run_leaves_no_process_in_its_namespace(kernel: Kernel) -> None:
    pid = fates.pid_of(kernel, "task-fork")
    family = [pid, *fates.children(pid)]
    assert len(family) == 2
    os.kill(pid, signal.SIGKILL)
    fates.until(lambda: not any(Path(f"/proc/{one}").exists() for one in family), "all are gone")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has one id to give")
def test_each_run_of_a_task_has_an_id_of_its_own(kernel: Kernel) -> None:
    fates.call(kernel, "kernel.start", "task-fork")
    one, other = (row["uid"] for row in fates.runs(kernel, "task-fork"))
    assert one != other
