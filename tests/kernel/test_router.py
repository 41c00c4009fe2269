"""What the router does with a first message, for cases that no test of a whole kernel can bring about at will."""

from types import SimpleNamespace
from typing import Any

import pytest

from kernel.router import Router
from wire import codec, headers, limits
from wire.codec import NIL

HELLO, GARBAGE = codec.encode(headers.Hello(version=limits.PROTOCOL)), b"\xc1"


def refused(run: object, first: bytes, *, is_cut: bool = False) -> list[str]:
    """What is logged about a run's first message. The kernel is a stand-in: what a real one reads first, no test can say."""
    logged: list[str] = []
    kernel: Any = SimpleNamespace(
        peers={},
        runs={"r-1": run} if run else {},
        bus=SimpleNamespace(link=lambda: (9, 0 if is_cut else 1_234)),
        log_refusal=lambda who, code, _: logged.append(code),
    )
    Router(kernel)._open_connection(b"route", "r-1", [first, NIL])
    assert not kernel.peers
    return logged


@pytest.mark.parametrize(
    "run",
    [
        SimpleNamespace(state="joining", peer=None, is_ending=True),
        SimpleNamespace(state="waiting", peer=None, is_ending=False),
        None,
    ],
    ids=["is being killed", "waits for its next process", "has ended"],
)
def test_a_run_that_was_ended_as_it_said_hello_is_accused_of_nothing(run: object) -> None:
    assert refused(run, HELLO) == []


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_run_whose_first_message_is_not_hello_is_logged(is_resumed: bool, is_cut: bool) -> None:
    """If its connection is cut, it may be the last message of the process before, which is read only now."""
    run = SimpleNamespace(state="joining", peer=None, is_ending=False, count=9 * is_resumed)
    assert refused(run, GARBAGE, is_cut=is_cut) == ([] if is_resumed and is_cut else ["malformed"])


@pytest.mark.parametrize("is_leaving", [False, True])
def test_what_a_run_says_while_it_is_killed_to_resume_later_is_left_to_its_next_process(is_leaving: bool) -> None:
    """A call that came between a freeze and the process's end would be refused on the tape, for good."""
    heard: list[object] = []
    run = SimpleNamespace(is_leaving=is_leaving, paused=False, tape=None)
    kernel: Any = SimpleNamespace(peers={b"route": SimpleNamespace(principal="r-1", run=run)})
    router: Any = Router(kernel)
    router.dispatch = lambda _, header, __: heard.append(header)  # a stand-in, as above
    call = headers.Call(number=1, method="echo.say")
    router._receive(b"route", "r-1", [codec.encode(call), NIL])
    assert heard == ([] if is_leaving else [call])
