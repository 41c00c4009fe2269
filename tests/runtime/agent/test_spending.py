"""What was spent for a run's calls and no reply said: asked when no call is under way, and counted once."""

import asyncio

import pytest
from msgspec.structs import replace

from runtime.agent.actions import AskModel, Outcome
from runtime.agent.spending import Unsaid, most_of
from runtime.errors import CallFailed
from runtime.kernel_handle import Budget
from runtime.models.messages import Request
from wire.amounts import Cost

ASKED = AskModel(request=Request(messages=()), tokens=500, micro_dollars=90)
ITS_OWN = Outcome(value=1, tokens=5, micro_dollars=1)


async def _says() -> Budget:
    return Budget(
        tokens=1, micro_dollars=1, calls=1, calls_per_minute=300, tokens_left=None, micro_dollars_left=None,
        tokens_in_all=70, micro_dollars_in_all=7, budget=(),
    )  # fmt: skip


async def _fails() -> Budget:
    raise CallFailed("failed", "no")


@pytest.mark.parametrize(
    ("left", "most"), [((None, None), (500, 90)), ((10**12, 40), (500, 40)), ((70, 10**12), (70, 90)), ((0, 0), (0, 0))]
)
def test_a_request_reserves_no_more_than_budgets_and_the_runs_caller_leave(
    left: tuple[int | None, int | None], most: tuple[int, int]
) -> None:
    async def says() -> Budget:
        return replace(await _says(), tokens_left=left[0], micro_dollars_left=left[1])

    assert asyncio.run(most_of(ASKED, says)) == Cost(tokens=most[0], micro_dollars=most[1])
    assert asyncio.run(most_of(replace(ASKED, micro_dollars=0), _fails)) is None


def _ended(unsaid: Unsaid, says: bool = True) -> tuple[int, int]:
    found = asyncio.run(unsaid.add_to(ITS_OWN, _says if says else _fails))
    return found.tokens, found.micro_dollars


@pytest.mark.parametrize(
    ("under_way", "is_needed", "counted"), [(1, True, (70, 7)), (2, True, (5, 1)), (1, False, (5, 1))]
)
def test_it_is_asked_when_the_last_call_has_ended_and_only_where_something_is_bounded(
    under_way: int, is_needed: bool, counted: tuple[int, int]
) -> None:
    unsaid = Unsaid(is_needed=is_needed)
    unsaid.under_way = under_way
    assert _ended(unsaid) == counted


def test_where_the_kernel_cannot_be_asked_the_next_outcome_has_it() -> None:
    unsaid = Unsaid(is_needed=True)
    unsaid.under_way = 1
    assert _ended(unsaid, says=False) == (5, 1)
    unsaid.under_way = 1
    assert _ended(unsaid) == (70 - 5, 7 - 1)


def test_what_replies_said_is_no_part_of_it() -> None:
    unsaid = Unsaid(is_needed=True)
    unsaid.say(40, 9)
    assert unsaid.take(50, 5) == (10, 0)
    assert unsaid.take(50, 5) == (0, 0)
    unsaid.say(1, 1)
    assert unsaid.take(60, 7) == (9, 1)


def test_a_charge_that_was_corrected_adds_nothing_twice() -> None:
    unsaid = Unsaid(is_needed=True)
    assert unsaid.take(100, 100) == (100, 100)
    assert unsaid.take(60, 60) == (0, 0)
    assert unsaid.take(65, 61) == (5, 1)
