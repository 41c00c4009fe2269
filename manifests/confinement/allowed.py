"""The allow-list of system calls: which ones a run may make once it has joined the bus, and what needs them (pure).

The one table of the seccomp layer. program.py makes the filter from it, docs/seccomp.md shows it, and a property test
compares the two. A call that no row allows is refused; refused.py has the answers. Rows only add: a call is allowed if
any row in force names it and the row's condition holds, so a profile can widen the list and never narrow it.

To add a call: name the program or library that was seen to need it, and give the narrowest condition that suffices.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from manifests.confinement import arguments
from manifests.confinement.arguments import ALWAYS, Condition


class Profile(StrEnum):
    """A set of system calls that some runs need in addition to those of every run.

    EXEC: it may execute programs (`command` Hands, the shell). INET: it may open connections (services with
    network = "host"). PROXY: its programs may, to its bridge, which accepts them. ROOTS: it works in the operator's folders
    (services with roots). CODE: it makes native code; no run does, only the process that compiles modules at install.
    """

    EXEC = "exec"
    INET = "inet"
    PROXY = "proxy"
    ROOTS = "roots"
    CODE = "code"


class Row(NamedTuple):
    """Calls (names separated by blanks) that are allowed, what needs them, and the condition (`only` is it in words).

    profile: the one for which the row is in force; None for every run. Names that an architecture lacks are skipped there.
    """

    calls: str
    who: str
    when: Condition = ALWAYS
    only: str = ""
    profile: Profile | None = None


TABLE: Final[tuple[Row, ...]] = (
    # Every run has these.
    Row("read write close readv writev lseek", "the interpreter: every file, pipe and socket; libzmq: its eventfds"),
    Row("pread64 pwrite64 preadv pwritev", "SQLite; os.pread and its kin"),
    Row("preadv2 pwritev2", "os.preadv, os.pwritev", arguments.NO_FLAGS, "without flags"),
    Row("dup dup2 dup3 pipe pipe2 eventfd2", "the interpreter: pipes; libzmq: an eventfd for each mailbox"),
    Row(
        "fcntl",
        "asyncio, libzmq: O_NONBLOCK; SQLite: locks; the interpreter: dup, close-on-exec",
        arguments.DESCRIPTOR_AND_LOCK,
        "to duplicate, for flags, and for locks: no lease, no signals, no sealing, no size of a pipe",
    ),
    Row(
        "ioctl",
        "the interpreter: isatty, set_blocking, get_terminal_size",
        arguments.STREAM_REQUEST,
        "TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX",
    ),
    Row(
        "close_range", "the interpreter: os.closerange", arguments.CLOSE, "no table of descriptors for one thread alone"
    ),
    Row("poll ppoll select pselect6", "libzmq, and Python's select"),
    Row("epoll_ctl epoll_wait epoll_pwait epoll_pwait2", "asyncio; libzmq, also when it closes its sockets"),
    Row(
        "open openat creat access faccessat faccessat2",
        "the interpreter: files and imports; which files, Landlock decides",
    ),
    Row("openat2", "`files`: paths that cannot leave their root"),
    Row("stat lstat fstat newfstatat statx statfs fstatfs", "the interpreter: files and imports; shutil.disk_usage"),
    Row("getdents64 getcwd chdir fchdir readlink readlinkat", "the interpreter: imports, os.scandir"),
    Row(
        "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat",
        "tempfile, SQLite, `files`: in the run's own folders and roots",
    ),
    Row("umask chmod fchmod fchmodat fchmodat2 utimensat", "tempfile, shutil, `files`, `data-pipeline`"),
    Row("getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr", "`files`: labels; shutil.copy2"),
    Row(
        "truncate ftruncate fadvise64 flock fsync fdatasync sendfile copy_file_range",
        "SQLite, shutil, `files`, `data-pipeline`",
    ),
    Row("fallocate", "cp", arguments.HOLE, "a hole"),
    Row("brk munmap mremap msync", "glibc's malloc, threads' stacks, mmap of Python"),
    Row(
        "madvise",
        "malloc, threads' stacks; garbage collectors of programs",
        arguments.ADVICE,
        "no pages that are merged with others' or moved to swap",
    ),
    Row("mlock munlock", "libsodium, below libzmq: keys stay out of swap"),
    Row(
        "mmap",
        "malloc, threads' stacks, SQLite; dlopen of an extension module that is imported late",
        arguments.MAP,
        "nothing anonymous that is shared, nothing that grows downwards; executable only from a file, private, and not "
        "writable at once",
    ),
    Row("mprotect", "malloc, threads' stacks, dlopen", arguments.PROTECT, "never to make memory executable"),
    Row("set_robust_list rseq exit sched_yield gettid", "threads"),
    Row("futex", "threads", arguments.WAIT_OR_WAKE, "to wait and to wake: no lock that passes priorities on"),
    Row(
        "clone",
        "threads, os.fork",
        arguments.THREAD_OR_FORK,
        "a thread, or a plain fork: no namespace, no parent but the caller, no tracing",
    ),
    Row("sched_getscheduler sched_getparam sched_getaffinity getcpu", "libzmq's threads; os.cpu_count"),
    Row(
        "sched_setscheduler",
        "libzmq's threads, which abort the process when it fails",
        arguments.ORDINARY_SCHEDULING,
        "SCHED_OTHER, which a thread has anyway",
    ),
    Row(
        "prctl",
        "names of threads: libzmq, Python from 3.14 on; names of memory: glibc",
        arguments.NAMES,
        "PR_SET_NAME, PR_GET_NAME, PR_SET_VMA",
    ),
    Row("exit_group wait4 waitid", "the interpreter: its end, os.waitpid; process 1 of a run reaps"),
    Row("setsid setpgid", "os.setsid, shells: job control; leaving a session leaves no PID namespace"),
    Row("kill tgkill", "os.kill, os.abort; whom a signal reaches, PID namespace and Landlock decide"),
    Row(
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend sigaltstack pause",
        "the interpreter's and asyncio's signals; faulthandler",
    ),
    Row("restart_syscall", "the kernel itself: a wait goes on after a pause of the run"),
    Row("alarm getitimer setitimer", "Python's signal"),
    Row(
        "nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time",
        "time.sleep; clocks, where the vDSO cannot tell",
    ),
    Row("getrandom", "os.urandom, random, secrets, libsodium"),
    Row(
        "getpid getppid getuid geteuid getgid getegid getgroups getresuid getresgid getpgid getpgrp getsid",
        "libzmq, SQLite, tempfile, Python's os",
    ),
    Row("uname sysinfo getrusage times", "platform, os.sysconf, resource; glibc's qsort"),
    Row(
        "prlimit64",
        "resource; glibc: the stack of a new thread",
        arguments.OWN_LIMITS,
        "the calling process, whose limits can only go down; that of core files stays",
    ),
    Row(
        "sendto",
        "libzmq: the bus; asyncio: its self-pipe",
        arguments.IN_BAND_WITHOUT_ADDRESS,
        "without an address: to whom the socket is connected already; nothing out of band",
    ),
    Row("recvfrom recvmsg", "libzmq: the bus; asyncio: its self-pipe"),
    Row("shutdown getsockopt getsockname getpeername", "libzmq: the end of the link; asyncio"),
    # With `exec`: what programs of any kind need.
    Row("execve execveat", "starting a program; which, Landlock decides", profile=Profile.EXEC),
    Row("fork vfork", "subprocess, shells, programs built with musl", profile=Profile.EXEC),
    Row("clone", "posix_spawn", arguments.SPAWN, "a child that executes at once (CLONE_VM, CLONE_VFORK)", Profile.EXEC),
    Row("epoll_create1", "programs that wait for many: Node.js, asyncio", profile=Profile.EXEC),
    Row("set_tid_address", "the start of every program", profile=Profile.EXEC),
    Row(
        "arch_prctl",
        "the start of every program on x86-64",
        arguments.THREAD_POINTER,
        "ARCH_SET_FS, ARCH_GET_FS",
        Profile.EXEC,
    ),
    Row(
        "mmap",
        "just-in-time compilers, such as Node.js's",
        arguments.MAP_CODE,
        "nothing anonymous that is shared, nothing that grows downwards",
        Profile.EXEC,
    ),
    Row("mprotect", "just-in-time compilers, such as Node.js's", profile=Profile.EXEC),
    Row("getpriority", "nice", profile=Profile.EXEC),
    Row("setpriority", "nice", arguments.ONESELF, "of processes, not of users", Profile.EXEC),
    Row(
        "timer_create timer_settime timer_gettime timer_getoverrun timer_delete",
        "timeout, of coreutils",
        profile=Profile.EXEC,
    ),
    Row("pidfd_open pidfd_send_signal", "asyncio's child watcher from 3.12 on; Go", profile=Profile.EXEC),
    Row("tkill", "programs built with musl", profile=Profile.EXEC),
    Row("capget", "ls, Node.js", profile=Profile.EXEC),
    Row("prctl", "ls", arguments.BOUNDING_SET, "PR_CAPBSET_READ", Profile.EXEC),
    Row(
        "setresuid setresgid",
        "make, whose children take back what a set-id make would have gained",
        arguments.EFFECTIVE_ID,
        "the effective id, for which a run has no other than its own",
        Profile.EXEC,
    ),
    Row("mknod", "mkfifo on x86-64", arguments.FIFO, "a named pipe", Profile.EXEC),
    Row("mknodat", "mkfifo", arguments.FIFO_AT, "a named pipe", Profile.EXEC),
    Row(
        "socketpair",
        "Node.js: pipes to its children; asyncio in a Python program: its self-pipe; Rust: cargo's children",
        arguments.PAIR,
        "AF_UNIX, SOCK_STREAM or SOCK_SEQPACKET: connected from its birth to itself, and to nobody else ever",
        Profile.EXEC,
    ),
    Row(
        "sendmsg",
        "the bridge of a program, and programs: asyncio, what a socket did not take at once",
        arguments.IN_BAND_MESSAGE,
        "nothing out of band",
        Profile.EXEC,
    ),
    # With `inet`: what connections need.
    Row(
        "socket",
        "`web`: connections, name lookup; psutil: the machine's interfaces",
        arguments.INTERNET,
        "AF_INET or AF_INET6 with SOCK_STREAM for TCP or SOCK_DGRAM for UDP: no raw one, no ICMP",
        Profile.INET,
    ),
    Row("connect", "`web`: connections, name lookup", profile=Profile.INET),
    Row("epoll_create1", "asyncio: connections", profile=Profile.INET),
    Row("sendto", "`web`: name lookup", arguments.IN_BAND, "nothing out of band", Profile.INET),
    Row("sendmmsg", "glibc: name lookup", arguments.IN_BAND, "nothing out of band", Profile.INET),
    Row("sendmsg", "asyncio: several pieces at once", arguments.IN_BAND_MESSAGE, "nothing out of band", Profile.INET),
    Row("recvmmsg", "glibc: name lookup", profile=Profile.INET),
    Row(
        "setsockopt",
        "asyncio: TCP_NODELAY, SO_KEEPALIVE; glibc: IP_RECVERR in name lookup",
        arguments.SOCKET_OPTION,
        "time-outs, keep-alive, TCP_NODELAY, errors, IPV6_V6ONLY, SO_REUSEADDR; no size of a buffer, no SO_LINGER",
        Profile.INET,
    ),
    Row(
        "ioctl",
        "psutil: `machine` tells of the interfaces",
        arguments.INTERFACE_REQUEST,
        "SIOCGIFFLAGS, SIOCGIFMTU, SIOCETHTOOL",
        Profile.INET,
    ),
    # With `proxy`: what programs that may reach their bridge need beyond `exec`, and the bridge.
    Row(
        "socket", "programs: connections", arguments.TCP, "AF_INET or AF_INET6 with SOCK_STREAM for TCP", Profile.PROXY
    ),
    Row("connect", "programs: connections", profile=Profile.PROXY),
    Row(
        "setsockopt",
        "programs, asyncio: TCP_NODELAY, SO_KEEPALIVE",
        arguments.SOCKET_OPTION,
        "as with `inet`",
        Profile.PROXY,
    ),
    Row(
        "accept4",
        "the bridge: connections of its run's programs, on a socket that listened before the filter was laid on",
        profile=Profile.PROXY,
    ),
    # With `roots`: what work in the operator's folders needs.
    Row("setxattr lsetxattr fsetxattr", "`files`: labels", profile=Profile.ROOTS),
    # With `code`: what compiling a module needs.
    Row(
        "mprotect",
        "wasmtime, which does not give away what it compiled before it could run",
        arguments.PROTECT_CODE,
        "to make memory executable that can no longer be written",
        Profile.CODE,
    ),
    Row(
        "membarrier",
        "wasmtime on aarch64: all cores see the new code; without it, it gives up there",
        profile=Profile.CODE,
    ),
)


def conditions_of(profiles: frozenset[Profile]) -> dict[str, Condition]:
    """Return the condition under which each call is allowed with these profiles. Calls that are not in it are refused."""
    found: dict[str, Condition] = {}
    for row in TABLE:
        if row.profile is None or row.profile in profiles:
            for call in row.calls.split():
                together = tuple(dict.fromkeys(found.get(call, ()) + row.when))
                found[call] = ALWAYS if ALWAYS in (row.when, found.get(call)) else together
    return found
