"""The Hand `model`: the one process that asks language models and holds their keys (acts; thin).

A call on PROVIDER/MODEL is asked of that model and no other; one on a route's name goes along its list, in the order that
runtime/models/routing.py works out. model_desk.py makes the requests; here is what each method takes and answers.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from model_bill import Bill
from model_desk import Desk
from model_trying import Trying
from runtime import Call, Failure, Hand
from runtime.models import messages
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, Request
from wire import limits
from wire.entries import Used
from wire.errors import CodecError

Reply = TypeVar("Reply", Answer, messages.Embedded)

MARGIN_S: Final = 1.0
"""Before the call's deadline, so that it ends with a reason."""


class Model(Hand):
    """Provides model.*."""

    async def start(self) -> None:
        """Nothing is imported, opened or asked before the first call."""
        self.desk = Desk(self.settings)

    async def stop(self) -> None:
        """Close what drivers have open."""
        await self.desk.let_go()

    async def on_settings(self, changed: frozenset[str]) -> None:
        """Keys, addresses and limits hold from the next request on; breakers begin anew. Requests under way go on."""
        before, self.desk = self.desk, Desk(self.settings)
        await before.let_go()

    async def complete(self, call: Call, **params: object) -> Answer:
        """Ask, and answer whole. Nothing is shown before, so a stream that broke may be tried again."""
        return await self._asked(call, params, streams=False)

    async def stream(self, call: Call, **params: object) -> Answer:
        """Ask, and stream the pieces as they come."""
        return await self._asked(call, params, streams=True)

    async def embed(self, call: Call, texts: list[object]) -> messages.Embedded:
        """Vectors, in the order of the texts."""
        if not texts or not all(isinstance(text, str) for text in texts):
            raise Failure("arguments", "`texts` is not a list of at least one text")
        with _as_failures(), _billed(call) as bill:
            async with self.desk.held() as desk:
                return _fitting(await desk.embed(call.resource, [str(text) for text in texts], bill, _until(call)))

    async def count(self, call: Call, **params: object) -> dict[str, object]:
        """Tokens of a request; exact: the provider counted them."""
        with _as_failures():
            async with self.desk.held() as desk:
                return await desk.count(call.resource, _request(params))

    async def list(self, call: Call, ask: bool = False) -> dict[str, object]:
        """What there is."""
        async with self.desk.held() as desk:
            return await desk.listed(ask=ask)

    async def _asked(self, call: Call, params: dict[str, object], *, streams: bool) -> Answer:
        request = _request(params)
        with _as_failures(), _billed(call) as bill:
            async with self.desk.held() as desk:
                trying = Trying(desk, call.resource, request, bill, _until(call), self.random.random)
                async with contextlib.aclosing(trying.pieces(streams=streams)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, Answer):
                            return _fitting(piece)
                        if streams:
                            await call.send(messages.packed([piece]))
        raise Failure("cut", "the stream ended before the answer did")


def _until(call: Call) -> float:
    """When a call's time is over, by time.monotonic."""
    return time.monotonic() + max(MARGIN_S, call.deadline / 1000 - MARGIN_S)


def _fitting(reply: Reply) -> Reply:
    """What a reply holds. The value of a schema stands beside the text that it is of, and vectors are many numbers."""
    if len(msgspec.msgpack.encode(reply)) <= limits.BODY_MAX:
        return reply
    raise Failure("malformed", f"{reply.model} made more than the 1 MiB that a reply holds: ask for less at once")


def _request(params: dict[str, object]) -> Request:
    try:
        return messages.request_of(params)
    except CodecError as error:
        raise Failure("arguments", str(error)) from None


@contextlib.contextmanager
def _billed(call: Call) -> Iterator[Bill]:
    """The call's bill, which it settles however it ends; and who was asked, which a route's name does not say."""
    bill = Bill(call.most)
    try:
        yield bill
    finally:
        call.cost(tokens=bill.tokens, micro_dollars=bill.micro_dollars)
        if bill.model:
            call.measured(Used(model=bill.model))


@contextlib.contextmanager
def _as_failures():  # type: ignore[no-untyped-def]  # a generator of nothing
    """What a provider did not do ends the call in Failed, with the same code."""
    try:
        yield
    except ModelFailed as failure:
        detail = {"provider": failure.provider} | ({} if failure.after is None else {"after": failure.after})
        raise Failure(failure.code, failure.text, **detail) from None
