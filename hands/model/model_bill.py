"""Adds up what one call has cost, and what it may still cost (pure, but for a warning in the log).

Separate because answers and vectors are paid for alike. Whatever happens, the call is charged what its bill says.
"""

from typing import Final

from runtime import records
from runtime.models import catalogue, pricing
from runtime.models.drivers.answers import TOKENS_MOST
from runtime.models.failures import ModelFailed
from runtime.models.messages import Usage
from wire.amounts import Cost

FREE: Final = "offline/"
"""Prefix of the names of models that cost nothing."""


class Bill:
    """most: what the call may cost, None if unlimited; left: without that, what budgets leave for it.

    tokens, micro_dollars: what it has cost. model: the model that answered or was paid last, "" if none.
    """

    def __init__(self, most: Cost | None, left: Cost | None = None) -> None:
        self._most, self._bound = most, most or left
        self.tokens = 0
        self.micro_dollars = 0
        self.model = ""

    def room(self, name: str, prompt: int, *, answer: int) -> int | None:
        """Tokens that an answer to a prompt of `prompt` tokens may have; None if unlimited.

        answer: tokens it must at least have room for, 0 for none. Raises ModelFailed("over_most") without that room.
        """
        if self._bound is None or name.startswith(FREE):
            return None
        tokens, money = self._bound.tokens - self.tokens, self._bound.micro_dollars - self.micro_dollars
        row = catalogue.find(name)
        longest = pricing.longest_answer(prompt, row, tokens, money)
        costs = pricing.cost(Usage(input=1, output=answer), row)
        if tokens <= 0 or (money <= 0 and costs) or (longest is not None and longest < answer):
            bound = "the call's `most`" if self._most is not None else "budgets leave"
            raise ModelFailed("over_most", f"{name} could cost more than {bound} with this request")
        return longest if longest is None or longest <= TOKENS_MOST else None

    def settle(self, name: str, usage: Usage) -> None:
        """Adds a usage. Caps the bill at `most` and logs the excess, which a prompt longer than estimated can cause."""
        self.model = name
        if name.startswith(FREE):
            return
        self.tokens += usage.total
        self.micro_dollars += pricing.cost(usage, catalogue.find(name)) or 0
        if self._most is None:
            return
        for unit, most in (("tokens", self._most.tokens), ("micro_dollars", self._most.micro_dollars)):
            if getattr(self, unit) > most:
                records.logger().warning(
                    "a call cost more than its most", model=name, unit=unit, cost=getattr(self, unit)
                )
                setattr(self, unit, most)
