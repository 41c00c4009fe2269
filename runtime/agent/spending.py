"""Finds what a request may cost, and what was spent for a run's calls and no reply said (acts: asks the kernel).

A reply's cost is the call's own. What its provider spent on calls of its own, and what a delegated run spent unless it is an
agent's and says so, is known to the kernel only.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec.structs import replace

from runtime.agent.actions import AskModel, Outcome
from runtime.errors import CallCancelled, CallFailed, CallRefused
from runtime.kernel_handle import Budget
from wire.amounts import Cost


async def most_of(action: AskModel, ask: Callable[[], Awaitable[Budget]]) -> Cost | None:
    """Return what a request may cost: its own bound, or less if budgets or the run's caller leave less; None for no bound."""
    if not action.micro_dollars:
        return None
    left = await ask()
    bounds = ((action.tokens, left.tokens_left), (action.micro_dollars, left.micro_dollars_left))
    tokens, money = (own if one is None else min(own, one) for own, one in bounds)
    return Cost(tokens=tokens, micro_dollars=money)


class Unsaid:
    """What the kernel counts beyond what replies said. under_way: calls that have not ended, but for those of the model."""

    def __init__(self, *, is_needed: bool) -> None:
        """is_needed: [agent] bounds tokens or money; else the kernel is not asked."""
        self._is_needed = is_needed
        self.under_way = self._tokens = self._micro_dollars = 0
        self._reported = (0, 0)

    def say(self, tokens: int, micro_dollars: int) -> None:
        """Take the cost that a reply said."""
        self._tokens += tokens
        self._micro_dollars += micro_dollars

    async def add_to(self, outcome: Outcome, ask: Callable[[], Awaitable[Budget]]) -> Outcome:
        """Return the outcome of a call that has ended; with what was unsaid, if no other is under way.

        If the kernel cannot be asked, a later one has it.
        """
        self.say(outcome.tokens, outcome.micro_dollars)
        self.under_way -= 1
        if self.under_way or not self._is_needed:
            return outcome
        with suppress(CallCancelled, CallFailed, CallRefused):
            now = await ask()
            tokens, money = self.take(now.tokens_in_all, now.micro_dollars_in_all)
            return replace(outcome, tokens=outcome.tokens + tokens, micro_dollars=outcome.micro_dollars + money)
        return outcome

    def take(self, tokens: int, micro_dollars: int) -> tuple[int, int]:
        """Take what the kernel counts by now; return how much of what it added since the last time no reply said.

        It counts less than before when a charge was corrected: then nothing is added.
        """
        unsaid = (
            max(0, tokens - self._reported[0] - self._tokens),
            max(0, micro_dollars - self._reported[1] - self._micro_dollars),
        )
        self._reported, self._tokens, self._micro_dollars = (tokens, micro_dollars), 0, 0
        return unsaid
