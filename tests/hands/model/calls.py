"""Calls of model.* on a Hand by itself, and what each has cost in the end (acts)."""

import asyncio
from pathlib import Path
from typing import Any, Final

from runtime.models.messages import Answer
from tests.hands.doubles import FakeCall, hand_module, seated
from wire.amounts import Cost

for _module in ("model_bill", "model_turns", "model_desk", "model_trying"):
    hand_module("model", _module)
Model: Any = hand_module("model", "main").Model

ASKED: Final[dict[str, object]] = {
    "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hello, it rains."}]}]
}
RAIN: Final = {"type": "object", "properties": {"rain": {"type": "boolean"}}, "required": ["rain"]}


class Asking(FakeCall):
    """A call of model.*, and what it has cost in the end."""

    def __init__(
        self, resource: str, most: Cost | None = None, *, left: Cost | None = None, deadline: int = 60_000
    ) -> None:
        super().__init__(resource)
        self.most, self.left = most, left
        self.deadline = deadline
        self.spent = Cost(tokens=0, micro_dollars=0)

    def cost(self, *, tokens: int = 0, micro_dollars: int = 0) -> None:
        """Notes it."""
        self.spent = Cost(tokens=self.spent.tokens + tokens, micro_dollars=self.spent.micro_dollars + micro_dollars)


def hand_of(folder: Path, *script: str, **settings: object) -> Any:
    """The Hand, with the lines of its script."""
    return seated(Model, "model", folder, {}, script="\n".join(script), **settings)


def ask(hand: Any, call: Asking, method: str = "complete", **more: object) -> Answer:
    """One call's answer; the Hand starts before it and stops after it."""

    async def asked() -> Answer:
        await hand.start()
        try:
            found: Answer = await getattr(hand, method)(call, **ASKED, **more)
            return found
        finally:
            await hand.stop()

    return asyncio.run(asked())
