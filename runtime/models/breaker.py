"""A circuit breaker for one provider (pure): a provider that keeps failing is not asked for a while.

    closed    requests pass; FAILURES failures that count against the provider, with no success between, open it
    open      no request passes before `until`
    trying    after `until` one request passes; its end closes the breaker, or opens it again for twice as long

Requests that were under way when it opened do not change its state when they end.

A refused key, or an account without money, opens it at once: the next request would fail too. The clock is passed in, in
seconds that never go back. After a change of settings the caller starts with a new State.
"""

from typing import Final

from msgspec import Struct

from runtime.models.failures import ModelFailed

FAILURES: Final = 3
SHORTEST: Final = 15.0
LONGEST: Final = 600.0
AT_ONCE: Final = frozenset({"key", "funds"})


class State(Struct, frozen=True, kw_only=True):
    """failures: since the last success. until: when an open one may be tried, 0 for a closed one. opened: times it opened."""

    failures: int = 0
    until: float = 0.0
    opened: int = 0
    trying: bool = False
    why: str = ""


def may_pass(state: State, now: float) -> bool:
    """Return whether a request may be made now."""
    return not state.until or (now >= state.until and not state.trying)


def begin_request(state: State) -> State:
    """Return the state after a request that may pass is begun."""
    return State(
        failures=state.failures, until=state.until, opened=state.opened, trying=bool(state.until), why=state.why
    )


def counts_end(state: State, opened: int) -> bool:
    """Return whether the end of a request counts. opened: State.opened when the request was begun."""
    return opened == state.opened


def record_success(state: State) -> State:
    """Return the state after a request was answered."""
    return State()


def release(state: State) -> State:
    """Return the state after a request was cancelled, which shows nothing: another may try."""
    return State(failures=state.failures, until=state.until, opened=state.opened, why=state.why)


def record_failure(state: State, failure: ModelFailed, now: float) -> State:
    """Return the state after a failure. One that does not count against the provider shows that it answers."""
    if not failure.kind.against:
        return release(state) if failure.code == "limited" else State()
    failures = state.failures + 1
    if failures < FAILURES and not state.opened and failure.code not in AT_ONCE:
        return State(failures=failures, why=failure.text)
    pause = min(LONGEST, SHORTEST * 2 ** min(state.opened, 16))
    return State(failures=failures, until=now + pause, opened=state.opened + 1, why=failure.text)
