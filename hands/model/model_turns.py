"""Whose turn it is to ask a provider (acts): its places, its pace, and the breaker that leaves it alone after failures."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from runtime.models import breaker, pacing
from runtime.models.failures import ModelFailed
from runtime.settings import Settings

PLACES_MOST: Final = 64  # requests to one provider at a time, as `max` of the setting at_once
_MEND_PLACES: Final = "`maniple settings model at_once=…` makes more"
_MEND_OWN: Final = f"from 1 to {PLACES_MOST}: `maniple settings model 'at_once_of={{\"ollama\": 1}}'` says how many"
_MEND_PACE: Final = "`maniple settings model 'per_minute={\"openai\": 50}'` says how many"


class Turns:
    """Of every provider. mended: what a failure of one is told as."""

    def __init__(self, settings: Settings, mended: Callable[[ModelFailed, str], ModelFailed]) -> None:
        self._settings, self._mended = settings, mended
        self._breakers: dict[str, breaker.State] = {}
        self._places: dict[str, asyncio.Semaphore] = {}
        self._paces: dict[str, pacing.Pace] = {}

    def paused(self, provider: str) -> str:
        """For how long a provider is left alone, and why; "" for one that may be asked."""
        state, now = self._breakers.get(provider, breaker.State()), time.monotonic()
        if breaker.passes(state, now):
            return ""
        return f"left alone for {max(1, round(state.until - now))} s after failures: {state.why}"

    @contextlib.asynccontextmanager
    async def turn(self, provider: str, until: float) -> AsyncIterator[None]:
        """One request to a provider: in a place, at its pace, and the breaker hears how it ends.

        until: by time.monotonic. ModelFailed: "limited" where its turn would come later, "paused" where the breaker is open.
        """
        async with self._place(provider, until):
            opened = await self._paced(provider, until)
            failure: ModelFailed | None = None
            is_over = False
            try:
                yield
                is_over = True
            except ModelFailed as error:
                failure, is_over = self._mended(error, provider), True
                raise failure from None
            finally:
                self._ended(provider, opened, failure, cancelled=not is_over)

    @contextlib.asynccontextmanager
    async def _place(self, provider: str, until: float) -> AsyncIterator[None]:
        """One of the places for requests to a provider, at the latest then."""
        most = self._settings.of("at_once_of", dict).get(provider, self._settings.of("at_once", int))
        if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= PLACES_MOST:
            why = f"{str(most)[:200]!r} is not a number of requests to {provider} at a time, {_MEND_OWN}"
            raise ModelFailed("unconfigured", why, provider=provider)
        places = self._places.setdefault(provider, asyncio.Semaphore(most))
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await places.acquire()
        except TimeoutError:
            why = f"{provider} is asked {most} at a time, and no place was free in the call's time: {_MEND_PLACES}"
            raise ModelFailed("limited", why, provider=provider) from None
        try:
            yield
        finally:
            places.release()

    async def _paced(self, provider: str, until: float) -> int:
        """Wait for the turn, and begin. Who comes to make no request gives it back."""
        seconds = self._wait(provider, until)
        try:
            await asyncio.sleep(seconds)
            return self._begun(provider)
        except (asyncio.CancelledError, ModelFailed):
            self._paces[provider] = pacing.given_back(self._paces[provider])
            raise

    def _wait(self, provider: str, until: float) -> float:
        """Seconds until a request may be sent, whose turn is taken by asking, if it comes by then."""
        told = self._settings.of("per_minute", dict).get(provider, 0)
        if not isinstance(told, int) or isinstance(told, bool) or told < 0:
            why = f"{str(told)[:200]!r} is not a number of requests a minute to {provider}: {_MEND_PACE}"
            raise ModelFailed("unconfigured", why, provider=provider)
        pace = self._paces.get(provider, pacing.Pace(per_minute=told))
        now = time.monotonic()
        after, seconds = pacing.taken(pace, now)
        if seconds and now + seconds > until:
            why = f"{provider} is asked {told} times a minute, and the turn would come after the call's time: {_MEND_PACE}"
            raise ModelFailed("limited", why, after=seconds, provider=provider)
        self._paces[provider] = after
        return seconds

    def _begun(self, provider: str) -> int:
        """A request begins; how often the breaker has opened. ModelFailed("paused") where it is open."""
        if why := self.paused(provider):
            raise ModelFailed("paused", f"{provider} is {why}", provider=provider)
        state = self._breakers.get(provider, breaker.State())
        self._breakers[provider] = breaker.begun(state)
        return state.opened

    def _ended(self, provider: str, opened: int, failure: ModelFailed | None, *, cancelled: bool) -> None:
        """It has ended. opened: how often the breaker had opened when it began."""
        state = self._breakers.get(provider, breaker.State())
        if not breaker.hears_of(state, opened):
            return
        if cancelled:
            self._breakers[provider] = breaker.given_up(state)
        elif failure is None:
            self._breakers[provider] = breaker.succeeded(state)
        else:
            self._breakers[provider] = breaker.failed(state, failure, time.monotonic())
