"""Carries one request along its route until a model answers (acts): retries, failover, the call's `most`, its schema.

Nothing is shown twice: once a piece was streamed to the caller, a failure ends the call. All tries are on one bill,
whatever their outcome.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from functools import partial
from types import FrameType
from typing import Final, TypeVar

from msgspec.structs import replace

from manifests.capabilities import model as resource
from model_bill import Bill
from model_desk import Desk
from runtime.models import catalogue, counting, retrying, schemas
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, AnyPiece, Message, Request, Stop, Text, Usage

CHECK_S: Final = 5.0
"""Processor seconds for comparing an answer with its schema, while all other calls wait."""

CHECK_AGAIN_S: Final = 0.1
"""Seconds between further interrupts after that: Python drops an exception raised while it frees an object."""

ENDED: Final = frozenset({Stop.END, Stop.SEQUENCE})
"""How an answer stops that is compared with its schema."""

T = TypeVar("T")


class Trying:
    """One request. until: when the call's time is over, by time.monotonic. chance: a random number from 0 to 1, each time."""

    def __init__(
        self, desk: Desk, asked: str, request: Request, bill: Bill, until: float, chance: Callable[[], float]
    ) -> None:
        self._desk = desk
        self._asked = asked
        self._request = request
        self._bill = bill
        self._until = until
        self._chance = chance
        self._tried: list[str] = []

    async def pieces(self, *, streams: bool) -> AsyncGenerator[AnyPiece | Answer, None]:
        """Yields pieces, then the answer. streams: the caller sees pieces at once. Raises ModelFailed if no model answers."""
        schema = self._request.schema
        if schema is not None and (fault := _run_bounded(partial(schemas.find_fault, schema))):
            raise ModelFailed("request", fault)  # before an answer is paid for that could not be used
        plan = self._desk.plan(self._asked, self._request)
        failed: list[tuple[str, ModelFailed]] = []
        for place, name in enumerate(plan.names):
            tries, until = 0, _part(self._until, len(plan.names) - place)
            while True:
                tries, shown = tries + 1, False
                answer: Answer | None = None
                try:
                    async with contextlib.aclosing(self._try_once(name, self._request, until)) as pieces:
                        async for piece in pieces:
                            if isinstance(piece, Answer):
                                answer = piece
                                continue
                            shown = streams
                            yield piece
                    if answer is None:
                        raise ModelFailed("cut", "the stream ended before the answer did")
                    yield await self._check_schema(
                        name, answer, streams=streams
                    )  # outside of a turn, since it may ask again
                    return
                except ModelFailed as failure:
                    last = failure
                left = until - time.monotonic()
                pause = retrying.retry_pause(last, tries, shown=shown, left=left, chance=self._chance())
                if pause is None or self._desk.paused(name, pause):
                    break
                await asyncio.sleep(pause)
            if shown or not last.kind.elsewhere:
                raise last
            self._tried.append(f"{name}: {last.code}")
            failed.append((name, last))
        raise _no_answer(failed, plan.left_out)

    async def _try_once(self, name: str, request: Request, until: float) -> AsyncGenerator[AnyPiece | Answer, None]:
        """Makes one request to one model. until: when its first piece must be there, by time.monotonic."""
        provider, model = resource.split(name)
        driver = await self._desk.driver(provider)
        request = self._within(name, request)
        made, is_owed, began = 0, True, time.monotonic()
        try:
            async with self._desk.turn(provider, until):
                began = time.monotonic()
                wait: float | None = until - began
                try:
                    async with contextlib.aclosing(driver.stream(model, request)) as pieces:  # type: ignore[type-var]  # a generator, as its interface says
                        while (piece := await _next(pieces, wait)) is not None:
                            if wait is not None:
                                self._desk.note_first_byte(name, time.monotonic() - began)
                                wait = None
                            if isinstance(piece, Answer):
                                is_owed = False
                                self._bill.settle(name, piece.usage)
                            else:
                                made += counting.of_text(getattr(piece, "text", "") or getattr(piece, "arguments", ""))
                            yield piece
                except ModelFailed as failure:
                    is_owed = is_owed and bool(made)  # a provider that refuses or cannot be reached charges nothing
                    if failure.code == "slow" and wait is not None:
                        self._desk.note_timeout(name, time.monotonic() - began)
                    raise
                finally:
                    if wait is not None:
                        self._desk.note_failure(name)
                    if is_owed:
                        self._bill.settle(name, Usage(input=counting.of_request(request), output=made, estimated=True))
        except TimeoutError:  # outside of the turn, so that the breaker does not count it: the time was the call's
            self._desk.note_timeout(name, time.monotonic() - began)
            raise _too_slow(name) from None

    def _within(self, name: str, request: Request) -> Request:
        """The request with its answer's length limited to what the call's `most` allows, and to what the model can write:
        providers refuse more.
        """
        room = self._bill.room(name, counting.of_request(request), answer=1)
        row = catalogue.find(name)
        most = min((one for one in (request.most, room) if one), default=0)
        if most and row is not None and row.output:
            most = min(most, row.output)
        return replace(request, most=most)

    async def _check_schema(self, name: str, answer: Answer, *, streams: bool) -> Answer:
        """The answer with its cost and its schema's value; asks once more if the answer does not match the schema.

        An answer that calls a tool, is refused or was cut off is the caller's to deal with, the second one too.
        """
        schema = self._request.schema
        if schema is None or answer.stop not in ENDED:
            return self._whole(answer)
        found = _read(answer.text, schema)
        if found.problems and not streams and not name.startswith("offline/"):
            said = Message(role="assistant", parts=answer.parts)
            correction = Message(role="user", parts=(Text(text=schemas.correction(found.problems)),))
            request = replace(self._request, messages=(*self._request.messages, said, correction))
            async with contextlib.aclosing(self._try_once(name, request, self._until)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Answer):
                        answer = piece
            if answer.stop not in ENDED:
                return self._whole(answer)
            found = _read(answer.text, schema)
        if found.problems:
            notes = f" ({' '.join(answer.notes[1:])})" if len(answer.notes) > 1 else ""
            raise ModelFailed("schema", f"{name} did not answer as the schema says: {'; '.join(found.problems)}{notes}")
        mended = ("The spelling of its JSON was mended.",) if found.mended else ()
        return self._whole(replace(answer, value=found.value, notes=(*answer.notes, *mended)))

    def _whole(self, answer: Answer) -> Answer:
        return replace(answer, micro_dollars=self._bill.micro_dollars, tried=tuple(self._tried))


async def count_tokens(desk: Desk, asked: str, request: Request, until: float) -> dict[str, object]:
    """A request's tokens, as the first model of a route that can be asked counts them, or else an estimate.

    Nothing is tried again. until: when the call's time is over. Raises ModelFailed if no model can be asked.
    """
    plan = desk.plan(asked, request)
    failed: list[tuple[str, ModelFailed]] = []
    for place, name in enumerate(plan.names):
        try:
            exact = await _count(desk, name, request, _part(until, len(plan.names) - place))
        except ModelFailed as failure:
            if not failure.kind.elsewhere:
                raise
            failed.append((name, failure))
            continue
        row = catalogue.find(name)
        tokens = counting.of_request(request) if exact is None else exact
        return {"tokens": tokens, "exact": exact is not None, "window": 0 if row is None else row.window}
    raise _no_answer(failed, plan.left_out)


async def _count(desk: Desk, name: str, request: Request, until: float) -> int | None:
    """A request's tokens as a model's provider counts them by `until`, None if it does not. Raises ModelFailed."""
    provider, model = resource.split(name)
    driver = await desk.driver(provider)
    if not driver.counts:
        return None
    try:
        async with asyncio.timeout(until - time.monotonic()), desk.turn(provider, until):
            return await driver.count(model, request)
    except TimeoutError:
        raise _too_slow(name) from None


def _part(until: float, models: int) -> float:
    """When the next model must have begun to answer: an equal share of the time left for each remaining model."""
    now = time.monotonic()
    return now + (until - now) / models


def _too_slow(name: str) -> ModelFailed:
    why = f"{name} did not begin to answer in its part of the call's time"
    return ModelFailed("slow", why, provider=resource.split(name)[0])


async def _next(pieces: AsyncIterator[AnyPiece | Answer], seconds: float | None) -> AnyPiece | Answer | None:
    """The next piece, None after the last. Raises TimeoutError after `seconds`; None waits without limit."""
    async with asyncio.timeout(seconds):
        return await anext(pieces, None)


def _no_answer(failed: Sequence[tuple[str, ModelFailed]], left_out: Sequence[tuple[str, str]]) -> ModelFailed:
    """The failure of a call whose models all failed: that of the last one asked, and why each other did not answer.

    A model that was skipped ("paused") because another of its provider just failed was not asked: that failure says more.
    """
    asked = [one for one in failed if one[1].code != "paused"] or failed
    *before, (_, last) = asked
    others = (*left_out, *((name, one.text) for name, one in failed if (name, one) not in asked))
    text = [last.text]
    if before:
        text.append("before it " + "; ".join(f"{name}: {one.text}" for name, one in before))
    if others:
        text.append("left out " + "; ".join(f"{name}: {why}" for name, why in others))
    return ModelFailed(last.code, "; ".join(text), after=last.after, provider=last.provider)


class _TooLong(BaseException):
    """CHECK_S is over. A BaseException, so that no library catches it."""


def _over(number: int, frame: FrameType | None) -> None:
    raise _TooLong


def _read(text: str, schema: dict[str, object]) -> schemas.Checked:
    return _run_bounded(partial(schemas.read, text, schema))


def _run_bounded(work: Callable[[], T]) -> T:
    """Runs work on a schema, which an expression or branching can make endless, for CHECK_S at most. Raises ModelFailed."""
    before = signal.signal(signal.SIGVTALRM, _over)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, CHECK_S, CHECK_AGAIN_S)
        try:
            return work()
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except _TooLong:
        why = f"its schema takes more than {CHECK_S:g} s to compare an answer with: make it simpler"
        raise ModelFailed("request", why) from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)  # again: the inner one may itself have been interrupted
        signal.signal(signal.SIGVTALRM, before)
