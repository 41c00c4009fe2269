"""What the template shares with every run: ready before the fork, and cheap after it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime import preload
from tests.runtime.peer import ROOT, Peer, provided
from wire import headers

MOST_OWN = 3_100
"""KiB of memory that an idle run has for itself, beyond what it shares with the template."""

FEW_NEED = {
    "asyncio.sslproto",
    "importlib.resources",
    "locale",
    "pickle",
    "shutil",
    "ssl",
    "tempfile",
    "urllib.parse",
}
"""Modules that libraries import where it can be avoided (docs/adr/0022)."""

ECHO = """
    from runtime import Hand

    class Test(Hand):
        async def say(self, call, text):
            self.log.info("said")
            return text
"""


@pytest.fixture
def hand(peer: Peer) -> Peer:
    return peer.launch(ECHO, (provided("test.say", text="string"),), warm=True).ready()


def test_a_run_forked_from_a_warm_template_lives_like_any_other(hand: Peer) -> None:
    assert hand.answer("test.say", text="hello") == "hello"
    assert hand.stop() == 0
    assert [record["event"] for record in hand.records()] == ["said"]


def test_an_idle_run_owns_little_memory(hand: Peer) -> None:
    pid = int(hand.log.read_text().split()[0])
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (own,) = (int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty:"))
    assert own <= MOST_OWN
    hand.send(headers.Stop(why="measured", grace=0))
    assert hand.expect(headers.Bye)


def test_an_idle_run_uses_no_processor_time(hand: Peer) -> None:
    pid = int(hand.log.read_text().split()[0])
    hand.answer("test.say", text="once")
    clock = (~pid << 3) | 2  # clock_getcpuclockid(3)
    before = time.clock_gettime(clock)
    time.sleep(0.3)  # idleness is the thing measured
    assert time.clock_gettime(clock) - before < 0.003


def test_preloading_leaves_nothing_that_a_fork_would_break() -> None:
    script = """
import os, threading
def opened():  # libffi, from 3.5 on, keeps a descriptor of its own file
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum("libffi" not in os.readlink(link) for link in links if os.path.lexists(link))
before = opened()
from runtime.preload import preload
preload("")
print(threading.active_count(), opened() - before, len(os.listdir("/proc/self/task")))
"""
    seen = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == ["1", "0", "1"]


def test_modules_that_few_runs_need_are_not_preloaded() -> None:
    script = """
import sys
import kernel.process.template
from runtime.preload import preload
preload("")
print(*sys.modules)
"""
    seen = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert FEW_NEED.isdisjoint(seen.stdout.split())


def test_modules_that_a_rehearsal_needs_are_imported_before_others() -> None:
    """Those that are imported last lie in gaps between objects, and what a rehearsal uses should lie together."""
    script = """
import sys
from runtime import memory_layout
from runtime.preload import MODULES, NOT_REHEARSED, preload
lay, before = memory_layout.lay_together, set()
def seen(*arguments):
    before.update(sys.modules)
    return lay(*arguments)
memory_layout.lay_together = seen
preload("")
print(before.issuperset(MODULES), before.isdisjoint(NOT_REHEARSED), sys.modules.keys() >= set(NOT_REHEARSED))
"""
    seen = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["True"] * 3


def test_a_rehearsal_leaves_no_trace() -> None:
    """Nothing that is open, set, cached or found, no number that a task took, nothing to be taken for a part of the run."""
    script = """
import asyncio, gc, linecache, os, signal, sys
from runtime.preload import preload
rehearse, _ = preload("")
def seen():
    handlers = [signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)]
    return len(os.listdir("/proc/self/fd")), len(sys.modules), list(sys.meta_path), set(linecache.cache), handlers
before = seen()
rehearse()
async def name():
    return asyncio.current_task().get_name()
left = {type(one).__name__ for one in gc.get_objects()} & {"Life", "Serving", "Calls", "Link", "Loop", "IdleSelector"}
print(seen() == before, asyncio.run(name()), *left)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "Task-1"]
    assert done.stderr == ""


def test_code_that_a_run_executes_lies_together() -> None:
    """A rehearsal's code comes to lie in few more pages than it fills; without, each second piece has one of its own."""
    script = """
import sys
from runtime import memory_layout, preload
if sys.argv[1] == "without":
    memory_layout.lay_together = lambda codes, modules: []
rehearse, _ = preload.preload("")
codes = preload._executed(rehearse)
print(len({id(code) // 4096 for code in codes}) / len(codes))
"""
    pages, without = (
        subprocess.run(
            [sys.executable, "-c", script, how], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True,
            check=True,
        ).stdout
        for how in ("with", "without")
    )  # fmt: skip
    assert float(pages) < float(without) / 2, (pages, without)


def test_what_structlog_and_msgspec_would_like_is_not_loaded_and_can_be_had() -> None:
    script = """
import sys
import kernel
print("msgspec" in sys.modules, "typing_extensions" in sys.modules)
from runtime.preload import preload
preload("")
print("structlog" in sys.modules, "rich" in sys.modules)
import rich, typing_extensions
print(rich.__name__, typing_extensions.__name__)
"""
    seen = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == ["True", "False", "True", "False", "rich", "typing_extensions"]


@pytest.mark.wide
def test_what_only_some_runs_import_is_compiled_for_them_and_not_kept(tmp_path: Path) -> None:
    script = """
import sys
from runtime.preload import COMPILED, preload
preload("")
print(*set(COMPILED) & set(sys.modules))
"""
    seen = subprocess.run(
        [sys.executable, "-X", f"pycache_prefix={tmp_path}", "-c", script],
        cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert seen.stdout.split() == []
    made = {path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert {name.rpartition(".")[2] for name in preload.COMPILED} <= made


def test_all_of_the_runtime_that_agents_and_pipelines_import_is_compiled_for_them() -> None:
    """What is left out is compiled anew by each of their runs, in which nothing can be written."""
    script = """
import sys
from importlib import import_module
from runtime.preload import COMPILED, MODULES, NOT_REHEARSED
for name in (*MODULES, *NOT_REHEARSED):
    import_module(name)
before = set(sys.modules)
for name in ("runtime.agent.hand", "runtime.pipeline.hand", "runtime.skills"):
    import_module(name)
new = set(sys.modules) - before - set(COMPILED)
print(*sorted(name for name in new if name.startswith("runtime.") and not hasattr(sys.modules[name], "__path__")))
"""
    seen = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == []


def test_new_objects_lie_together_after_preloading() -> None:
    """A hundred objects of each of some sizes come to lie in no more pages than they fill, and the ends of one row."""
    script = """
from runtime.preload import preload, settle
preload("")
settle()
for size in (64, 128, 256, 512):
    kept = [bytes(size - 41) for _ in range(100)]
    print(len({id(one) // 4096 for one in kept}) * 4096 / (size * 100))
"""
    seen = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    assert all(float(share) <= 2.6 for share in seen.stdout.split()), seen.stdout


def test_preloading_fills_the_gaps_of_the_heap() -> None:
    """What is left of the gaps is less than half of what there is without: how large they are is the machine's affair."""
    script = """
import sys
from runtime import memory_layout, preload
fill = memory_layout._fill_heap
if sys.argv[1] == "without":
    memory_layout._fill_heap = lambda: 0
preload.preload("")
preload.settle()
print(fill(), fill())
"""
    left, without = (
        subprocess.run(
            [sys.executable, "-c", script, how], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True,
            check=True,
        ).stdout.split()
        for how in ("with", "without")
    )  # fmt: skip
    assert int(left[0]) < int(without[0]) / 2
    assert int(left[1]) == int(without[1]) == 0
