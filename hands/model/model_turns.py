"""Limits requests to each provider (acts): places at a time, a pace per minute, and a breaker after failures."""

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
    """The limits of all providers. explain: turns a failure into the one that is raised."""

    def __init__(self, settings: Settings, explain: Callable[[ModelFailed, str], ModelFailed]) -> None:
        self._settings, self._explain = settings, explain
        self._breakers: dict[str, breaker.State] = {}
        self._places: dict[str, asyncio.Semaphore] = {}
        self._paces: dict[str, pacing.Pace] = {}

    def paused(self, provider: str, seconds: float = 0.0) -> str:
        """For how long a provider is not asked, and why; "" if it may be asked after so many seconds."""
        state, now = self._breakers.get(provider, breaker.State()), time.monotonic() + seconds
        if breaker.may_pass(state, now):
            return ""
        return f"left alone for {max(1, round(state.until - now))} s after failures: {state.why}"

    @contextlib.asynccontextmanager
    async def turn(self, provider: str, until: float) -> AsyncIterator[None]:
        """Wraps one request: waits for a place and the pace, and reports its end to the breaker.

        until: on the clock of time.monotonic. Raises ModelFailed: "limited" if the turn would come later, "paused" if the
        breaker is open.
        """
        async with self._place(provider, until):
            opened = await self._wait_and_begin(provider, until)
            failure: ModelFailed | None = None
            is_over = False
            try:
                yield
                is_over = True
            except ModelFailed as error:
                failure, is_over = self._explain(error, provider), True
                raise failure from None
            finally:
                self._report_end(provider, opened, failure, cancelled=not is_over)

    @contextlib.asynccontextmanager
    async def _place(self, provider: str, until: float) -> AsyncIterator[None]:
        """Holds one of a provider's places. Raises ModelFailed("limited") if none is free before `until`."""
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

    async def _wait_and_begin(self, provider: str, until: float) -> int:
        """Takes the next turn of the pace, waits for it, and begins the request. Gives the turn back if it cannot begin."""
        seconds = self._take_turn(provider, until)
        try:
            await asyncio.sleep(seconds)
            return self._begin(provider)
        except (asyncio.CancelledError, ModelFailed):
            self._paces[provider] = pacing.give_back(self._paces[provider])
            raise

    def _take_turn(self, provider: str, until: float) -> float:
        """Takes a provider's next turn. Returns the seconds until it. Raises ModelFailed if it is after `until`."""
        limit = self._settings.of("per_minute", dict).get(provider, 0)
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            why = f"{str(limit)[:200]!r} is not a number of requests a minute to {provider}: {_MEND_PACE}"
            raise ModelFailed("unconfigured", why, provider=provider)
        pace = self._paces.get(provider, pacing.Pace(per_minute=limit))
        now = time.monotonic()
        after, seconds = pacing.take_place(pace, now)
        if seconds and now + seconds > until:
            why = f"{provider} is asked {limit} times a minute, and its turn would come after the call's time: {_MEND_PACE}"
            raise ModelFailed("limited", why, after=seconds, provider=provider)
        self._paces[provider] = after
        return seconds

    def _begin(self, provider: str) -> int:
        """Reports a request's begin to the breaker. Returns how often it has opened. Raises ModelFailed("paused") if open."""
        if why := self.paused(provider):
            raise ModelFailed("paused", f"{provider} is {why}", provider=provider)
        state = self._breakers.get(provider, breaker.State())
        self._breakers[provider] = breaker.begin_request(state)
        return state.opened

    def _report_end(self, provider: str, opened: int, failure: ModelFailed | None, *, cancelled: bool) -> None:
        """Reports a request's end to the breaker. opened: how often that had opened when the request began."""
        state = self._breakers.get(provider, breaker.State())
        if not breaker.counts_end(state, opened):
            return
        if cancelled:
            self._breakers[provider] = breaker.release(state)
        elif failure is None:
            self._breakers[provider] = breaker.record_success(state)
        else:
            self._breakers[provider] = breaker.record_failure(state, failure, time.monotonic())
