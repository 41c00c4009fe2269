"""The life cycle of a service, and when it restarts (pure): tables and arithmetic; clock and chance are arguments.

Three variables are kept apart: whether the operator wants it up (State.wanted), whether it is paused (State.paused), both
of which survive restarts, and its present state in LIFE, which does not. The docs draw their diagram from LIFE.
"""

from collections.abc import Callable, Container, Iterable
from typing import Final, Protocol

from manifests.installed import Installed
from manifests.policy import escape_invisible
from manifests.schema import PROGRAM_FOLDERS, Manifest, Requires, Restart
from manifests.state import State
from manifests.values import LOCKS_MOST, format_size
from wire.errors import NotNow, Refusal
from wire.launch import Excess
from wire.tape import Spent

LIFE: Final = {
    ("stopped", "start"): "starting",
    ("starting", "ready"): "ready",
    ("starting", "stop"): "stopping",
    ("starting", "died"): "backing_off",
    ("ready", "stop"): "stopping",
    ("ready", "died"): "backing_off",
    ("stopping", "stop"): "stopping",
    ("stopping", "died"): "stopped",
    ("backing_off", "start"): "starting",
    ("backing_off", "stop"): "stopped",
    ("backing_off", "give_up"): "quarantined",
    ("backing_off", "done"): "stopped",
    ("quarantined", "start"): "starting",
    ("quarantined", "stop"): "stopped",
}
"""stopped: no process. starting: forked, not yet ready. ready: takes calls. stopping: told to end. backing_off: it died,
and restarts after a delay. quarantined: it died too often, and stays down until the operator starts it."""

BACKOFF_FIRST: Final = 0.1
BACKOFF_MOST: Final = 30.0

NOTED_WALL: Final = 10_000
NOTED_CPU: Final = 1_000_000
"""The least milliseconds, and microseconds of processor time, between two notes of a run's usage on its tape."""

TEMPLATES_MOST: Final = 5
"""How many templates may die in a row before any run comes up. Then none is started until the operator asks for it."""

_NO_TEMPLATE: Final = "the template, which makes every run, died"

_BEGUN: Final = 1
"""The number of records on the tape of a run that has begun, but neither sent nor received anything."""


def step(state: str, event: str) -> str:
    """Return the state after an event. Raises NotNow for an event that the state does not list."""
    after = LIFE.get((state, event))
    if after is None:
        raise NotNow(f"a Hand cannot {event} while it is {state}")
    return after


def after_death(
    restart: Restart, deaths: tuple[float, ...], now: float, *, clean: bool, is_lost: bool = False
) -> tuple[str, tuple[float, ...]]:
    """Return the LIFE event after a service's process died, and the deaths that count from now on.

    The event is `done` (stay down), `start` (again, after backoff) or `give_up` (quarantine). clean: it ended by itself with
    exit code 0. deaths: times of earlier deaths; those longer ago than `within` are dropped, so a service that ran for that
    long restarts as quickly as after its first death. is_lost: it died with the template, which does not count.
    """
    recent = tuple(moment for moment in deaths if now - moment <= restart.within_ms / 1000)
    if restart.when == "never" or (clean and restart.when == "failure"):
        return "done", recent
    if is_lost:
        return "start", recent
    return ("give_up", ()) if len(recent) >= restart.times else ("start", (*recent, now))


class Waiting(Protocol):
    """A run whose process ended with the template. count: records on its tape, including the first one."""

    count: int


def after_template(deaths: int, chance: float, waiting: Iterable[Waiting]) -> tuple[float, str]:
    """Return the seconds until the next template starts, and ""; or 0 and why none does. deaths: in a row.

    While a run with recorded work waits, another template is always started: without one the run cannot end.
    """
    if deaths < TEMPLATES_MOST or any(run.count > _BEGUN for run in waiting):
        return backoff(deaths, chance), ""
    why = f"{_NO_TEMPLATE} {deaths} times before one came up"
    return 0.0, f"{why}: see `maniple doctor` and run/kernel.log"


def cpu_exceeded(manifest: Manifest, cpu: int) -> str:
    """Return why a run that has used `cpu` microseconds of processor time is killed; "" if that is within its limit."""
    most = manifest.limits.cpu_ms
    over = manifest.hand.kind == "task" and cpu >= most * 1000
    return f"it used more than its {most / 1000:g} s of processor time" if over else ""


def cpu_used_up(manifest: Manifest, cpu: int) -> str:
    """Return why Linux killed a run that has used `cpu` microseconds of processor time; "" if not for its limit of that.

    For the limit Linux counts by ticks of its clock, which may be some hundredths more than it tells of an ended process.
    """
    return cpu_exceeded(manifest, cpu * 20 // 19)


def cpu_exceeded_by_all(manifest: Manifest, cpu: int) -> str:
    """Return why to kill a run whose processes together have used `cpu` microseconds of processor time; "" to let it run.

    One second is added to its limit: between the soft and the hard limit, a single process may end by itself.
    """
    return cpu_exceeded(manifest, cpu - 1_000_000)


def memory_exceeded(manifest: Manifest) -> str:
    """Return the reason of a run's end whose processes together exceeded its memory limit."""
    return f"it used more than its {format_size(manifest.limits.memory)} of memory"


def is_worth_noting(before: Spent, now: Spent, wall: int, manifest: Manifest) -> bool:
    """Whether to note a run's usage on its tape, so that it counts even if the kernel dies. wall: its limit, in ms.

    True after each hundredth of a limit, but not before NOTED_WALL or NOTED_CPU more were used.
    """
    most = manifest.limits.cpu_ms * 1000
    return now.wall - before.wall >= max(NOTED_WALL, wall // 100) or now.cpu - before.cpu >= max(NOTED_CPU, most // 100)


NOT_STILL: Final = "it was paused, and its processes did not stand still"


def limit_exceeded(what: Excess, manifest: Manifest) -> str:
    """Return the reason of a run's end that exceeded a limit: of disk, of memory, or LOCKS_MOST."""
    match what:
        case "disk":
            whose = "its files" if manifest.hand.kind == "service" else "its files and its tape"
            return f"{whose} took more than its {format_size(manifest.limits.disk)} of disk"
        case "memory":
            return memory_exceeded(manifest)
        case "locks":
            return f"it held more than {LOCKS_MOST:,} locks on parts of files"


def ended_refusal(code: str, what: str, why: str) -> Refusal:
    """Return the refusal of calls that waited for a service which ended. why: only for its operator, since the service may
    have written it."""
    return Refusal(code, f"{what}: {why}", bare=what)


def start_refusal(name: str, why: str) -> Refusal | None:
    """Return the refusal of a Hand's start if its run reported one as "code: why", or if there is no template to make its
    process; None if the run just died.
    """
    if why.startswith(_NO_TEMPLATE):
        return Refusal("template", why)
    code, _, reason = why.partition(": ")
    match code:
        case "altered":
            mend = "look at who did that, then install it again with `maniple install DIR`"
            return Refusal("seal", f"{name} does not start: {escape_invisible(reason)}; {mend}")
        case "confinement":
            return Refusal(
                "confinement", f"{name} does not start: {escape_invisible(reason)}; `maniple doctor` tells more"
            )
    return None


def shown_state(
    state: State, hand: Installed, life: str, *, is_working: bool, is_ending: bool, is_over: bool = False
) -> str:
    """Return the state of a Hand, or of one of its runs, for people.

    life: a service's state in LIFE; is_working, is_ending: whether a task Hand has runs, and whether they are ending;
    is_over: whether its budget is used up.
    """
    if hand.id in state.paused:
        return "paused"
    if hand.is_task and is_ending:
        return "stopping"
    if hand.id in state.quarantined:
        return "quarantined"
    if is_over:
        return "over_budget"
    return ("working" if is_working else "idle") if hand.is_task else life


def check_requires(name: str, requires: Requires, may_execute: Callable[[str], bool], env: Container[str]) -> None:
    """Raise Refusal if the machine lacks something in [requires]. may_execute: whether a path is an executable file."""
    for binary in requires.binaries:
        if not any(may_execute(f"{folder}/{binary}") for folder in PROGRAM_FOLDERS):
            where = ", ".join(PROGRAM_FOLDERS)
            raise Refusal(
                "requires", f"{name} requires the program {binary}: install it in one of {where}, then start again"
            )
    for variable in requires.env:
        if variable not in env:
            raise Refusal("requires", f"{name} requires ${variable}: set it, then `maniple down` and `maniple up`")


OUTCOME_UNKNOWN: Final = "outcome unknown"
"""The code of Failed for a call that may or may not have had its effect."""

_PASSING: Final = frozenset({"finishing", "frozen", "paused", "quarantined", "room", "secrets", "template"})


def is_temporary(code: str, count: int = _BEGUN + 1) -> bool:
    """Whether a start that was refused with this code may succeed later, with the Hand unchanged.

    count: records on the run's tape. A run that has done nothing does not wait for a template: its starter could otherwise
    wait for ever.
    """
    return code in _PASSING and (code != "template" or count > _BEGUN)


def has_fixed_order(manifest: Manifest) -> bool:
    """Whether runs of this Hand repeat their requests in the same order when resumed: Python code in one process does."""
    return not (manifest.hand.command or manifest.hand.wasm or manifest.confinement.programs)


def first_to_stop(needs: dict[str, tuple[str, ...]]) -> set[str]:
    """Return the running Hands that no other one needs; all, if they need each other. needs: by name, what each needs."""
    needed = {other for name, others in needs.items() for other in others if other != name}
    return set(needs) - needed or set(needs)


def backoff(deaths: int, chance: float, restart: Restart | None = None) -> float:
    """Return the seconds until the next start: doubling from BACKOFF_FIRST to BACKOFF_MOST, plus up to a fifth of jitter.

    chance: 0 to 1, random, so that Hands that died together do not start together. restart: of a service, whose waits leave
    room for `times` deaths within half of `within`: or it would never be quarantined.
    """
    most = BACKOFF_MOST if restart is None else restart.within_ms / 2_000 / max(1, restart.times)
    plain = BACKOFF_FIRST * 2.0 ** min(max(0, deaths - 1), 20)
    return min(plain, max(BACKOFF_FIRST, min(BACKOFF_MOST, most))) * (1 + chance / 5)


_EINVAL: Final = 22  # errno(3)
_NO_ROOM: Final = frozenset({28, 122})  # ENOSPC, EDQUOT
_FILE_TOO_LARGE: Final = 27  # EFBIG
_NO_FILE: Final = frozenset({6, 21, 40})  # ENXIO of a pipe that nobody reads, EISDIR, ELOOP of a link


def trouble(error: OSError) -> str:
    """Why a file could not be written, and what the operator does about that."""
    mend = "make room on its disk" if error.errno in _NO_ROOM else "mend that"
    if error.errno == _FILE_TOO_LARGE:
        mend = "start the kernel under a higher `ulimit -f`, which bounds each file"
    return f"{error.strerror or error}; {mend}"


def explain_start_error(error: OSError, home: str) -> str:
    """What a start did not find or get, and what to do about it. home: its folder.

    EINVAL: the run's folder cannot be given to a user id that this user namespace does not map.
    """
    path = error.filename
    if not isinstance(path, str):
        return str(error)
    of_home = path.removeprefix(home).strip("/").partition("/")[0]
    if error.errno in _NO_FILE and of_home == "output":
        found = "a folder" if isinstance(error, IsADirectoryError) else "not a plain file"
        return f"{path}, for what it prints, is {found}: move it away, then type the same again"
    if error.errno == _EINVAL:
        return "its run cannot have a user id of its own here: `maniple doctor` tells more"
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"{path}: {trouble(error).lower()}, then type the same again"
    if of_home in ("hands", "compiled"):
        mend = "restore it, or `maniple install DIR`"
    else:
        mend = "`maniple down` and `maniple up` make a home's folders anew"
    return f"{path} is not there any more: {mend}"
