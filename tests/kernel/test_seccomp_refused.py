"""Each refused family answers as the table says, to real calls of real processes; and without the filter another way."""

import ctypes
import fcntl
import functools
import mmap
import os
import resource
import select
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark.structures import ParameterSet

from kernel.process import seccomp
from manifests.confinement.allowed import Profile, conditions_of
from manifests.confinement.refused import FAMILIES, Answer
from tests.kernel.filtered import CANNOT_BE_TOLD, EVERYTHING, HERE, MACHINE, NONE, call, outcome
from tests.rights import IS_WHOLE_ROOT
from tests.spread import spread

pytestmark = CANNOT_BE_TOLD

EXEC: Final = frozenset({Profile.EXEC})
INET: Final = frozenset({Profile.INET})
PROXY: Final = frozenset({Profile.PROXY})
NOWHERE: Final = (-1, -1, -1, -1, -1, -1)

WITHOUT_PROOF: Final = frozenset({"fork", "vfork", "msgget", "vhangup"})
"""What must not be made from a test without a filter, even with arguments that lead nowhere: these need none, or take any."""

ABSENT: Final = frozenset({"memfd_secret"})
"""What a kernel may have been built or started without, and then answers as the filter does."""


def _swept() -> list[tuple[str, Answer]]:
    """Every call of every family, but for what some profile allows on some condition."""
    some = conditions_of(EVERYTHING)
    return [
        (name, family.answer)
        for family in FAMILIES
        for name in family.calls.split()
        if name not in some and name in HERE.numbers
    ]


def _first() -> list[ParameterSet]:
    """Of each family at least one in `./just test`."""
    seen = set[str]()
    found = []
    for family in FAMILIES:
        swept = [one for one in _swept() if one[0] in family.calls.split() and one[0] not in seen]
        seen.update(name for name, _ in swept)
        found += spread(swept, max(1, len(swept) // 5))
    return found


@pytest.mark.parametrize(("name", "answer"), _first(), ids=lambda one: one if isinstance(one, str) else "")
def test_a_call_of_a_refused_family_answers_so_and_without_the_filter_otherwise(name: str, answer: Answer) -> None:
    work = functools.partial(call, name, *NOWHERE)
    assert outcome(work, NONE) == answer.name
    assert outcome(work, EVERYTHING) == answer.name
    if name not in WITHOUT_PROOF:
        free = outcome(work, None)
        if free == "EPERM" and not IS_WHOLE_ROOT:
            return  # the machine's own answer to who has not every right is the same
        assert free != answer.name or name in ABSENT


# One by one: what an attacker would really ask ----------------------------------------------------------------------


def _socket(family: int, kind: int, protocol: int = 0) -> Callable[[], object]:
    return lambda: socket.socket(family, kind, protocol).close()


def _executable(protection: int, flags: int) -> object:
    return call("mmap", 0, 4096, protection, flags, -1, 0)


def _made_executable() -> object:
    address = call("mmap", 0, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    return call("mprotect", address, 4096, mmap.PROT_READ | mmap.PROT_EXEC)


def _own_file_executable_and_writable() -> object:
    with open(__file__, "rb") as file:
        everything = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        return call("mmap", 0, 4096, everything, mmap.MAP_PRIVATE, file.fileno(), 0)


def _leased() -> None:
    path = Path(f"/tmp/maniple-lease-{os.getpid()}")
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    path.unlink()
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)


def _allocated(mode: int) -> Callable[[], object]:
    """Space for a file whose size may be 4 KiB at most."""

    def allocate() -> None:
        with tempfile.TemporaryFile() as file:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            call("fallocate", file.fileno(), mode, 0, 1 << 20)

    return allocate


def _allocated_by_library() -> None:
    """Space for a file, by posix_fallocate(3)."""
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, 10_000)
        if os.fstat(file.fileno()).st_size != 10_000:
            raise ValueError("the file has another size")


EPOLL: Final = select.epoll()
"""Made before any filter, as a run's are."""


def _watched() -> None:
    EPOLL.register(os.eventfd(0))


WATCHED: Final = os.eventfd(0)
EPOLL.register(WATCHED)
OWN: Final = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
SOCKET: Final = socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def _with_namespace(flag: int) -> Callable[[], object]:
    """A fork into a namespace; the child of it ends at once."""

    def clone() -> None:
        if call("clone", flag | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
        os.wait()

    return clone


NEWUSER, NEWNS, PARENT, PTRACE = 0x1000_0000, 0x2_0000, 0x8000, 0x2000

ATTEMPTS: Final[dict[str, tuple[Callable[[], object], str, str]]] = {
    "a Unix socket": (_socket(socket.AF_UNIX, socket.SOCK_STREAM), "EPERM", "done"),
    "a TCP socket": (_socket(socket.AF_INET, socket.SOCK_STREAM), "EPERM", "done"),
    "a TCP socket of IPv6": (_socket(socket.AF_INET6, socket.SOCK_STREAM), "EPERM", "done"),
    "a UDP socket": (_socket(socket.AF_INET, socket.SOCK_DGRAM), "EPERM", "done"),
    "a netlink socket": (_socket(socket.AF_NETLINK, socket.SOCK_RAW), "EPERM", "done"),
    "a pair of sockets": (lambda: socket.socketpair(), "EPERM", "done"),
    "a pair of sockets of packets": (lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET), "EPERM", "done"),
    "a pair of sockets of datagrams": (lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM), "EPERM", "done"),
    "an effective id": (lambda: call("setresuid", -1, os.geteuid(), -1), "EPERM", "done"),
    "an effective group": (lambda: call("setresgid", -1, os.getegid(), -1), "EPERM", "done"),
    "all ids": (lambda: call("setresuid", *[os.geteuid()] * 3), "EPERM", "done"),
    "all groups": (lambda: call("setresgid", *[os.getegid()] * 3), "EPERM", "done"),
    "a program": (lambda: os.execv("/nowhere", ["nowhere"]), "EPERM", "ENOENT"),
    "a program, spawned": (lambda: os.posix_spawn("/nowhere", ["nowhere"], {}), "EPERM", "ENOENT"),
    "a file without a name": (lambda: os.memfd_create("x"), "ENOSYS", "done"),
    "shared anonymous memory": (lambda: mmap.mmap(-1, 4096), "EPERM", "done"),
    "executable memory": (lambda: _executable(7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), "EPERM", "done"),
    "memory made executable": (_made_executable, "EPERM", "done"),
    "a file's memory executable and writable": (_own_file_executable_and_writable, "EPERM", "done"),
    "a lease on a file": (_leased, "EPERM", "done"),
    "space behind a file's end": (_allocated(1), "ENOTSUP", "done"),
    "space that is not written": (_allocated(0), "ENOTSUP", "EFBIG"),
    "space by the library, which writes it": (_allocated_by_library, "done", "done"),
    "an epoll": (lambda: select.epoll().close(), "EPERM", "done"),
    "a watch by an epoll that is there": (_watched, "done", "done"),
    "a watch that is changed": (lambda: EPOLL.modify(WATCHED, 0), "done", "done"),
    "a socket that holds more": (lambda: SOCKET.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1), "EPERM", "done"),
    "a socket that is slow to close": (
        lambda: SOCKET.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8)),
        "EPERM",
        "done",
    ),
    "memory that is moved to swap": (lambda: OWN.madvise(21), "EPERM", "done"),
    "memory that is given back": (lambda: OWN.madvise(mmap.MADV_DONTNEED), "done", "done"),
    "a hole in a file": (_allocated(3), "done", "done"),
    "a fork into a user namespace": (_with_namespace(NEWUSER), "EPERM", "done"),
    "a fork into a mount namespace": (_with_namespace(NEWNS | NEWUSER), "EPERM", "done"),
    "a child of its own parent": (lambda: call("clone", PARENT | 99, 0, 0, 0, 0) or os._exit(0), "EPERM", "done"),
    "a fork that is traced": (_with_namespace(PTRACE), "EPERM", "done"),
    "a character typed for the terminal": (lambda: fcntl.ioctl(0, 0x5412, b"x"), "EPERM", "ENOTTY"),
    "a paste into the console": (lambda: fcntl.ioctl(0, 0x541C, b"\3"), "EPERM", "ENOTTY"),
    "memory that can be read again": (lambda: call("prctl", 4, 1, 0, 0, 0), "EPERM", "done"),
    "another personality": (lambda: call("personality", 0x004_0000), "EPERM", "done"),
    "another scheduling": (lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)), "EPERM", "done"),
    "limits of another process": (lambda: call("prlimit64", os.getppid(), 7, 0, 0), "ENOSYS", "done"),
    "another limit of core files": (lambda: call("prlimit64", 0, 4, bytes(16), 0), "ENOSYS", "done"),
    "a lower limit of files": (lambda: call("prlimit64", 0, 7, bytes(16), 0), "done", "done"),
    "a clock": (lambda: call("clock_settime", 99, 0), "EPERM", "EINVAL"),
    "a fork by clone3": (lambda: call("clone3", 0, 0), "ENOSYS", "EINVAL"),
    "a call that nobody knows": (lambda: call(4000), "ENOSYS", "ENOSYS"),
}
"""What is asked, its answer under the filter, and without."""


@pytest.mark.parametrize(("work", "refused", "free"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_an_attempt_is_refused_and_without_the_filter_is_not(
    work: Callable[[], object], refused: str, free: str
) -> None:
    assert outcome(work, None) == free
    assert outcome(work, NONE) == refused


def test_a_socket_that_is_there_already_reaches_nobody_else(tmp_path: Path) -> None:
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mine,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
    ):
        mine.bind(here)
        other.bind(there)
        for work in (lambda: mine.sendto(b"x", there), lambda: mine.connect(there)):
            assert outcome(work, None) == "done"
            assert outcome(work, NONE) == "EPERM"


# What the profiles add, and what they do not ------------------------------------------------------------------------

ICMP, MPTCP = 1, 262


@pytest.mark.parametrize(
    ("what", "profiles", "expected"),
    [
        ("a TCP socket", INET, "done"),
        ("a TCP socket of IPv6", INET, "done"),
        ("a UDP socket", INET, "done"),
        ("a TCP socket", PROXY, "done"),
        ("a UDP socket", PROXY, "EPERM"),
        ("a socket that holds more", EVERYTHING, "EPERM"),
        ("a socket that is slow to close", EVERYTHING, "EPERM"),
        ("a Unix socket", EVERYTHING, "EPERM"),
        ("a netlink socket", EVERYTHING, "EPERM"),
        ("a pair of sockets", EXEC, "done"),
        ("a pair of sockets", INET, "EPERM"),
        ("a pair of sockets of packets", EXEC, "done"),
        ("a pair of sockets of datagrams", EVERYTHING, "EPERM"),
        ("an effective id", EXEC, "done"),
        ("an effective group", EXEC, "done"),
        ("all ids", EVERYTHING, "EPERM"),
        ("all groups", EVERYTHING, "EPERM"),
        ("a program", EXEC, "ENOENT"),
        ("a program, spawned", EXEC, "ENOENT"),
        ("a program", INET, "EPERM"),
        ("an epoll", EXEC, "done"),
        ("an epoll", INET, "done"),
        ("executable memory", EXEC, "done"),
        ("memory made executable", EXEC, "done"),
        ("shared anonymous memory", EVERYTHING, "EPERM"),
        ("a file without a name", EVERYTHING, "ENOSYS"),
        ("a fork into a user namespace", EVERYTHING, "EPERM"),
        ("a character typed for the terminal", EVERYTHING, "EPERM"),
    ],
)
def test_a_profile_adds_what_it_says(what: str, profiles: frozenset[Profile], expected: str) -> None:
    assert outcome(ATTEMPTS[what][0], profiles) == expected


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [(socket.SOCK_DGRAM, ICMP), (socket.SOCK_RAW, ICMP), (socket.SOCK_STREAM, MPTCP), (socket.SOCK_SEQPACKET, 132)],
    ids=["ping", "raw", "multipath", "sctp"],
)
def test_inet_is_tcp_and_udp_and_nothing_else(kind: int, protocol: int) -> None:
    work = _socket(socket.AF_INET, kind, protocol)
    assert outcome(work, EVERYTHING) == "EPERM"
    assert outcome(work, None) != "EPERM" or os.geteuid() != 0


@pytest.mark.parametrize("work", ["bind", "listen"])
def test_inet_only_goes_outwards(work: str) -> None:
    def listen() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
            one.bind(("127.0.0.1", 0)) if work == "bind" else one.listen()

    assert outcome(listen, None) == "done"
    assert outcome(listen, INET) == "EPERM"


# Other entries ------------------------------------------------------------------------------------------------------

X32: Final = 0x4000_0000
INT_80: Final = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
"""mov eax, 20 (getpid of i386); int 0x80; ret."""


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 is a second set of numbers of x86-64 alone")
def test_an_x32_call_ends_the_process() -> None:
    work = functools.partial(call, X32 | HERE.numbers["getpid"])
    assert outcome(work, None) in ("done", "ENOSYS")  # with or without CONFIG_X86_X32
    assert outcome(work, NONE) == "SIGSYS"
    assert outcome(work, EVERYTHING) == "SIGSYS"


@pytest.mark.skipif(MACHINE != "x86_64", reason="int 0x80 is the entry of i386")
def test_a_call_by_the_entry_of_i386_ends_the_process() -> None:
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(INT_80)
    code = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    assert outcome(code, None) in ("done", "SIGSEGV")  # with or without CONFIG_IA32_EMULATION
    assert outcome(code, NONE) == "SIGSYS"


def test_a_filter_cannot_be_taken_off_or_laid_over() -> None:
    def again() -> None:
        seccomp.lay_on(b"\x06\x00\x00\x00\x00\x00\xff\x7f")

    assert outcome(again, None) == ("done" if IS_WHOLE_ROOT else "EACCES")
    assert outcome(again, NONE) == "EPERM"
