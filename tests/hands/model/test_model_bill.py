"""What a call's bill has room for, and what it comes to."""

from typing import Any

import pytest

from runtime.models import counting
from runtime.models.failures import ModelFailed
from runtime.models.messages import Usage
from tests.hands.doubles import hand_module
from tests.runtime.models.plays import asking
from wire.amounts import Cost

Bill: Any = hand_module("model", "model_bill").Bill
Trying: Any = hand_module("model", "model_trying").Trying
DEAR = "openai/gpt-5.4"


@pytest.mark.parametrize(
    ("most", "name", "prompt", "answer", "room"),
    [
        (None, DEAR, 10**9, 1, None),
        (Cost(tokens=0, micro_dollars=0), "offline/classical", 10**9, 1, None),
        (Cost(tokens=11, micro_dollars=0), "scripted/script", 10, 1, 1),
        (Cost(tokens=10, micro_dollars=0), "scripted/script", 10, 1, "over_most"),
        (Cost(tokens=10, micro_dollars=0), "scripted/script", 10, 0, 0),
        (Cost(tokens=1, micro_dollars=0), "scripted/script", 0, 1, 1),
        (Cost(tokens=0, micro_dollars=0), "scripted/script", 0, 0, "over_most"),
        (Cost(tokens=100, micro_dollars=0), DEAR, 0, 1, "over_most"),
        (Cost(tokens=100, micro_dollars=10**6), DEAR, 10, 1, 90),
        (Cost(tokens=10**12, micro_dollars=10**12), DEAR, 10, 1, None),
    ],
)
def test_how_much_of_an_answer_a_bill_has_room_for(
    most: Cost | None, name: str, prompt: int, answer: int, room: int | str | None
) -> None:
    bill = Bill(most)
    try:
        found = bill.room(name, prompt, answer=answer)
    except ModelFailed as failed:
        found = failed.code
    assert found == room


def test_a_bill_is_no_more_than_its_most_and_says_in_the_log_where_it_would_be(
    capfd: pytest.CaptureFixture[str],
) -> None:
    bill = Bill(Cost(tokens=10, micro_dollars=10**6))
    bill.settle("scripted/script", Usage(input=6, output=4))
    assert (bill.tokens, capfd.readouterr().err) == (10, "")
    bill.settle("scripted/script", Usage(input=1))
    assert bill.tokens == 10
    assert '"cost":11' in capfd.readouterr().err


def test_a_bill_without_most_has_room_for_what_budgets_leave_and_says_all_that_it_was() -> None:
    bill = Bill(None, Cost(tokens=10, micro_dollars=10**12))
    assert bill.room("scripted/script", 4, answer=1) == 6
    bill.settle("scripted/script", Usage(input=16, output=4))
    assert bill.tokens == 20


def test_a_bill_has_room_for_what_is_left_and_what_is_made_here_takes_none_of_it() -> None:
    bill = Bill(Cost(tokens=20, micro_dollars=0))
    bill.settle("offline/classical", Usage(input=15))
    assert (bill.tokens, bill.model, bill.room("scripted/script", 5, answer=1)) == (0, "offline/classical", 15)
    bill.settle("scripted/script", Usage(input=6, output=4))
    assert (bill.tokens, bill.model, bill.room("scripted/script", 5, answer=1)) == (10, "scripted/script", 5)


@pytest.mark.parametrize(
    ("asked", "most", "sent"),
    [
        (16_000, None, 4_096),
        (100, None, 100),
        (0, None, 0),
        (0, 10**6, 4_096),
        (16_000, 2_000, 2_000),
        (100, 2_000, 100),
    ],
)
def test_no_longer_answer_is_asked_for_than_the_model_can_write(asked: int, most: int | None, sent: int) -> None:
    bill = Bill(None if most is None else Cost(tokens=most, micro_dollars=10**9))
    request = asking(most=asked)
    trying = Trying(None, "default", request, bill, 0.0, lambda: 0.0)
    assert sent - counting.of_request(request) <= trying._within("cohere/command-r-08-2024", request).most <= sent
