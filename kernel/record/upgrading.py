"""Unfinished runs whose code was upgraded, and what is kept for them (acts on what manifests/upgrades.py decides).

A version that an unfinished run was begun with stays below `hands/` until the last of them has ended; then its folder is
moved away in one step, and removed by the template. What is needed is read off the state, so whatever is killed at whichever
moment: the next start of the kernel finds the same folders needed, and the others gone.
"""

import os
from functools import partial
from typing import TYPE_CHECKING

from kernel.runs import Run
from manifests import paying, upgrades
from manifests.calls import OpenCall
from manifests.ledger import cost_of
from manifests.schema import ASK
from wire.errors import Refusal

if TYPE_CHECKING:
    from kernel.core import Kernel


class Upgrading:
    """The runs that are not made any more of what they were begun with."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._folders: set[str] = set()

    # what is kept ----------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Take away what an earlier kernel, or an install that was interrupted, has left below `hands/`."""
        self._folders.update(os.listdir(self._kernel.home.at("hands")))
        self.tidy()

    def tidy(self) -> None:
        """Take away the folders of Hands that nothing needs any more, once the log says so on disk."""
        kernel, state = self._kernel, self._kernel.state
        self._folders.update(hand.folder for hand in (*state.hands.values(), *state.kept.values()))
        gone = upgrades.unneeded(self._folders, state, (run.hand.folder for run in kernel.runs.values()))
        self._folders.difference_update(gone)
        for folder in gone:
            kernel.log.after(kernel.log.size - 1, partial(kernel.launcher.discard, folder))

    # what becomes of runs --------------------------------------------------------------------------------------------

    def upgraded(self, hand: str) -> int:
        """A Hand was replaced: its unfinished runs go on as they are, begin anew, or wait; how many wait."""
        kernel, state = self._kernel, self._kernel.state
        found = [run for run in kernel.runs.values() if run.hand.id == hand and run.tape is not None and run.work]
        for run in found:
            if upgrades.fate(state, run.id) == "finish":
                continue
            kernel.resuming.wake(run.id)  # also on its way to sleep
            if run.state != "waiting":
                kernel.supervisor.kill_to_resume(run, f"upgraded: {'; '.join(upgrades.changed(state, run.id))}")
        kernel.log.after(kernel.log.size - 1, kernel.resuming.try_again)
        return sum(upgrades.fate(state, run.id) == ASK for run in found)

    def works(self) -> list[OpenCall]:
        """The work of the runs that wait for the operator's decision, whose clocks stand still."""
        kernel = self._kernel
        waiting = (run for run in kernel.runs.values() if run.state == "waiting" and run.work is not None)
        return [run.work for run in waiting if run.work is not None and upgrades.is_asked(kernel.state, run.id)]

    def lets_go_on(self, run: Run) -> bool:
        """Whether a run without a process may have the next one; else it waits, or another was begun instead.

        Raises Refusal when another cannot be yet, or for nobody any more, and has begun nothing then.
        """
        kernel, fate = self._kernel, upgrades.fate(self._kernel.state, run.id)
        cannot: Refusal | None = None
        if fate == "restart":
            try:
                self._begin_anew(run)
            except Refusal as refusal:
                cannot = refusal
        verdict, why = upgrades.verdict(kernel.state, run.id, fate, cannot)
        if verdict:
            kernel.record("decision", run=run.id, verdict=verdict, why=why)
            kernel.exchange.update_clocks()
        return fate == "finish"

    def _begin_anew(self, run: Run) -> None:
        """Begin another run instead of one, with what that was begun with; whoever waits for it hears the other's end."""
        kernel, start, work = self._kernel, run.began, run.work
        assert start is not None
        assert work is not None
        hand = upgrades.check_restart(kernel.state.by_id(run.hand.id), run.name)
        kernel.supervisor.check_startable(hand)  # else it waits with its calls: the upgrade may yet be taken back
        if run.tape is not None:
            kernel.resuming.end_calls(run, run.tape, "its run begins anew")
        most = cost_of(work.reservation.unspent) if work.reservation is not None else work.most
        if work.reservation is not None:  # what is left of it is the other's
            kernel.budgets.reservations.close(work.reservation)
            work.reservation = None
        cause = upgrades.cause(start, work, most)
        fired = upgrades.key_of(kernel.state, hand.id, run.id)
        try:
            again = kernel.supervisor.start_task_run(
                cause, hand, start.inputs, detached=work.is_detached, fired=fired, depth=work.depth, instead=run.id,
                seconds=upgrades.seconds_given(start.deadline, run.hand.package.manifest),
            )  # fmt: skip
        except Refusal:
            work.most = most
            paying.opened(kernel.budgets.reservations, work)
            raise
        kernel.results.replace(run.id, again.id)
        kernel.resuming.give_up(run, f"{upgrades.ANEW} {again.id}")
