"""Conditions on the arguments of system calls, in the form that a seccomp filter can check (pure).

Separate from the table of allowed.py, whose rows name these, because they consist of Linux's constants, which are the same
on x86-64 and aarch64. A filter sees six 64-bit arguments and no memory, so it cannot check what a pointer points to.
"""

from typing import Final, NamedTuple, TypeAlias

INT: Final = 0xFFFF_FFFF
"""The mask of an argument that Linux takes as 32 bits: it ignores the upper half, and so does the filter."""

LONG: Final = 0xFFFF_FFFF_FFFF_FFFF


class Bits(NamedTuple):
    """A test: the argument with this index (from 0), and-ed with mask, is one of values. Other bits do not matter."""

    argument: int
    mask: int
    values: tuple[int, ...]


Condition: TypeAlias = tuple[tuple[Bits, ...], ...]
"""A list of alternatives, each a list of tests. It holds if all tests of one alternative hold."""

ALWAYS: Final[Condition] = ((),)

# mmap(2), mprotect(2) -------------------------------------------------------------------------------------------------

_WRITE, _EXEC = 2, 4
_SHARED, _ANONYMOUS = 1, 0x20  # MAP_SHARED_VALIDATE (3) has the first bit too, MAP_PRIVATE (2) has not
_GROWS_DOWN: Final = 0x100  # such memory counts as a stack, whatever its size, and so escapes the limit of data
_HUGE: Final = 0x4_0000  # such pages count in no control group, and in the limit of data only if they can be written
_KINDS_OF_MEMORY: Final = _SHARED | _ANONYMOUS | _GROWS_DOWN | _HUGE
_NOT_SHARED_MEMORY: Final = Bits(3, _KINDS_OF_MEMORY, (0, _SHARED, _ANONYMOUS))

MAP: Final[Condition] = (
    (Bits(2, _EXEC, (0,)), _NOT_SHARED_MEMORY),
    (Bits(2, _WRITE | _EXEC, (_EXEC,)), Bits(3, _KINDS_OF_MEMORY, (0,))),
)
MAP_CODE: Final[Condition] = ((_NOT_SHARED_MEMORY,),)
PROTECT: Final[Condition] = ((Bits(2, _EXEC, (0,)),),)
PROTECT_CODE: Final[Condition] = ((Bits(2, _WRITE | _EXEC, (_EXEC,)),),)

# madvise(2): the advice ------------------------------------------------------------------------------------------------

ADVICE: Final[Condition] = (
    (Bits(2, INT & ~3, (0, 4, 8, 16)),),  # four each
    (Bits(2, INT & ~1, (14, 22, 24, 102)),),  # two each
)
"""What allocators and threads' stacks use, up to MADV_GUARD_REMOVE. Not MADV_MERGEABLE (12): how long a write to a page takes
would tell whether somebody else has the same; nor MADV_COLD (20) and MADV_PAGEOUT (21), by which memory moves to swap."""

# preadv2(2), pwritev2(2), futex(2) -------------------------------------------------------------------------------------

NO_FLAGS: Final[Condition] = ((Bits(5, INT, (0,)),),)
"""RWF_NOWAIT would tell what of a file is in the system's cache."""

_ANY_CLOCK_OR_REACH: Final = 0x180  # FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG
_WAIT, _WAKE, _REQUEUE, _CMP_REQUEUE, _WAKE_OP, _WAIT_BITSET, _WAKE_BITSET = 0, 1, 3, 4, 5, 9, 10

WAIT_OR_WAKE: Final[Condition] = (
    (
        Bits(
            1, INT & ~_ANY_CLOCK_OR_REACH,
            (_WAIT, _WAKE, _REQUEUE, _CMP_REQUEUE, _WAKE_OP, _WAIT_BITSET, _WAKE_BITSET),
        ),
    ),
)  # fmt: skip

# clone(2): the lower half of the flags; the lowest byte is the signal of the child's end ------------------------------

_VM, _FS, _FILES, _SIGHAND, _THREAD = 0x100, 0x200, 0x400, 0x800, 0x1_0000
_SYSVSEM, _SETTLS, _PARENT_SETTID, _DETACHED = 0x4_0000, 0x8_0000, 0x10_0000, 0x40_0000
_CHILD_CLEARTID, _CHILD_SETTID = 0x20_0000, 0x100_0000
_VFORK, _SIGCHLD = 0x4000, 17
_AS_LIBRARIES_LIKE: Final = _SYSVSEM | _SETTLS | _PARENT_SETTID | _DETACHED | _CHILD_CLEARTID | _CHILD_SETTID

THREAD_OR_FORK: Final[Condition] = (
    (Bits(0, INT & ~_AS_LIBRARIES_LIKE, (_VM | _FS | _FILES | _SIGHAND | _THREAD,)),),
    (Bits(0, INT & ~(_CHILD_CLEARTID | _CHILD_SETTID), (_SIGCHLD,)),),
)
SPAWN: Final[Condition] = ((Bits(0, INT, (_VM | _VFORK | _SIGCHLD,)),),)

# fcntl(2), ioctl(2), prctl(2), arch_prctl(2): the command ------------------------------------------------------------

_DUPFD, _DUPFD_CLOEXEC, _GETFD, _SETFD, _GETFL, _SETFL = 0, 1030, 1, 2, 3, 4
_LOCKS: Final = (5, 6, 7)  # F_GETLK, F_SETLK, F_SETLKW; of the same with OFD the system does not tell who holds them

DESCRIPTOR_AND_LOCK: Final[Condition] = (
    (Bits(1, INT, (_DUPFD, _DUPFD_CLOEXEC, _GETFD, _SETFD, _GETFL, _SETFL, *_LOCKS)),),
)

_TCGETS, _TCGETS2, _TIOCGWINSZ = 0x5401, 0x802C_542A, 0x5413
_FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX = 0x541B, 0x5421, 0x5450, 0x5451

STREAM_REQUEST: Final[Condition] = (
    (Bits(1, INT, (_TCGETS, _TCGETS2, _TIOCGWINSZ, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX)),),
)

_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCETHTOOL = 0x8913, 0x8921, 0x8946

INTERFACE_REQUEST: Final[Condition] = ((Bits(1, INT, (_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCETHTOOL)),),)

_SET_NAME, _GET_NAME, _SET_VMA = 15, 16, 0x5356_4D41
_CAPBSET_READ: Final = 23

NAMES: Final[Condition] = ((Bits(0, INT, (_SET_NAME, _GET_NAME, _SET_VMA)),),)
BOUNDING_SET: Final[Condition] = ((Bits(0, INT, (_CAPBSET_READ,)),),)

_ARCH_SET_FS, _ARCH_GET_FS = 0x1002, 0x1003

THREAD_POINTER: Final[Condition] = ((Bits(0, INT, (_ARCH_SET_FS, _ARCH_GET_FS)),),)

# close_range(2): the flags ---------------------------------------------------------------------------------------------

CLOSE: Final[Condition] = ((Bits(2, INT, (0, 4)),),)
"""None, or CLOSE_RANGE_CLOEXEC. By CLOSE_RANGE_UNSHARE a thread would have descriptors that its process has not."""

# fallocate(2): the mode ------------------------------------------------------------------------------------------------

_PUNCH_HOLE: Final = 3  # FALLOC_FL_PUNCH_HOLE goes with FALLOC_FL_KEEP_SIZE

HOLE: Final[Condition] = ((Bits(1, INT, (_PUNCH_HOLE,)),),)
"""Every other mode takes space on the disk without writing it: more in a moment than a check of files could stop."""

# Processes -----------------------------------------------------------------------------------------------------------

ONESELF: Final[Condition] = ((Bits(0, INT, (0,)),),)
"""The first argument is 0: the calling process, or PRIO_PROCESS."""

_CORE, _KINDS = 4, 16  # RLIMIT_CORE, RLIM_NLIMITS

OWN_LIMITS: Final[Condition] = (
    (Bits(0, INT, (0,)), Bits(1, INT, tuple(kind for kind in range(_KINDS) if kind != _CORE))),
    (Bits(0, INT, (0,)), Bits(2, LONG, (0,))),
)
"""prlimit64(2) of the calling process: to set any limit but that of core files, and to ask for any."""

ORDINARY_SCHEDULING: Final[Condition] = ((Bits(1, INT, (0,)),),)
"""SCHED_OTHER."""

EFFECTIVE_ID: Final[Condition] = ((Bits(0, INT, (INT,)), Bits(2, INT, (INT,))),)
"""setresuid(2), setresgid(2): -1, which leaves an id as it is, for the real and the saved one."""

_IFMT, _IFIFO = 0o170000, 0o010000

FIFO: Final[Condition] = ((Bits(1, _IFMT, (_IFIFO,)),),)
FIFO_AT: Final[Condition] = ((Bits(2, _IFMT, (_IFIFO,)),),)

# Sockets -------------------------------------------------------------------------------------------------------------

_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _DGRAM, _SEQPACKET, _NONBLOCK_CLOEXEC = 1, 2, 5, 0x8_0800
_TYPE: Final = INT & ~_NONBLOCK_CLOEXEC
_TCP, _UDP = 6, 17

TCP: Final[Condition] = ((Bits(0, INT, (_INET, _INET6)), Bits(1, _TYPE, (_STREAM,)), Bits(2, INT, (0, _TCP))),)
INTERNET: Final[Condition] = (
    *TCP,
    (Bits(0, INT, (_INET, _INET6)), Bits(1, _TYPE, (_DGRAM,)), Bits(2, INT, (0, _UDP))),
)
PAIR: Final[Condition] = ((Bits(0, INT, (_UNIX,)), Bits(1, _TYPE, (_STREAM, _SEQPACKET))),)

_OUT_OF_BAND: Final = 1  # MSG_OOB

IN_BAND: Final[Condition] = ((Bits(3, _OUT_OF_BAND, (0,)),),)
IN_BAND_MESSAGE: Final[Condition] = ((Bits(2, _OUT_OF_BAND, (0,)),),)
"""sendto(2) and sendmmsg(2), whose fourth argument is the flags, and sendmsg(2), whose third is."""

IN_BAND_WITHOUT_ADDRESS: Final[Condition] = ((Bits(3, _OUT_OF_BAND, (0,)), Bits(4, LONG, (0,))),)
"""sendto(2) on a socket that is connected already: send(2) is this."""

_SOL_IP, _SOL_SOCKET, _SOL_TCP, _SOL_IPV6 = 0, 1, 6, 41
_REUSEADDR, _KEEPALIVE, _RCVTIMEO, _SNDTIMEO = 2, 9, 20, 21  # no SO_LINGER: whoever closes would wait
_TCP_NODELAY, _TCP_KEEPIDLE, _TCP_KEEPINTVL, _TCP_KEEPCNT, _TCP_USER_TIMEOUT = 1, 4, 5, 6, 18
_IP_RECVERR, _IPV6_RECVERR, _IPV6_V6ONLY = 11, 25, 26

SOCKET_OPTION: Final[Condition] = (
    (
        Bits(1, INT, (_SOL_SOCKET,)),
        Bits(2, INT, (_REUSEADDR, _KEEPALIVE, _RCVTIMEO, _SNDTIMEO)),
    ),
    (
        Bits(1, INT, (_SOL_TCP,)),
        Bits(2, INT, (_TCP_NODELAY, _TCP_KEEPIDLE, _TCP_KEEPINTVL, _TCP_KEEPCNT, _TCP_USER_TIMEOUT)),
    ),
    (Bits(1, INT, (_SOL_IP,)), Bits(2, INT, (_IP_RECVERR,))),
    (Bits(1, INT, (_SOL_IPV6,)), Bits(2, INT, (_IPV6_RECVERR, _IPV6_V6ONLY))),
)
