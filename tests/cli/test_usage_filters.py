"""What models were asked is narrowed down by Hand and day before it is put together, whatever it is put together by."""

import pytest

from kernel.cli.usage import BY, gather
from wire.amounts import Cost
from wire.entries import NO_PREV, Entry


def log() -> list[Entry]:
    """Two Hands and the operator ask one model, a day after the other."""
    found: list[Entry] = []

    def add(kind: str, day: int, principal: str, **said: object) -> None:
        time = f"2026-11-{day:02}T12:00:00.000000Z"
        found.append(Entry(seq=len(found), prev=NO_PREV, kind=kind, time=time, principal=principal, **said))  # type: ignore[arg-type]

    for number, (name, day) in enumerate((("researcher", 1), ("assistant", 2), ("researcher", 3), ("", 4)), 1):
        principal = f"r-{number}" if name else "operator"
        if name:
            add("run.start", day, "kernel", run=principal, detail={"name": name})
        add("call", day, principal, call=2 * number, method="model.complete", resource="fast")
        cost = Cost(tokens=10**number, micro_dollars=0)
        used = {"used": {"model": f"openai/{number}"}} if number % 2 else {}
        add(
            "end", day, principal, call=2 * number, method="model.complete", resource="fast", verdict="done", cost=cost,
            detail=used,
        )  # fmt: skip
    return found


@pytest.mark.parametrize("by", [*((one,) for one in BY), BY])
@pytest.mark.parametrize(
    ("hand", "since", "tokens"),
    [
        (None, "", 11_110), ("researcher", "", 1_010), ("operator", "", 10_000), ("nobody", "", 0),
        (None, "2026-11-02", 11_100), ("researcher", "2026-11-02", 1_000), (None, "2026-11-05", 0),
    ],
)  # fmt: skip
def test_a_hand_and_a_day_narrow_down_whatever_it_is_put_together_by(
    by: tuple[str, ...], hand: str | None, since: str, tokens: int
) -> None:
    rows = gather(log(), by, hand=hand, since=since)
    assert sum(row.tokens for row in rows) == tokens
    assert {row.hand for row in rows} <= ({""} if "hand" not in by else {"researcher", "assistant", "operator"})


def test_a_model_is_the_one_that_was_asked_in_the_end_and_else_the_route() -> None:
    rows = gather(log(), ["model"], hand=None, since="")
    assert {row.model: row.tokens for row in rows} == {"fast": 10_100, "openai/1": 10, "openai/3": 1_000}
