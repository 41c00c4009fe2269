"""Routing, the breaker, retrying, pacing and prices hold their rules, whatever the order of what happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.models import breaker, counting, pacing, pricing, retrying, routing
from runtime.models.failures import KINDS, ModelFailed
from runtime.models.messages import Image, Message, Request, Text, Tool, ToolCall, ToolResult, Usage
from runtime.models.routing import Candidate, Needs
from runtime.models.rows import Long, Model

_CODES = st.sampled_from(sorted(KINDS))
_PRICES = st.integers(0, 10**9)
_TOKENS = st.integers(0, 10**7)


def _model(name: str = "p/m", **more: object) -> Model:
    provider, _, id = name.partition("/")
    row: dict[str, object] = {"source": "https://p.example/", "date": "2026-11-26", "window": 10_000, **more}
    return Model(provider=provider, id=id, **row)  # type: ignore[arg-type]  # each test gives what it is about


@given(_TOKENS, _TOKENS, _TOKENS, _TOKENS, _PRICES, _PRICES, st.none() | _PRICES, st.none() | _PRICES)
def test_a_cost_is_exact_and_rounded_up_once(
    read: int, cached: int, written: int, made: int, price: int, out: int, cache: int | None, writing: int | None
) -> None:
    usage = Usage(input=read, cached=cached, cache_written=written, output=made)
    row = _model(input_price=price, output_price=out, cached_price=cache, cache_written_price=writing)
    exact = read * price + written * (price if writing is None else writing)
    exact += cached * (price if cache is None else cache) + made * out
    found = pricing.cost(usage, row)
    assert found is not None
    assert 0 <= found * 1_000_000 - exact < 1_000_000


def test_what_has_no_price_has_no_cost_and_a_long_prompt_has_its_own() -> None:
    assert pricing.cost(Usage(input=1), None) is None
    assert pricing.cost(Usage(input=1), _model(output_price=5)) is None
    assert pricing.cost(Usage(), _model()) == 0
    row = _model(input_price=1, output_price=1, long=Long(above=10, input_price=1_000_000, output_price=1))
    assert [pricing.cost(Usage(input=tokens), row) for tokens in (10, 11)] == [1, 11]
    for usage in (Usage(input=4, cached=4, cache_written=3), Usage(cached=11), Usage(cache_written=11)):
        assert pricing.cost(usage, row) == 11, "what is cached is of the prompt's length, too"


@given(st.integers(1, 10**6), st.integers(0, 10**7), st.integers(0, 10**7), _PRICES, _PRICES, st.none() | _PRICES)
def test_an_answer_as_long_as_it_may_be_costs_no_more_than_it_may(
    prompt: int, tokens: int, money: int, price: int, out: int, writing: int | None
) -> None:
    row = _model(input_price=price, output_price=out, cache_written_price=writing)
    most = pricing.longest_answer(prompt, row, tokens, money)
    if most is None or most <= 0:
        return
    for usage in (Usage(input=prompt, output=most), Usage(cache_written=prompt, output=most)):
        assert not tokens or usage.total <= tokens
        found = pricing.cost(usage, row)
        assert found is not None
        assert not money or found <= money


@pytest.mark.parametrize(
    ("row", "tokens", "money", "most"),
    [
        (None, 0, 5, None),
        (None, 15, 5, 5),
        (_model(), 0, 5, None),
        (_model(input_price=10**6), 0, 5, None),
        (_model(output_price=10**6), 0, 5, None),
        (_model(input_price=10**6, output_price=10**6), 0, 0, None),
        (_model(input_price=10**6, output_price=10**6), 0, 12, 2),
        (_model(input_price=10**6, output_price=10**6), 11, 15, 1),
        (_model(input_price=10**6, output_price=10**6), 30, 9, -1),
        (_model(input_price=10**6, output_price=10**6, cache_written_price=2 * 10**6), 0, 22, 2),
        (_model(input_price=10**6, output_price=0), 0, 10, None),
        (_model(input_price=10**6, output_price=0), 0, 9, -1),
        (_model(input_price=1, output_price=1, long=Long(above=9, input_price=10**6, output_price=10**6)), 0, 12, 2),
    ],
)
def test_how_long_an_answer_to_ten_tokens_may_be(row: Model | None, tokens: int, money: int, most: int | None) -> None:
    assert pricing.longest_answer(10, row, tokens, money) == most


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("words", 1), ("letter", 2), ("123", 1), ("1234", 2), (", ", 1), ("é", 1), ("語", 2), ("a\n\n\nb", 3)],
)
def test_tokens_of_a_text(text: str, tokens: int) -> None:
    assert counting.of_text(text) == tokens


def test_tokens_of_a_request_are_those_of_all_its_parts() -> None:
    image = Image(media="image/png", content=b"x")
    value: dict[str, object] = {"a": 1}  # seven signs
    assert counting.of_text('{"a":1}') == 7
    call = Message(role="assistant", parts=(ToolCall(id="1", name="t", arguments=value, malformed="no json"),))
    assert counting.of_message(call) == 2 * counting.MESSAGE + 1 + 7 + 2
    result = Message(role="user", parts=(ToolResult(id="1", content=(Text(text="it is"), image)), image))
    assert counting.of_message(result) == 2 * counting.MESSAGE + 2 + 2 * counting.IMAGE
    tool = Tool(name="t", description="it is", parameters=value)
    request = Request(messages=(call, result), system="it is so", tools=(tool, tool), schema=value)
    whole = counting.of_message(call) + counting.of_message(result) + 3 + 2 * (counting.MESSAGE + 1 + 2 + 7) + 7
    assert counting.of_request(request) == whole


@given(st.lists(st.tuples(st.sampled_from(["ask", "wait"]), _CODES | st.just("")), max_size=60))
def test_a_breaker_lets_one_through_when_its_time_is_over_and_closes_on_success(steps: list[tuple[str, str]]) -> None:
    state, now, row = breaker.State(), 0.0, 0
    for step, code in steps:
        if step == "wait":
            now += breaker.LONGEST
            assert breaker.may_pass(state, now)
        if not breaker.may_pass(state, now):
            assert now < state.until <= now + breaker.LONGEST
            continue
        state = breaker.begin_request(state)
        assert breaker.may_pass(state, now) is not state.trying
        if not code:
            state, row = breaker.record_success(state), 0
        else:
            state = breaker.record_failure(state, ModelFailed(code, "x"), now)
            row = row + 1 if KINDS[code].against else row if code == "limited" else 0
        if not row:
            assert state == breaker.State()
        if row >= breaker.FAILURES and code and KINDS[code].against:
            assert not breaker.may_pass(state, now)


def test_a_breaker_opens_for_longer_each_time_and_at_once_for_a_bad_key() -> None:
    state, spans = breaker.State(), []
    for _ in range(8):
        now = state.until
        state = breaker.record_failure(breaker.begin_request(state), ModelFailed("key", "expired"), now)
        spans.append(state.until - now)
        assert not breaker.may_pass(state, state.until - 0.001)
        assert breaker.may_pass(state, state.until)
    assert spans == sorted(spans)
    assert (spans[0], spans[-1]) == (breaker.SHORTEST, breaker.LONGEST)


def test_requests_that_were_under_way_when_a_breaker_opened_do_not_make_its_pause_longer() -> None:
    state, failure = breaker.State(), ModelFailed("unreachable", "x")
    for _ in range(8):
        state = breaker.begin_request(state)
    for at in range(8):
        if breaker.counts_end(state, opened=0):
            state = breaker.record_failure(state, failure, float(at))
    assert state.until == breaker.FAILURES - 1 + breaker.SHORTEST
    tried = breaker.record_failure(breaker.begin_request(state), failure, state.until)
    assert tried.until == state.until + 2 * breaker.SHORTEST


@given(_CODES, st.integers(1, 9), st.booleans(), st.floats(0, 1000), st.floats(0, 1), st.none() | st.floats(0, 500))
def test_nothing_is_tried_again_for_ever_nor_after_it_was_shown(
    code: str, tries: int, shown: bool, left: float, chance: float, after: float | None
) -> None:
    pause = retrying.retry_pause(ModelFailed(code, "x", after=after), tries, shown=shown, left=left, chance=chance)
    if shown or not KINDS[code].again or tries >= retrying.TRIES:
        assert pause is None
    if pause is not None:
        assert 0 <= pause < left
        assert pause == after if after is not None else pause <= retrying.LONGEST


@pytest.mark.parametrize(
    ("tries", "chance", "pause"),
    [
        (1, 1.0, 0.5),
        (1, 0.0, 0.25),
        (1, 0.5, 0.375),
        (1, 9.0, 0.5),
        (1, -9.0, 0.25),
        (2, 1.0, 1.0),
        (3, 1.0, 2.0),
        (4, 1.0, None),
    ],
)
def test_a_pause_doubles_with_each_try_and_chance_shortens_it_by_half_at_most(
    tries: int, chance: float, pause: float | None
) -> None:
    failure = ModelFailed("unreachable", "x")
    assert retrying.retry_pause(failure, tries, shown=False, left=100.0, chance=chance) == pause
    if pause is not None:
        assert retrying.retry_pause(failure, tries, shown=False, left=pause, chance=chance) is None, "no time is left"


@pytest.mark.parametrize(
    ("after", "left", "pause"),
    [(7.0, 100.0, 7.0), (60.0, 100.0, 60.0), (60.5, 100.0, None), (7.0, 7.0, None), (-1.0, 100.0, 0.0)],
)
def test_a_pause_that_the_provider_named_is_kept_or_not_waited_at_all(
    after: float, left: float, pause: float | None
) -> None:
    failure = ModelFailed("limited", "x", after=after)
    assert retrying.retry_pause(failure, 1, shown=False, left=left, chance=0.0) == pause


def test_a_minutes_requests_may_come_at_once_and_each_further_one_waits_its_part_of_a_minute() -> None:
    pace, waits = pacing.Pace(per_minute=2), []
    for now in (5.0, 5.0, 5.0, 5.0, 35.0, 1_000.0):
        pace, wait = pacing.take_place(pace, now)
        waits.append(wait)
    assert waits == [0.0, 0.0, 30.0, 60.0, 60.0, 0.0]
    given_back = [pacing.give_back(pace) for pace in (pace, pacing.Pace(per_minute=2, at=1.0))]
    assert [(pace.taken, pace.at) for pace in given_back] == [(0.0, 1_000.0), (0.0, 1.0)]


@given(st.integers(0, 100), st.lists(st.floats(0, 100), min_size=1, max_size=80))
def test_no_minute_has_more_requests_than_twice_its_rate_and_the_rate_holds_over_time(
    rate: int, gaps: list[float]
) -> None:
    pace, now, times = pacing.Pace(per_minute=rate), 0.0, []
    for gap in gaps:
        now += gap
        pace, wait = pacing.take_place(pace, now)
        times.append(now + wait)
    if rate:
        for first in range(len(times)):
            until = [time for time in times if times[first] <= time <= times[first] + 60]
            assert len(until) <= 2 * rate + 1
    else:
        assert times == [sum(gaps[: at + 1]) for at in range(len(gaps))] or all(pace.taken == 0 for _ in times)


_CANDIDATES = st.lists(
    st.builds(
        Candidate,
        name=st.sampled_from(["a/1", "b/1", "c/1", "d/1"]),
        row=st.none()
        | st.builds(
            _model,
            window=st.integers(1, 5000),
            tools=st.booleans(),
            input_price=st.none() | _PRICES,
            output_price=st.none() | _PRICES,
        ),
        missing=st.sampled_from(["", "no key"]),
        paused=st.sampled_from(["", "open"]),
        first_byte=st.none() | st.floats(0, 10),
        aside=st.booleans(),
    ),
    max_size=6,
)
_NEEDS = st.builds(Needs, tools=st.booleans(), images=st.booleans(), prompt=st.integers(0, 4000))


@given(_CANDIDATES, _NEEDS, st.sampled_from(["listed", "price", "latency", "window"]))
def test_every_candidate_is_asked_once_or_left_out_with_a_reason(
    candidates: list[Candidate], needs: Needs, prefer: routing.Prefer
) -> None:
    plan = routing.plan(candidates, needs, prefer)
    assert len(plan.names) == len(set(plan.names))
    assert {one.name for one in candidates} == {*plan.names, *(name for name, _ in plan.left_out)}
    assert all(why for _, why in plan.left_out)
    for one in candidates:
        if one.missing or one.paused or routing.why_unfit(one.row, needs):
            assert (one.name in plan.names) == any(
                other.name == one.name and not (other.missing or other.paused or routing.why_unfit(other.row, needs))
                for other in candidates
            )


def test_the_order_is_as_the_rules_say() -> None:
    rows = [
        Candidate(name="a/1", row=_model(input_price=9, output_price=9, window=8_000), first_byte=0.2),
        Candidate(name="b/1", row=_model(window=9_000), first_byte=None),
        Candidate(name="c/1", row=_model(input_price=10**6, output_price=10**6), first_byte=0.1),
        Candidate(name="e/1", aside=True),
        Candidate(name="d/1"),
    ]
    orders = {prefer: routing.plan(rows, Needs(), prefer).names for prefer in ("listed", "price", "latency", "window")}
    assert orders == {
        "listed": ("a/1", "b/1", "c/1", "e/1", "d/1"),
        "price": ("a/1", "c/1", "b/1", "e/1", "d/1"),
        "latency": ("b/1", "d/1", "c/1", "a/1", "e/1"),
        "window": ("c/1", "b/1", "a/1", "e/1", "d/1"),
    }


def test_what_a_request_needs_is_seen() -> None:
    image = Image(media="image/png", content=b"x")
    request = Request(messages=(Message(role="user", parts=(Text(text="a"), image)),), tools=(Tool(name="t"),), most=5)
    needs = routing.needs_of(request)
    assert (needs.tools, needs.images, needs.answer) == (True, True, 5)
    assert "tools" in routing.why_unfit(_model(), needs)
    assert "images" in routing.why_unfit(_model(tools=True), needs)
    assert "window" in routing.why_unfit(_model(tools=True, takes=("text", "image"), window=100), needs)
    assert routing.why_unfit(_model(kind="embedding", dimension=8), Needs()) == "it makes vectors, not answers"
    exact = Needs(prompt=7, answer=3)
    assert routing.why_unfit(_model(window=9), exact) == "about 10 tokens are needed, and its window has 9"
    assert [routing.why_unfit(_model(window=window), exact) for window in (10, 0)] == ["", ""]
    inner = Message(role="user", parts=(ToolResult(id="1", content=(image,)),))
    unasked = Request(messages=(inner,), tools=(Tool(name="t"),), choice="none")
    assert (routing.needs_of(unasked).tools, routing.needs_of(unasked).images) == (False, True)
    assert routing.needs_of(unasked).answer == routing.ANSWER


def test_only_what_would_be_asked_if_its_breaker_were_closed_is_paused() -> None:
    row = _model()
    for one, paused in (
        (Candidate(name="a/1", paused="open"), True),
        (Candidate(name="a/1", paused="open", missing="no key"), False),
        (Candidate(name="a/1", paused="open", row=row), False),
        (Candidate(name="a/1", row=row), False),
    ):
        assert routing.plan([one], Needs(tools=True)).paused is paused
