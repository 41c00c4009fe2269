"""Calls and task runs whose end is not in the log yet (pure values, part of `State`)."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from manifests.ledger import Sum, change_of, minus, plus
from manifests.schema import Effect
from wire.entries import Entry
from wire.labels import Labels, join

WORK: Final = "run"
"""The method of a task run's work. No Hand can provide it. It has no cost of its own: only the run's calls have."""

ENDED_MOST: Final = 4_096
"""The most ended runs remembered for the run that started them, which may still wait for them: more than can be under way."""


class Open(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call without an end, as logged. seq, time: of its first entry. answer, until: see standing_rules.py.

    most: its reservation, if any; payers: with whom; within: the call whose `most` pays for it, 0 for none; inner: the part
    of `most` that calls made for it have spent. effect: of its method when it began; the strongest, if unknown. is_begun:
    whether it may have reached its provider. False for a call that still waited when its caller's process ended, until the
    caller resumes.
    """

    method: str
    seq: int = -1
    time: str = ""
    resource: str = ""
    effect: Effect = "external"
    run: str = ""
    parent: int = 0
    labels: tuple[str, ...] = ()
    most: Sum | None = None
    payers: tuple[str, ...] = ()
    within: int = 0
    inner: Sum = (0, 0)
    answer: str = ""
    until: int = 0
    is_begun: bool = True

    @property
    def was_begun(self) -> bool:
        """Whether its provider may have worked on it."""
        return self.is_begun and self.answer != "held"


class Unfinished(Struct, kw_only=True, forbid_unknown_fields=True):
    """A task run without an end; or, with has_ended, an ended one that is still needed: the run that started it may not
    have received its outcome, or another run took its place.

    hand, seal, made_of: what it began with, see State.kept and State.made_of. work: the call that is its work. asked: the
    call that started it; asker: the run that made this call; spawner: the same, if it ends with that run. instead: the run
    whose place it took. depth: the number of scheduled runs that led to it, each started by an event of the one before.

    has_work: its work's entry, which follows its own, is in the log; if not, a crash came between, and it never began.
    last: the newest entry of its own calls. calls, spent: the number and cost of its calls. spent_in_all: that cost, and that
    of all calls made for them, also by runs that it spawned and that are not detached. decided: the verdict of the last
    `decision` about it. ended: ended runs that it started and may still ask about; at most ENDED_MOST. labels: of its inputs,
    and of what its scratch folder may contain, if it lends that; its tape may have more.
    """

    name: str
    hand: str
    seal: str
    made_of: dict[str, str]
    decided: str = ""
    instead: str = ""
    work: int = 0
    asked: int = 0
    asker: str = ""
    spawner: str = ""
    last: int = -1
    has_ended: bool = False
    has_work: bool = True
    depth: int = 0
    calls: int = 0
    spent: Sum = (0, 0)
    spent_in_all: Sum = (0, 0)
    ended: list[str] = []
    labels: tuple[str, ...] = ()

    def begin(self, labels: Iterable[str]) -> None:
        """Note that its work's entry is in the log, with these labels."""
        self.has_work = True
        self.see(labels)

    def note(self, last: int, calls: int, spent: Sum, spent_in_all: Sum) -> None:
        """Note what the kernel counts of it by now."""
        self.last, self.calls, self.spent, self.spent_in_all = last, calls, spent, spent_in_all

    def see(self, labels: Iterable[str]) -> None:
        """Add the labels of data that its scratch folder may contain."""
        self.labels = tuple(sorted(self.seen(labels)))

    def seen(self, told: Iterable[str]) -> Labels:
        """Return the labels of what it was told, and of what its scratch folder may contain."""
        return join(told, self.labels)


def has_open_work(run: Unfinished, opens: Mapping[int, Open]) -> bool:
    """Whether a run's own work is open. A run that answers a single call has no work of its own, and no tape."""
    work = opens.get(run.work)
    return not run.has_ended and work is not None and work.method == WORK


def add_spent(runs: Mapping[str, Unfinished], opens: Mapping[int, Open], entry: Entry) -> None:
    """Add a call's cost, or its correction, to what its run has spent, and to what was spent for the runs above that."""
    (more, back), number, by = change_of(entry), entry.parent, entry.run
    if by in runs:
        runs[by].spent = minus(plus(runs[by].spent, more), back)
    while number:
        run, above = runs.get(by), opens.get(number)
        if run is not None and run.work == number:  # whoever makes a call for a run's work is that run
            run.spent_in_all = minus(plus(run.spent_in_all, more), back)
            if not run.spawner:
                return
            if (spawner := runs.get(run.spawner)) is not None:
                number, by = spawner.work, run.spawner
                continue
        number, by = (0, "") if above is None else (above.parent, above.run)


def end_run(runs: dict[str, Unfinished], run: str, ending: Unfinished) -> None:
    """Note a run's end. The run was taken out of `runs`, and goes back while another run may still ask about it."""
    ending.has_ended, runs[run] = True, ending
    asker = runs.get(ending.asker or ending.spawner)
    if asker is not None and not asker.has_ended:
        asker.ended.append(run)
        if len(asker.ended) > ENDED_MOST:
            _forget(runs, asker.ended.pop(0))
    elif not ending.ended and not ending.instead:  # it alone can be forgotten now: no need to check the others
        _forget(runs, run)
    if ending.ended or ending.instead:
        ending.ended = []
        forget_unasked(runs)


def _forget(runs: dict[str, Unfinished], run: str) -> None:
    """Forget an ended run, and the runs whose place it took in turn; but none whose own place another run took."""
    while run in runs and not any(other.instead == run for other in runs.values()):
        run = runs.pop(run).instead


def forget_unasked(runs: dict[str, Unfinished]) -> None:
    """Forget ended runs whose starter has ended or is forgotten, and whose place no other run took."""
    while True:
        needed = {unfinished.instead for unfinished in runs.values()}
        askers = {run: runs.get(ended.asker or ended.spawner) for run, ended in runs.items() if ended.has_ended}
        gone = [run for run, asker in askers.items() if run not in needed and (asker is None or asker.has_ended)]
        if not gone:
            return
        for run in gone:
            del runs[run]


def mark_begun(opens: dict[int, Open], calls: Iterable[int], *, is_begun: bool) -> None:
    """Set is_begun of those of the calls that are open."""
    for number in calls:
        if number in opens:
            opens[number] = replace(opens[number], is_begun=is_begun)
