"""Answers to system calls that no row of allowed.py allows, and the families of such calls (pure).

The filter needs only the answer: EPERM; ENOSYS if libraries then use another call, and for calls that are newer than
NEWEST_EXPECTED or do not exist; EOPNOTSUPP if they then do without, as on many disks; death for a call by another
calling convention, whose numbers mean other calls. The families are for people: docs/seccomp.md shows them, and a test tries
each, with the filter and without.
"""

from enum import Enum
from typing import Final, NamedTuple

from manifests.confinement.syscalls import Architecture

NEWEST_EXPECTED: Final = 448
"""process_mrelease, of Linux 5.15. Programs that use a newer call must handle older kernels, and so ENOSYS."""


class Answer(Enum):
    """What Linux does with a call: the value that a filter returns (SECCOMP_RET_*, seccomp(2))."""

    ALLOW = 0x7FFF_0000
    EPERM = 0x0005_0000 | 1
    ENOSYS = 0x0005_0000 | 38
    EOPNOTSUPP = 0x0005_0000 | 95
    KILL = 0x8000_0000  # the whole process, not the thread


class Family(NamedTuple):
    """Calls that are refused for one reason. but: in words, the exceptions that allowed.py allows."""

    name: str
    calls: str
    why: str
    answer: Answer = Answer.EPERM
    but: str = ""


FAMILIES: Final[tuple[Family, ...]] = (
    Family(
        "new sockets",
        "socket socketpair bind listen accept accept4 connect setsockopt sendmmsg recvmmsg",
        "The bus and the loop's self-pipe are there before the filter is. No family is left: not AF_UNIX (a container "
        "engine, a session bus), AF_NETLINK, AF_PACKET, AF_VSOCK or AF_ALG.",
        but="with `inet`: TCP and UDP, outwards; with `proxy`: TCP; with `exec`: a pair, of streams or packets",
    ),
    Family(
        "programs",
        "execve execveat fork vfork",
        "A run is its Hand's hashed bytes and nothing else.",
        but="with `exec`; a plain fork, which uses clone",
    ),
    Family(
        "clone3", "clone3", "Its flags lie in memory, where no filter can look. glibc then uses clone.", Answer.ENOSYS
    ),
    Family(
        "limits",
        "prlimit64",
        "Another process's are not the run's. A limit of 0 for core files would start the program, of root's, to which "
        "a machine may pipe them; gpg, which wants that limit, goes on without where there is no such call.",
        Answer.ENOSYS,
        "of the process itself, all but that of core files",
    ),
    Family(
        "namespaces and mounts",
        "unshare setns chroot pivot_root mount umount2 open_tree move_mount fsopen fsconfig fsmount fspick "
        "mount_setattr",
        "They give a process rights over a world of its own, and reach a large part of the kernel's code. "
        "The same flags are refused to clone.",
    ),
    Family(
        "memory without a file",
        "memfd_create memfd_secret",
        "A file that no folder holds could be mapped and executed. wasmtime looks for them, and does without.",
        Answer.ENOSYS,
    ),
    Family(
        "System V and POSIX messages, semaphores, shared memory",
        "shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink "
        "mq_timedsend mq_timedreceive mq_notify mq_getsetattr",
        "Memory that no limit of the process counts, and ways between processes besides the bus.",
    ),
    Family(
        "executable and shared memory",
        "mmap mprotect pkey_mprotect pkey_alloc pkey_free remap_file_pages",
        "Bytes that were written are not executed, anonymous memory is nobody else's, and no page is a huge one.",
        but="ordinary memory, and libraries mapped from files",
    ),
    Family(
        "merged and swapped memory",
        "madvise",
        "The system merges equal pages of all who ask for it, and the time of a write then tells what others' memory holds. "
        "What was moved to swap is not resident, and the disk of all is slower.",
        but="all other advice about a process's own memory",
    ),
    Family(
        "other processes",
        "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd "
        "get_robust_list rt_sigqueueinfo rt_tgsigqueueinfo",
        "No process reads, writes or takes from another.",
    ),
    Family("keys", "add_key request_key keyctl", "The kernel's key rings belong to a user id, not to a run."),
    Family(
        "programs inside the kernel",
        "bpf perf_event_open userfaultfd seccomp",
        "The parts in which most ways out of a sandbox were found.",
    ),
    Family(
        "asynchronous I/O",
        "io_uring_setup io_uring_enter io_uring_register",
        "What goes through a ring passes no filter. libuv then uses its threads.",
        Answer.ENOSYS,
    ),
    Family(
        "old asynchronous I/O", "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents", "Nobody needs it."
    ),
    Family(
        "Landlock",
        "landlock_create_ruleset landlock_add_rule landlock_restrict_self",
        "It is already applied. To programs that would confine themselves (xz) there is none.",
        Answer.ENOSYS,
    ),
    Family(
        "the machine",
        "reboot kexec_load kexec_file_load init_module finit_module delete_module swapon swapoff acct quotactl "
        "quotactl_fd syslog sethostname setdomainname vhangup nfsservctl lookup_dcookie iopl ioperm",
        "The operator's alone.",
    ),
    Family("time", "settimeofday clock_settime adjtimex clock_adjtime", "The log stands on the machine's clock."),
    Family(
        "ids and capabilities",
        "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset "
        "chown fchown lchown fchownat personality modify_ldt",
        "A run's ids are chosen before its code runs, and stay.",
        but="with `exec`: the effective id, which a run can only set to what it is",
    ),
    Family(
        "space that is not written",
        "fallocate",
        "A few calls would take a whole disk before the next check of a run's files. posix_fallocate then writes.",
        Answer.EOPNOTSUPP,
        "a hole",
    ),
    Family(
        "attributes of files",
        "setxattr lsetxattr fsetxattr",
        "Some file systems (tmpfs, btrfs) count them nowhere, so that no limit bounds them. shutil and cp do without.",
        Answer.EOPNOTSUPP,
        "with `roots`",
    ),
    Family(
        "descriptors of one thread",
        "close_range",
        "What only a thread has open (CLOSE_RANGE_UNSHARE) is not seen among its process's files, and no limit of disk would "
        "count it.",
        but="to close, now or when a program is executed",
    ),
    Family(
        "descriptors in transit",
        "sendmsg",
        "A file that is on its way through a socket lies in no process, so no limit of disk counts it; and sent over the "
        "bus it is closed by the kernel, which waits while a long one is removed.",
        but="with `exec` or `inet`",
    ),
    Family(
        "the system's cache",
        "preadv2 pwritev2",
        "RWF_NOWAIT tells what others have read of a file.",
        Answer.EOPNOTSUPP,
        "without flags",
    ),
    Family(
        "locks that pass priorities on",
        "futex",
        "FUTEX_LOCK_PI and its kin were ways into the system. glibc uses them only for locks of that kind.",
        Answer.ENOSYS,
        "to wait and to wake",
    ),
    Family("files by handle", "open_by_handle_at name_to_handle_at", "They bypass every path."),
    Family(
        "watching files",
        "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_init fanotify_mark",
        "Watches are counted per user, so one Hand could use up everybody's. tail then polls.",
    ),
    Family(
        "watching descriptors",
        "epoll_create1",
        "Watches are counted per user, too, and a few epolls make millions. asyncio and the bus have theirs before the "
        "filter is there; select and poll are allowed.",
        but="with `exec` or `inet`",
    ),
    Family(
        "pipes without copies",
        "splice tee vmsplice sync sync_file_range syncfs readahead mincore",
        "Not needed. They share pages with a pipe, show other files' state in the cache, or make all wait for a disk.",
    ),
    Family(
        "processors and priorities",
        "sched_setaffinity sched_setattr sched_setparam setpriority ioprio_set ioprio_get mbind set_mempolicy "
        "get_mempolicy migrate_pages move_pages membarrier mlockall mlock2 setrlimit",
        "Who gets how much is the operator's decision.",
        but="with `exec`: nice; with `code`: membarrier",
    ),
    Family(
        "terminals",
        "ioctl",
        "TIOCSTI and TIOCLINUX type for whoever owns the terminal; every other request is a driver's own language.",
        but="seven requests that ask, or set a descriptor's flags; with `inet`, three about interfaces",
    ),
)

_ANSWERS: Final = {call: family.answer for family in FAMILIES for call in family.calls.split()}


def refused_answers(architecture: Architecture) -> dict[int, Answer]:
    """Return the answers to an architecture's calls up to NEWEST_EXPECTED, by number; all others get ENOSYS."""
    return {
        number: _ANSWERS.get(call, Answer.EPERM)
        for call, number in architecture.numbers.items()
        if number <= NEWEST_EXPECTED
    }
