"""Runs a program that turns hostile input into output (acts), confined as a run is, with standard input and output only.

The compiler of WebAssembly modules is such a program; kernel/cli/compiling.py starts it. The program is a module of the
runtime, named by an argument: its `prepare` loads all that it needs, and returns the function that reads, writes and ends the
process. Between the two, every layer of a run's confinement is applied except the control group, which is for several
processes: this one cannot fork. After that no file can be opened, not even for reading.

    python -c STARTER SEARCH-PATH kernel.process.compiler REQUIRED SECONDS PROGRAM ARGUMENT… <input >output

REQUIRED: layers, separated by commas, without which it does not begin. It ends as the program does, by the same signal or
with the same exit code; with 1, and a line on standard error, if a layer cannot be applied.
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
"""Bytes of memory that the program may use."""

_FILES: Final = 16
_HAND: Final = HandSection(
    name="compiler", version="1.0.0", description="", kind="task", autonomy="readonly", entry="main:None"
)
_ASKS_NOTHING: Final = Manifest(hand=_HAND)


def main(arguments: list[str]) -> None:
    """Run the program that the arguments name. Never returns."""
    required, seconds, program, *rest = arguments
    os.closerange(3, 1 << 20)
    os.environ.clear()
    # 1 byte if it may have any, as a run: a limit of 0 prevents files, and not programs to which core files are piped
    resource.setrlimit(resource.RLIMIT_CORE, (int(resource.getrlimit(resource.RLIMIT_CORE)[1] != 0),) * 2)
    work = import_module(program).prepare(rest)
    try:
        made, found = _planned(filter(None, required.split(",")))
        first = _become_first_process()
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
    """Plan the confinement, and probe this machine. Raises Refusal if a required layer is missing."""
    if os.geteuid() != 0:
        confine.own_user_namespace()
    found = machine.probe()
    wanted = [layer for layer in required if layer != "cgroup"]
    return plan(_ASKS_NOTHING, found, folders=(), roots=(), required=wanted), found


def _become_first_process() -> int:
    """Fork, and go on as process 1 of a new PID namespace. The parent waits, and ends as this process will.

    Returns the end of a pipe that reads end of file once the parent is gone.
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
    """Apply every layer but the last, in the same order as for a run."""
    os.setsid()
    confine.die_first()
    confine.bound_capabilities()
    mounts.leave(made.unshared)
    if "mount" in made.unshared:
        mounts.seal((), None)
    if os.geteuid() == 0:
        confine.become(COMPILER_UID)
    confine.limit(Rlimits(memory=MEMORY, cpu=seconds, processes=1, open_files=_FILES, file_size=0))
    confine.control(confine.NO_NEW_PRIVILEGES)
    confine.control(confine.NOT_DUMPABLE)
    if made.landlock is not None:
        landlock.lay_on(made.landlock, (), (), lambda *_: None)  # no path is allowed, so there is none to check
    confine.drop_capabilities()


def _die_with(first: int) -> None:
    """Have this process killed when the parent that waits for it ends, or exit now if that has ended already."""
    confine.control(confine.DIE_WITH_PARENT)
    os.set_blocking(first, False)
    with suppress(BlockingIOError):
        os.read(first, 1)
        os._exit(1)
    os.close(first)
