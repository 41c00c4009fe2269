"""Draws docs/seccomp.md: the allowed system calls and who needs each, and the refused ones with their answers (pure)."""

from collections.abc import Iterable
from typing import Final

from docs.drawn import table
from manifests.confinement.allowed import TABLE, Profile
from manifests.confinement.arguments import ALWAYS
from manifests.confinement.program import FORMAT, build
from manifests.confinement.refused import FAMILIES, NEWEST_EXPECTED
from manifests.confinement.syscalls import ARCHITECTURES, X86_64

HEAD: Final = """\
# System calls

The last layer of a run is a filter of system calls (seccomp). It is an allow-list: what no table below names is refused.
To see it on a live run: `grep Seccomp /proc/PID/status`, with PID from `maniple ps`.

The filter is applied when the run has joined the bus and before any code of its Hand has run. It holds for every thread
that the run has and will have, every process that it forks, and every program that it executes. Nobody can remove it, and
nobody inside can add another. `manifests/confinement/allowed.py` is the list, `manifests/confinement/program.py` makes the
filter from it, `kernel/process/seccomp.py` applies it.

A property test compares filter and list for every number, for random arguments and those at the edges of each condition,
for both architectures and every set of profiles. Tests run under the filter too: all on x86-64; those of confinement and of
each kind of run on an emulated aarch64 [machine](machines.md).
"""

ANSWERS: Final = f"""\
## What a refused call answers

- **EPERM**, as if the machine's owner had forbidden it.
- **ENOSYS**, as if the kernel had no such call: where a library then takes another way, for numbers that do not exist,
  and for calls newer than `{next(name for name, number in X86_64.numbers.items() if number == NEWEST_EXPECTED)}`
  ({NEWEST_EXPECTED}, Linux 5.15), since their callers must be ready for a kernel without them.
- **EOPNOTSUPP**, as if the disk could not do it, for space that is not written and for attributes of files: libraries
  then write, or do without.
- **The process is killed** (SIGSYS) for a call by another architecture's convention: i386's entry or x32's
  numbers on x86-64, where the same number means another call. No program of Maniple's makes one by accident.

A condition sees the six numbers that a call is given, and no memory. Where the kernel takes 32 bits of an argument,
the filter checks the same 32; where it takes 64, all of them.
"""

DECISIONS: Final = """\
## Reasons

- **Executable memory.** Python never needs anonymous executable memory, so there is none. Memory cannot become
  executable later, and no mapping is writable and executable at once. Libraries that are imported late must be
  mapped executable from their files, privately, and the filter cannot see which file that is. *Landlock does not decide
  it either*: its right to execute concerns execve, not mmap. What decides is that nothing a run can
  write lies on a mount that allows execution. `exec` lifts all of this but the sharing, since just-in-time compilers
  (Node.js, Java) write code. Without `exec`, ctypes callbacks that libffi makes at run time end in MemoryError: make
  them before the filter, or not at all. The template makes none, since each run would inherit their page. A WASM
  Hand's code and callbacks are made before the filter and closed to writing.
- **Shared anonymous memory** (Python's `mmap.mmap(-1, …)` by default) counts against no limit of the
  process. Memory shared with a file, as SQLite uses it, belongs to the file. A shared mapping of `/dev/zero` would be the
  same under another name, so Landlock does not open it for writing.
- **A mapping that grows downwards** (MAP_GROWSDOWN) is a stack to the system, whatever its size, and so counts against no
  limit of data. No library here makes one.
- **fallocate** may only make holes. It allocates without writing, so quickly that a run took 20 GB of a disk in a tenth
  of a second, before any check of its files; and behind a file's end no limit of a file's size bounds it either.
- **Out of band** (MSG_OOB) nothing is sent. Nobody needs it, and a run's own pair of sockets would else reach code of
  the system's in which a way out of a browser's sandbox was found (CVE-2025-38236).
- **sendmsg** could send descriptors, which lie in memory too. A plain run hid twice its disk in files that lay in no
  process but in its own pair of sockets; and sent over the bus, long files were closed by the kernel, for seconds. So a run
  has it only with programs or connections: without it, Python's asyncio, from 3.12 on, loses what a socket did not take
  at once. Anybody may take a descriptor (recvmsg).
- **SO_LINGER** makes whoever closes a connection wait, and that need not be who made it: a run with `inet` sent one over
  the bus, and the kernel, which closed it, served nobody for as long as the run had said.
- **madvise** cannot merge pages with others', whose contents the time of a write would tell (CVE-2015-2877), nor move any
  to swap. Nobody here asks for it.
- **Huge pages** count in no control group, and against the limit of data only if they can be written.
- **clone3** hides its flags in memory. After ENOSYS glibc uses clone, whose flags are checked: a thread, a plain
  fork, and with `exec` the child of posix_spawn.
- **sched_setscheduler** is allowed for the ordinary policy, since libzmq's threads abort the process when it fails.
- **Signals** may be sent to any process; the PID namespace and Landlock decide which processes there are.
- **A pair of sockets** is for programs, and only of streams or packets: one of datagrams could be pointed at any address
  later.
- **UDP** is not for programs: they could reach nobody but themselves, and what waits in its sockets is memory that all
  namespaces share and no control group of version 1 counts. For the same reason no socket's buffers can be made larger.
- **openat2** keeps its flags in memory too. openat is not restricted either, and what openat2 adds only makes paths
  narrower.
- **No listening.** `inet` goes outwards; only a proxy takes connections, on a socket that listened before the filter.

## Other people's lists

The families come from Docker's default profile and systemd's sets. Both are made for any program and refuse what is
dangerous. This list allows what was seen to be needed, by tracing the bundled Hands, the demo, a shell with the usual
tools, Python, Node.js and git. The kernel's own tests (`tools/testing/selftests/seccomp`) gave these cases of
`tests/kernel/test_seccomp_threads.py` and its neighbours: empty, overlong and unterminated programs; a filter
without no_new_privs; threads that join, and one that cannot; what the kernel reports as available; inheritance; a
resumed wait; death by another architecture's call.
"""


def page() -> str:
    """Draw the whole page."""
    parts = [HEAD, ANSWERS, "## Every run\n", _allowed(None)]
    for profile in Profile:
        parts += [f"## With `{profile}`\n", f"{_intro(profile)}\n", _allowed(profile)]
    return "\n".join([*parts, "## Refused\n", _refused(), DECISIONS, _sizes()])


def _intro(profile: Profile) -> str:
    match profile:
        case Profile.EXEC:
            return "In addition, for Hands that may run programs: `command` Hands, and the shell."
        case Profile.INET:
            return 'In addition, for services with `network = "host"`.'
        case Profile.PROXY:
            return "In addition, for programs that may be granted hosts, and for the bridge whose proxy leads there."
        case Profile.ROOTS:
            return "In addition, for services that work in the operator's folders: `files`."
        case Profile.CODE:
            return (
                "No run has this profile. The compiler of a WASM Hand's module at install has every run's calls and these; it"
                " can open no file and make no second process."
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
    return table(
        ["family", "calls", "why", "answer", "still allowed"],
        ([one.name, _code(one.calls.split()), one.why, one.answer.name, one.but] for one in FAMILIES),
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
