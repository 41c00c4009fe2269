"""`maniple usage` (acts)."""

from collections.abc import Iterable
from datetime import date
from typing import Final

import click
from msgspec import Struct

from kernel.cli import logbook, screen, spending
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from wire.entries import Cost, Entry

NEEDLES: Final = (b'"method":"model.', b'"kind":"run.start"')
ASKING: Final = frozenset({"model.complete", "model.stream", "model.embed"})
OPERATOR: Final = "operator"
BY: Final = ("hand", "model", "day")


class Row(Struct, frozen=True, kw_only=True):
    """What was asked and spent together. hand: whose runs asked, `operator` for the operator's own calls. day: UTC."""

    hand: str = ""
    model: str = ""
    day: str = ""
    calls: int = 0
    failed: int = 0
    tokens: int = 0
    micro_dollars: int = 0


@command()
@click.option("--by", type=click.Choice(BY), multiple=True, help="Group by this only; may be repeated.")
@click.option("--hand", metavar="HAND", help="Only the calls of this Hand.")
@click.option("--since", metavar="DAY", default="", help="Only from this day on: YYYY-MM-DD, in UTC.")
def usage(session: Session, by: tuple[str, ...], hand: str | None, since: str) -> None:
    """Show which models were asked, and what it cost, by Hand, model and day, from the log. The kernel need not run.

    MODEL is who answered, as PROVIDER/MODEL; if nobody did, it is what was asked for, which may be a route. What counts
    against budgets: `maniple budget`.
    """
    _check_day(since)
    folder = session.log()
    found = gathered(logbook.entries(folder, needles=NEEDLES), by or BY, hand=hand, since=since)
    if hand and not found and hand != OPERATOR and not logbook.ids_of(folder, hand):
        raise Ended(f"no Hand {hand!r} was ever installed: see `maniple hands`")
    session.result({"usage": found}, lambda: _drawn(found, by or BY), nothing="No model was asked.")


def _check_day(text: str) -> None:
    """Raises Ended for what is no day: it would be compared as a text, and leave out everything or nothing."""
    try:
        is_day = not text or date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_day = False
    if not is_day:
        raise Ended(f"--since {screen.visible(text)}: write a day such as 2026-11-30", Exit.USAGE)


def gathered(entries: Iterable[Entry], by: Iterable[str], *, hand: str | None, since: str) -> list[Row]:
    """The ends of calls of models, of a Hand's or for None of all, from a day on; put together by some of BY, and sorted."""
    hands: dict[str, str] = {}
    callers: dict[int, str] = {}
    rows: dict[tuple[str, str, str], Row] = {}
    wanted = set(by)
    for entry in entries:
        if entry.kind == "run.start":
            hands[entry.run] = str(entry.detail.get("name", ""))
        elif entry.kind == "call" and entry.method in ASKING:
            callers[entry.call] = hands.get(entry.principal, entry.principal)
        elif entry.kind == "end" and entry.call in callers:
            caller = callers.pop(entry.call)
            if hand not in (None, caller) or entry.time[:10] < since:
                continue
            key = (
                caller if "hand" in wanted else "",
                _model(entry) if "model" in wanted else "",
                entry.time[:10] if "day" in wanted else "",
            )
            rows[key] = _more(rows.get(key, Row(hand=key[0], model=key[1], day=key[2])), entry)
    return [rows[key] for key in sorted(rows, key=lambda key: (key[2], key[0], key[1]))]


def _model(end: Entry) -> str:
    used = end.detail.get("used")
    return str(used.get("model") or end.resource) if isinstance(used, dict) else end.resource


def _more(row: Row, end: Entry) -> Row:
    cost = end.cost or Cost(tokens=0, micro_dollars=0)
    return Row(
        hand=row.hand,
        model=row.model,
        day=row.day,
        calls=row.calls + 1,
        failed=row.failed + (end.verdict != "done"),
        tokens=row.tokens + cost.tokens,
        micro_dollars=row.micro_dollars + cost.micro_dollars,
    )


def _drawn(rows: list[Row], by: Iterable[str]) -> str:
    if not rows:
        return ""
    names = [name for name in ("day", "hand", "model") if name in set(by)]
    return screen.table(
        (*(name.upper() for name in names), "CALLS", "FAILED", "SPENT"),
        (
            (
                *(getattr(row, name) for name in names),
                str(row.calls),
                str(row.failed or ""),
                spending.cost(Cost(tokens=row.tokens, micro_dollars=row.micro_dollars)) or "nothing",
            )
            for row in rows
        ),
        right=("CALLS", "FAILED"),
    )
