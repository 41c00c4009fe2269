"""Unfinished runs whose code was upgraded, and the versions kept for them (acts on what manifests/upgrades.py decides).

The version that an unfinished run was begun with stays below `hands/` until its last such run has ended. Then its folder is
moved away in one step, and the template removes it. Which folders are needed follows from the state, so a kernel that is
killed at any moment leaves nothing wrong: the next one keeps the same folders and removes the others.
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
    """Unfinished runs whose Hand, runtime or interpreter has changed since they began, and the folders kept for them."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._folders: set[str] = set()

    # what is kept ----------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Remove what an earlier kernel, or an interrupted install, left below `hands/`."""
        self._folders.update(os.listdir(self._kernel.home.at("hands")))
        self.remove_unneeded()

    def remove_unneeded(self) -> None:
        """Remove the folders of Hands that nothing needs any more, once the entries that say so are on disk."""
        kernel, state = self._kernel, self._kernel.state
        self._folders.update(hand.folder for hand in (*state.hands.values(), *state.kept.values()))
        unneeded = upgrades.unneeded_folders(self._folders, state, (run.hand.folder for run in kernel.runs.values()))
        self._folders.difference_update(unneeded)
        for folder in unneeded:
            kernel.log.after(kernel.log.size - 1, partial(kernel.launcher.discard, folder))

    # what becomes of runs --------------------------------------------------------------------------------------------

    def on_upgrade(self, hand: str) -> int:
        """After a Hand was replaced: let its unfinished runs go on as they are, restart, or wait for a decision.

        Returns the number of runs that wait.
        """
        kernel, state = self._kernel, self._kernel.state
        found = [run for run in kernel.runs.values() if run.hand.id == hand and run.tape is not None and run.work]
        for run in found:
            if upgrades.on_upgrade_of(state, run.id) == "finish":
                continue
            kernel.resuming.wake(run.id)  # it may be falling asleep
            if run.state != "waiting":
                kernel.supervisor.kill_to_resume(run, f"upgraded: {'; '.join(upgrades.replaced_code(state, run.id))}")
        kernel.log.after(kernel.log.size - 1, kernel.resuming.start_waiting)
        return sum(upgrades.on_upgrade_of(state, run.id) == ASK for run in found)

    def undecided_work(self) -> list[OpenCall]:
        """Return the work of the runs that wait for the operator's decision: its clock stands still."""
        runs, state = self._kernel.runs.values(), self._kernel.state
        return [run.work for run in runs if run.work and run.state == "waiting" and upgrades.is_asked(state, run.id)]

    def may_resume(self, run: Run) -> bool:
        """Whether a waiting run may have its next process. If not, it goes on waiting, or another run has replaced it.

        Raises Refusal if it must be replaced and the other run cannot start; nothing was started then.
        """
        kernel, fate = self._kernel, upgrades.on_upgrade_of(self._kernel.state, run.id)
        cannot: Refusal | None = None
        if fate == "restart":
            try:
                self._start_replacement(run)
            except Refusal as refusal:
                cannot = refusal
        verdict, why = upgrades.next_decision(kernel.state, run.id, fate, cannot)
        if verdict:
            kernel.record("decision", run=run.id, verdict=verdict, why=why)
            kernel.exchange.update_clocks()
        return fate == "finish"

    def _start_replacement(self, run: Run) -> None:
        """Start another run in place of one, with the same inputs. Whoever waits for the first gets the end of the other."""
        kernel, start, work = self._kernel, run.began, run.work
        assert start is not None
        assert work is not None
        hand = upgrades.check_restart(kernel.state.by_id(run.hand.id), run.name)
        kernel.supervisor.check_startable(hand)  # if not, the run waits and keeps its calls: the upgrade may be undone
        if run.tape is not None:
            kernel.resuming.end_calls(run, run.tape, "its run is restarted")
        most = cost_of(work.reservation.unspent) if work.reservation is not None else work.most
        if work.reservation is not None:  # the other run gets what is left of it
            kernel.budgets.reservations.close(work.reservation)
            work.reservation = None
        cause = upgrades.restart_call(start, work, most)
        fired = upgrades.firing_key(kernel.state, hand.id, run.id)
        try:
            again = kernel.supervisor.start_task_run(
                cause, hand, start.inputs, detached=work.is_detached, fired=fired, depth=work.depth, instead=run.id,
                seconds=upgrades.seconds_given(start.deadline, run.hand.package.manifest),
            )  # fmt: skip
        except Refusal:
            work.most = most
            paying.reserve(kernel.budgets.reservations, work)
            raise
        kernel.results.replace(run.id, again.id)
        kernel.resuming.give_up(run, f"{upgrades.ANEW} {again.id}")
