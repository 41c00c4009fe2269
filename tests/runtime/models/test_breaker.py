"""A breaker at its edges: a trial that fails, whatever opened it, and failures that say nothing of the provider between."""

from runtime.models import breaker
from runtime.models.breaker import SHORTEST, State
from runtime.models.failures import KINDS, ModelFailed


def _failed(state: State, code: str, now: float) -> State:
    assert breaker.may_pass(state, now)
    return breaker.record_failure(breaker.begin_request(state), ModelFailed(code, "no"), now)


def test_a_trial_that_fails_opens_it_again_for_longer_also_where_one_failure_had_opened_it() -> None:
    opened = _failed(State(), "key", 0.0)
    again = _failed(opened, "server", SHORTEST)
    assert (again.until, again.opened) == (3 * SHORTEST, 2)


def test_too_many_requests_between_failures_are_no_success() -> None:
    state = State()
    for code in ("server", "limited", "server", "limited", "server"):
        state = _failed(state, code, 1.0)
    assert not breaker.may_pass(state, 1.0)


def test_a_trial_that_meets_too_many_requests_decides_nothing() -> None:
    opened = _failed(State(), "key", 0.0)
    state = _failed(opened, "limited", SHORTEST)
    assert (state.until, state.opened, state.trying) == (opened.until, 1, False)


def test_what_a_providers_rules_forbid_is_brought_to_no_other() -> None:
    assert {code for code, kind in KINDS.items() if not kind.elsewhere} == {"refused", "request"}
