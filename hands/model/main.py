"""The Hand `model`: the one process that calls language models and holds their keys (acts; thin).

A call on PROVIDER/MODEL goes to that model and no other; one on a route's name goes along the route's list, in the order
that runtime/models/routing.py decides. model_desk.py makes the requests; this module has what each method takes and returns.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from model_bill import Bill
from model_desk import Desk
from model_trying import Trying, count_tokens
from runtime import Call, Failure, Hand
from runtime.models import messages
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, Request
from wire import limits
from wire.amounts import Used
from wire.errors import CodecError

Reply = TypeVar("Reply", Answer, messages.Embedded)

MARGIN_S: Final = 1.0
"""Seconds kept free before the call's deadline, so that the call ends with a reason."""


class Model(Hand):
    """Provides model.*."""

    async def start(self) -> None:
        """Imports, opens and asks nothing: that waits for the first call."""
        self.desk = Desk(self.settings)

    async def stop(self) -> None:
        """Closes the drivers."""
        await self.desk.release()

    async def on_settings(self, changed: frozenset[str]) -> None:
        """Applies new keys, addresses and limits from the next request on; resets the breakers. Requests under way go on."""
        before, self.desk = self.desk, Desk(self.settings)
        await before.release()

    async def complete(self, call: Call, **params: object) -> Answer:
        """model.complete: the whole answer. Nothing is shown before it, so a broken stream may be tried again."""
        return await self._answer(call, params, streams=False)

    async def stream(self, call: Call, **params: object) -> Answer:
        """model.stream: the answer, its pieces streamed as they come."""
        return await self._answer(call, params, streams=True)

    async def embed(self, call: Call, texts: list[object]) -> messages.Embedded:
        """model.embed: one vector per text, in order."""
        if not texts or not all(isinstance(text, str) for text in texts):
            raise Failure("arguments", "`texts` is not a list of at least one text")
        with _as_failures(), _billed(call) as bill:
            async with self.desk.held() as desk:
                return _check_size(await desk.embed(call.resource, [str(text) for text in texts], bill, _until(call)))

    async def count(self, call: Call, **params: object) -> dict[str, object]:
        """model.count: a request's tokens. exact: the provider counted them."""
        with _as_failures():
            async with self.desk.held() as desk:
                return await count_tokens(desk, call.resource, _request(params), _until(call))

    async def list(self, call: Call, ask: bool = False) -> dict[str, object]:
        """model.list: routes, providers and models. ask: also ask each ready provider for its models."""
        async with self.desk.held() as desk:
            return await desk.list_all(ask=ask)

    async def _answer(self, call: Call, params: dict[str, object], *, streams: bool) -> Answer:
        request = _request(params)
        with _as_failures(), _billed(call) as bill:
            async with self.desk.held() as desk:
                trying = Trying(desk, call.resource, request, bill, _until(call), self.random.random)
                async with contextlib.aclosing(trying.pieces(streams=streams)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, Answer):
                            return _check_size(piece)
                        if streams:
                            await call.send(messages.pack([piece]))
        raise Failure("cut", "the stream ended before the answer did")


def _until(call: Call) -> float:
    """When a call's time is over, on the clock of time.monotonic."""
    return time.monotonic() + max(MARGIN_S, call.deadline / 1000 - MARGIN_S)


def _check_size(reply: Reply) -> Reply:
    """Returns the reply. Raises Failure if it exceeds a body: a schema's value repeats the text, and vectors are large."""
    if len(msgspec.msgpack.encode(reply)) <= limits.BODY_MAX:
        return reply
    raise Failure("malformed", f"{reply.model} made more than the 1 MiB that a reply holds: ask for less at once")


def _request(params: dict[str, object]) -> Request:
    try:
        return messages.parse_request(params)
    except CodecError as error:
        raise Failure("arguments", str(error)) from None


@contextlib.contextmanager
def _billed(call: Call) -> Iterator[Bill]:
    """Yields the call's bill; at the end, reports its cost and the model that answered, however the call ends."""
    bill = Bill(call.most, call.left)
    try:
        yield bill
    finally:
        call.cost(tokens=bill.tokens, micro_dollars=bill.micro_dollars)
        if bill.model:
            call.measured(Used(model=bill.model))


@contextlib.contextmanager
def _as_failures():  # type: ignore[no-untyped-def]  # a generator of nothing
    """Turns ModelFailed into the call's Failed, with the same code."""
    try:
        yield
    except ModelFailed as failure:
        detail = {"provider": failure.provider} | ({} if failure.after is None else {"after": failure.after})
        raise Failure(failure.code, failure.text, **detail) from None
