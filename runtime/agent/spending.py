"""Asks what a run has cost with all that was spent for its calls (acts: asks the kernel).

A reply's cost is the call's own. What its provider spent on calls of its own, and what a delegated run spent unless it is an
agent's and says so, is known to the kernel only. It counts for one kernel's life; what it said before a restart is added.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from runtime.errors import CallCancelled, CallFailed, CallRefused
from runtime.kernel_handle import Budget


class InAll:
    """total: tokens and micro-dollars, as known when no call was under way. under_way: calls that have not ended."""

    def __init__(self, *, is_needed: bool) -> None:
        """is_needed: [agent] bounds tokens or money; else the kernel is not asked."""
        self._is_needed = is_needed
        self.under_way = 0
        self.total = self._before = self._reported = (0, 0)

    async def on_end(self, ask: Callable[[], Awaitable[Budget]]) -> None:
        """A call has ended. If it was the last one under way, ask; if the kernel does not say it, the total stays."""
        self.under_way -= 1
        if self.under_way or not self._is_needed:
            return
        with suppress(CallCancelled, CallFailed, CallRefused):
            now = await ask()
            self.add_report(now.tokens_in_all, now.micro_dollars_in_all)

    def add_report(self, tokens: int, micro_dollars: int) -> None:
        """Take what the kernel counted since it started; if that is less than before, it has started since."""
        if tokens < self._reported[0] or micro_dollars < self._reported[1]:
            self._before = self.total
        self._reported = tokens, micro_dollars
        self.total = self._before[0] + tokens, self._before[1] + micro_dollars
