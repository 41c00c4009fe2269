"""The life of a call under any sequence of events: one end, and never more under way than a window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wire.calls import LIFE, CallLife
from wire.errors import NotNow
from wire.limits import WINDOW

STATES = {state for state, _ in LIFE} | set(LIFE.values())


def test_nothing_leads_out_of_the_end_and_everything_leads_to_it() -> None:
    assert not [state for state, _ in LIFE if state == "ended"]
    for state in STATES - {"ended"}:
        assert LIFE[state, "end"] == "ended"


def test_what_was_streamed_is_never_made_again() -> None:
    assert [state for state, event in LIFE if event == "redeliver"] == ["delivered"]


@given(st.sampled_from(sorted(STATES)), st.sampled_from(["deliver", "chunk", "end", "redeliver", "nonsense"]))
def test_an_event_out_of_place_is_refused_and_changes_nothing(state: str, event: str) -> None:
    call = CallLife(2, upload=False)
    call.state = state
    if (state, event) in LIFE:
        call.step(event)
        assert call.state == LIFE[state, event]
    else:
        with pytest.raises(NotNow):
            call.step(event)
        assert call.state == state


class Streams(RuleBasedStateMachine):
    """A caller and a provider that send and give credit as they like; the call lets through only what may be."""

    def __init__(self) -> None:
        super().__init__()
        self.call = CallLife(4, upload=True)
        self.call.step("deliver")
        self.down = self.up = 0  # chunks under way
        self.last = False

    @rule()
    def reply(self) -> None:
        if self.down < WINDOW:
            self.call.spend_down()
            self.down += 1
        else:
            with pytest.raises(NotNow):
                self.call.spend_down()

    @rule(last=st.booleans())
    def upload(self, last: bool) -> None:
        if self.up < WINDOW and not self.last:
            self.call.spend_up(last=last)
            self.up, self.last = self.up + 1, last
        else:
            with pytest.raises(NotNow):
                self.call.spend_up(last=last)

    @rule(chunks=st.integers(1, WINDOW + 2), down=st.booleans())
    def credit(self, chunks: int, down: bool) -> None:
        under_way = self.down if down else self.up
        if chunks <= under_way:
            self.call.credit(chunks, down=down)
            self.down, self.up = (self.down - chunks, self.up) if down else (self.down, self.up - chunks)
        else:
            with pytest.raises(NotNow):
                self.call.credit(chunks, down=down)

    @invariant()
    def never_more_than_a_window(self) -> None:
        assert 0 <= self.call.down <= WINDOW
        assert 0 <= self.call.up <= WINDOW
        assert (self.call.down, self.call.up) == (WINDOW - self.down, WINDOW - self.up)


TestStreams = Streams.TestCase


def test_without_an_upload_none_is_let_through() -> None:
    with pytest.raises(NotNow):
        CallLife(2, upload=False).spend_up(last=True)


def test_a_chunk_of_a_reply_comes_from_a_provider_and_makes_the_call_one_that_is_never_made_again() -> None:
    call = CallLife(2, upload=False)
    with pytest.raises(NotNow):
        call.spend_down()
    assert (call.state, call.down) == ("open", WINDOW)
    call.step("deliver")
    call.spend_down()
    assert call.state == "streaming"
    with pytest.raises(NotNow):
        call.step("redeliver")


def test_a_call_that_is_queued_says_so() -> None:
    call = CallLife(2, upload=False)
    assert not call.is_queued
    assert (call.mark_queued(), call.is_queued) == (2, True)
