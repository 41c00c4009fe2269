"""What the log has begun and not ended: calls and task runs (pure values, part of `State`)."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from manifests.ledger import Sum
from manifests.schema import Effect
from wire.labels import Labels, join

ENDED_MOST: Final = 4_096
"""Runs that have ended which the run that began them may still wait for: more than may be under way at once."""


class Open(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call without an end, as far as that tells of it. seq, time: of its first entry; answer, until: see waiting().

    most: what is reserved for it, if anything; payers: with whom; within: the call out of whose `most` it is taken, 0 for
    none; inner: what calls made for it have spent of its own. effect: when it was begun; the worst, where that is not told.
    is_begun: it may have reached its provider; not so one that only waited when it was put back, until its run goes on.
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
        """Whether something may have been done for it."""
        return self.is_begun and self.answer != "held"


class Unfinished(Struct, kw_only=True, forbid_unknown_fields=True):
    """A task run that has no end yet, or one that has, whose outcome the run that asked for it may not have heard, or
    instead of which another one goes on.

    work: the call that is its work. asked: the one that asked for it; asker: the run that made that; spawner: the same,
    if it ends with that. last: the newest entry of a call of its own. has_ended: see above. hand, seal, made_of: what it
    was begun with, see State.kept and State.made_of. decided: what the last `decision` about it said. instead: the run that
    it was begun instead of. calls, spent: those that it has made, and what they have cost.
    ended: of the runs that it asked for, those that have ended and that it may still ask about, ENDED_MOST at most.
    has_work: the log has its work's entry, which comes next after its own; without it one that was asked for was never
    begun, as a crash took that. depth: scheduled runs behind it, each begun by an event of the one before. labels: of what
    it was begun with, and of what may lie in its scratch folder, if it lends that; its tape may tell more.
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
    ended: list[str] = []
    labels: tuple[str, ...] = ()

    def begin(self, labels: Iterable[str]) -> None:
        """Its work is in the log, with these labels."""
        self.has_work = True
        self.see(labels)

    def see(self, labels: Iterable[str]) -> None:
        """Note what may lie in its scratch folder."""
        self.labels = tuple(sorted(self.seen(labels)))

    def seen(self, told: Iterable[str]) -> Labels:
        """The labels of what it was told, and of what may lie in its scratch folder."""
        return join(told, self.labels)


def end(runs: dict[str, Unfinished], run: str, one: Unfinished) -> None:
    """A run, which was taken out of these, has its end: it is known as long as somebody may ask for it."""
    one.has_ended, runs[run] = True, one
    asker = runs.get(one.asker or one.spawner)
    if asker is not None and not asker.has_ended:
        asker.ended.append(run)
        if len(asker.ended) > ENDED_MOST:
            _forget(runs, asker.ended.pop(0))
    elif not one.ended and not one.instead:  # it alone can be forgotten now, so the others need no look
        _forget(runs, run)
    if one.ended or one.instead:
        one.ended = []
        forget_unasked(runs)


def _forget(runs: dict[str, Unfinished], run: str) -> None:
    """Forget a run that has ended, and those that it was begun instead of; not one instead of which another goes on."""
    while run in runs and not any(one.instead == run for one in runs.values()):
        run = runs.pop(run).instead


def forget_unasked(runs: dict[str, Unfinished]) -> None:
    """Forget the runs that have ended, and have neither an asker that could ask again, nor another that goes on instead."""
    while True:
        needed = {one.instead for one in runs.values()}
        ended = {run: runs.get(one.asker or one.spawner) for run, one in runs.items() if one.has_ended}
        gone = [run for run, one in ended.items() if run not in needed and (one is None or one.has_ended)]
        if not gone:
            return
        for run in gone:
            del runs[run]


def mark_begun(opens: dict[int, Open], calls: Iterable[int], *, is_begun: bool) -> None:
    """Note of these calls, as far as they are open, whether they may have reached their providers."""
    for number in calls:
        if number in opens:
            opens[number] = replace(opens[number], is_begun=is_begun)
