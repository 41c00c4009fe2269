"""A circuit breaker for one provider (pure): what has failed again and again is left alone for a while.

    closed    requests pass; FAILURES failures that speak against the provider, without a success between, open it
    open      none pass, until `until`
    trying    the time is over: one request passes, and what comes of it closes or opens it again, for twice as long

How those end that were under way when it opened changes nothing, and decides no trial.

A key that is refused, or an account without money, opens it at once: the next request would fare no better. The clock is
passed in, in seconds that never go back. After a change of settings, begin anew.
"""

from typing import Final

from msgspec import Struct

from runtime.models.failures import ModelFailed

FAILURES: Final = 3
SHORTEST: Final = 15.0
LONGEST: Final = 600.0
AT_ONCE: Final = frozenset({"key", "funds"})


class State(Struct, frozen=True, kw_only=True):
    """failures: without a success since. until: when an open one is tried again, 0 for a closed one. opened: how often."""

    failures: int = 0
    until: float = 0.0
    opened: int = 0
    trying: bool = False
    why: str = ""


def passes(state: State, now: float) -> bool:
    """Whether a request may be made."""
    return not state.until or (now >= state.until and not state.trying)


def begun(state: State) -> State:
    """A request is made that passed."""
    return State(
        failures=state.failures, until=state.until, opened=state.opened, trying=bool(state.until), why=state.why
    )


def hears_of(state: State, opened: int) -> bool:
    """Whether the end of a request counts that was made when the breaker had opened so often."""
    return opened == state.opened


def succeeded(state: State) -> State:
    """It was answered."""
    return State()


def given_up(state: State) -> State:
    """It came to no end, for it was cancelled: another may try."""
    return State(failures=state.failures, until=state.until, opened=state.opened, why=state.why)


def failed(state: State, failure: ModelFailed, now: float) -> State:
    """It failed. What does not speak against the provider shows that it is there."""
    if not failure.kind.against:
        return given_up(state) if failure.code == "limited" else State()
    failures = state.failures + 1
    if failures < FAILURES and not state.opened and failure.code not in AT_ONCE:
        return State(failures=failures, why=failure.text)
    pause = min(LONGEST, SHORTEST * 2 ** min(state.opened, 16))
    return State(failures=failures, until=now + pause, opened=state.opened + 1, why=failure.text)
