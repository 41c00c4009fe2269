"""What a run has cost in all, as the kernel says it: asked when no call is under way, and added up over kernels."""

import asyncio

import pytest

from runtime.agent.spending import InAll
from runtime.errors import CallFailed
from runtime.kernel_handle import Budget

SPENT = Budget(
    tokens=1, micro_dollars=1, calls=1, calls_per_minute=300, tokens_left=None, micro_dollars_left=None,
    tokens_in_all=70, micro_dollars_in_all=7, budget=(),
)  # fmt: skip


async def _says() -> Budget:
    return SPENT


async def _fails() -> Budget:
    raise CallFailed("failed", "no")


@pytest.mark.parametrize(
    ("under_way", "is_needed", "total"), [(1, True, (70, 7)), (2, True, (0, 0)), (1, False, (0, 0))]
)
def test_it_is_asked_when_the_last_call_has_ended_and_only_where_something_is_bounded(
    under_way: int, is_needed: bool, total: tuple[int, int]
) -> None:
    spent = InAll(is_needed=is_needed)
    spent.under_way = under_way
    asyncio.run(spent.on_end(_says))
    assert spent.total == total


def test_where_the_kernel_does_not_say_it_what_was_known_stays() -> None:
    spent = InAll(is_needed=True)
    for ask in (_says, _fails):
        spent.under_way += 1
        asyncio.run(spent.on_end(ask))
    assert spent.total == (70, 7)


def test_a_kernel_that_counts_anew_adds_to_what_the_one_before_said() -> None:
    spent = InAll(is_needed=True)
    for report in ((50, 5), (60, 6), (10, 6), (15, 8), (15, 2)):
        spent.add_report(*report)
    assert spent.total == (60 + 15 + 15, 6 + 8 + 2)
