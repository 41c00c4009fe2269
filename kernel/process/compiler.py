"""A program that reads hostile bytes and answers with others (acts): confined as a run is, and given nothing but the two.

A compiler of modules is one, and kernel/cli/compiling.py starts it. The program is the runtime's, named by an argument and
not imported: its `prepare` loads all that it will need, and returns the function that reads, answers and ends the process.
Between the two every layer of a run's is laid on but the control group, which bounds several processes, and it cannot
make a second one. No file can be opened after that, not even to be read.

    python -c STARTER SEARCH-PATH kernel.process.compiler REQUIRED SECONDS PROGRAM ARGUMENT… <input >output

REQUIRED: layers, separated by commas, without which it does not begin. It ends as the program does, by the same signal or
with the same exit code; with 1, and a line on standard error, where a layer cannot be laid on.
"""

import os
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Final

from kernel.process import confine, landlock, machine, mounts, seccomp
from manifests.confinement.allowed import Profile
from manifests.confinement.plan import Machine, Plan, plan
from manifests.confinement.program import build
from manifests.schema import HandSection, Manifest
from manifests.values import COMPILER_UID
from wire.errors import Refusal
from wire.launch import Rlimits

MEMORY: Final = 1024**3
"""Bytes that it may take."""

_FILES: Final = 16
_HAND: Final = HandSection(
    name="compiler", version="1.0.0", description="", kind="task", autonomy="readonly", entry="main:None"
)
_ASKS_NOTHING: Final = Manifest(hand=_HAND)


def main(arguments: list[str]) -> None:
    """Do what the arguments say; never returns."""
    required, seconds, program, *rest = arguments
    os.closerange(3, 1 << 20)
    os.environ.clear()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work = import_module(program).prepare(rest)
    try:
        made, found = _planned(filter(None, required.split(",")))
        first = _begin_anew()
        _confine(made, int(seconds))
        _die_with(first)
        if "seccomp" in made.applied:
            seccomp.lay_on(build(found.architecture, frozenset({Profile.CODE})))
    except (Refusal, OSError) as error:
        sys.stderr.write(f"it cannot be confined: {error}")
        sys.stderr.flush()
        os._exit(1)
    work()
    os._exit(0)


def _planned(required: Iterable[str]) -> tuple[Plan, Machine]:
    """How it is walled in, and what is known of this machine. Raises Refusal when that is less than is required."""
    if not confine.is_root():
        confine.own_user_namespace()
    found = machine.probe()
    wanted = [layer for layer in required if layer != "cgroup"]
    return plan(_ASKS_NOTHING, found, folders=(), roots=(), required=wanted), found


def _begin_anew() -> int:
    """Go on as process 1 of a PID namespace. The one before it stays, and ends as this one will.

    What is given back is a pipe's end, at its end when that process is gone.
    """
    confine.unshare(confine.NEWPID)
    alive, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(held)
        return alive
    for descriptor in (0, 1, alive):
        os.close(descriptor)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _confine(made: Plan, seconds: int) -> None:
    """Lay on every layer but the last, in the order of a run's."""
    os.setsid()
    confine.die_first()
    confine.bound_capabilities()
    mounts.leave(made.unshared)
    if "mount" in made.unshared:
        mounts.seal((), None)
    if confine.is_root():
        confine.become(COMPILER_UID)
    confine.limit(Rlimits(memory=MEMORY, cpu=seconds, processes=1, open_files=_FILES, file_size=0))
    confine.control(confine.NO_NEW_PRIVILEGES)
    confine.control(confine.NOT_DUMPABLE)
    if made.landlock is not None:
        landlock.lay_on(made.landlock, (), (), lambda *_: None)  # no path is allowed, so there is none to look at
    confine.drop_capabilities()


def _die_with(first: int) -> None:
    """Be killed when the process that waits for this one ends, also if it has ended already."""
    confine.control(confine.DIE_WITH_PARENT)
    os.set_blocking(first, False)
    with suppress(BlockingIOError):
        os.read(first, 1)
        os._exit(1)
    os.close(first)
