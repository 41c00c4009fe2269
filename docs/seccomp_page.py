"""docs/seccomp.md: the allow-list of system calls with who needs each, and what is refused with which answer (pure)."""

from collections.abc import Iterable
from typing import Final

from docs.drawn import table
from manifests.confinement.allowed import TABLE, Profile
from manifests.confinement.arguments import ALWAYS
from manifests.confinement.program import FORMAT, build
from manifests.confinement.refused import FAMILIES, NEWEST_EXPECTED, Answer
from manifests.confinement.syscalls import ARCHITECTURES, X86_64

HEAD: Final = """\
# System calls

The last layer that is laid on a run, when it has joined the bus and before a byte of its Hand's code has run: a
filter (seccomp) on every thread that it has and will have, on every process that it forks, and on every program that
it executes. Nobody can take it off, and nobody inside can lay another over it. It is an allow-list: what stands in no
table below is refused. `manifests/confinement/allowed.py` is the list, `manifests/confinement/program.py` makes the
filter from it, `kernel/process/seccomp.py` lays it on. A property test holds the filter against the list, for every number,
for arguments at random and at the edges of each condition, for both architectures and with every set of profiles. Tests
run under it too: all on x86-64, and those of confinement and of each kind of run on an emulated aarch64
[machine](machines.md).
"""

ANSWERS: Final = f"""\
## What a refused call answers

- **EPERM**, as if the machine's owner had forbidden it.
- **ENOSYS**, as if the kernel had no such call: where a library then goes another way, for numbers that do not exist,
  and for what is newer than `{next(name for name, number in X86_64.numbers.items() if number == NEWEST_EXPECTED)}`
  ({NEWEST_EXPECTED}, Linux 5.15), since whoever uses such a call must be ready for a kernel without it.
- **The process is killed** (SIGSYS) for a call by the convention of another architecture: i386's entry or x32's
  numbers on x86-64, where the same number means another call. No program of Maniple's makes one by accident.

A condition sees the six numbers that a call is given, and no memory. Where the kernel takes 32 bits of an argument,
the filter looks at the same 32; where it takes 64, at all of them.
"""

DECISIONS: Final = """\
## Why so

- **Executable memory.** Python never needs any that is anonymous, so none is to be had, nor can memory become
  executable later; a mapping cannot be writable and executable at once. Libraries that are imported late must be
  mapped executable from their files, privately, and the filter cannot see which file it is. *Landlock does not decide
  that either*: its right to execute is asked about by execve, not by mmap. What decides is that nothing a run can
  write lies on a mount that allows execution. `exec` lifts all this but the sharing, because just-in-time compilers
  (Node.js, Java) write code. Without it, callbacks of ctypes that libffi makes at run time end in MemoryError: make
  them before the filter, or not at all. The template makes none: each run would inherit the page they lie in. A WASM
  Hand's code, and its callbacks, are there before the filter and closed to writing.
- **Shared anonymous memory** (Python's `mmap.mmap(-1, …)` unless told otherwise) counts against no limit of the
  process; memory shared with a file, as SQLite uses it, is the file's. `/dev/zero` mapped so would be the same thing
  by another name, so Landlock must not open it for writing.
- **A mapping that grows downwards** (MAP_GROWSDOWN) is a stack to the system, whatever its size, and so counts against no
  limit of data. No library here makes one.
- **clone3** hides its flags in memory; with ENOSYS glibc uses clone, whose flags are checked: a thread, or a plain
  fork, and with `exec` the child of posix_spawn.
- **sched_setscheduler** is allowed for the ordinary policy because libzmq's threads abort the process when it fails.
- **Signals** may be sent to any process: which there are is the PID namespace's matter, and Landlock's.
- **A pair of sockets** is for programs, and only of streams: one of datagrams could be pointed at any address later.
- **openat2** keeps its flags in memory too; openat is asked for none either, and what is more than openat's makes paths
  narrower.
- **No listening.** `inet` goes outwards; only a proxy takes connections, on a socket that listened before.

## Other people's lists

Families were gathered from Docker's default profile and systemd's sets. Both are made for any program and refuse what is
dangerous; this one allows what was seen to be needed, by tracing the bundled Hands, the demo, a shell with the usual
tools, Python, Node.js and git. From the kernel's own tests (`tools/testing/selftests/seccomp`) come these cases, in
`tests/kernel/test_seccomp_threads.py` and its neighbours: programs that are empty, too long or have no end; a filter
without no_new_privs; threads that join, and one that cannot; what the kernel says is available; inheritance; a wait that
is resumed; death by another architecture's call.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, ANSWERS, "## Every run\n", _allowed(None)]
    for profile in Profile:
        parts += [f"## With `{profile}`\n", f"{_told(profile)}\n", _allowed(profile)]
    return "\n".join([*parts, "## Refused\n", _refused(), DECISIONS, _sizes()])


def _told(profile: Profile) -> str:
    match profile:
        case Profile.EXEC:
            return "Besides, for Hands that may run programs: `command` Hands, and the shell."
        case Profile.INET:
            return (
                'Besides, for services with `network = "host"`, and for programs that may reach their bridge\'s proxy.'
            )
        case Profile.PROXY:
            return "Besides, where such a proxy is."
        case Profile.CODE:
            return (
                "No run has it. What compiles a WASM Hand's module at install has every run's calls and these; it can open"
                " no file and make no second process."
            )


def _code(calls: Iterable[str]) -> str:
    return " ".join(f"`{call}`" for call in calls)


def _allowed(profile: Profile | None) -> str:
    rows = (row for row in TABLE if row.profile is profile)
    return table(
        ["calls", "who needs them", "only"],
        ([_code(row.calls.split()), row.who, row.only if row.when != ALWAYS else ""] for row in rows),
    )


def _refused() -> str:
    words = {Answer.EPERM: "EPERM", Answer.ENOSYS: "ENOSYS"}
    return table(
        ["family", "calls", "why", "answer", "allowed all the same"],
        ([one.name, _code(one.calls.split()), one.why, words[one.answer], one.but] for one in FAMILIES),
    )


def _sizes() -> str:
    sets = (frozenset[Profile](), *(frozenset({profile}) for profile in Profile), frozenset(Profile))
    rows = (
        [
            " + ".join(f"`{profile}`" for profile in Profile if profile in profiles) or "every run",
            *(str(len(build(machine, profiles)) // FORMAT.size) for machine in ARCHITECTURES),
        ]
        for profiles in sets
    )
    return "## Instructions of each filter\n\n" + table(["profiles", *ARCHITECTURES], rows)
