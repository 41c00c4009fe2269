"""`maniple usage` (acts)."""

from collections.abc import Iterable
from datetime import date
from typing import Final

import click
from msgspec import Struct

from kernel.cli import logbook, screen, spending
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command, hand_names
from wire.amounts import Cost
from wire.entries import Entry

NEEDLES: Final = (b'"method":"model.', b'"kind":"run.start"')
MODEL_METHODS: Final = frozenset({"model.complete", "model.stream", "model.embed"})
OPERATOR: Final = "operator"
BY: Final = ("hand", "model", "day")


class Row(Struct, frozen=True, kw_only=True):
    """Calls and cost of one group. hand: the caller's Hand, `operator` for the operator's own calls. day: in UTC."""

    hand: str = ""
    model: str = ""
    day: str = ""
    calls: int = 0
    failed: int = 0
    tokens: int = 0
    micro_dollars: int = 0


@command()
@click.option("--by", type=click.Choice(BY), multiple=True, help="Group by this only; may be repeated.")
@click.option("--hand", metavar="HAND", shell_complete=hand_names, help="Only the calls of this Hand.")
@click.option("--since", metavar="DAY", default="", help="Only from this day on: YYYY-MM-DD, in UTC.")
def usage(session: Session, by: tuple[str, ...], hand: str | None, since: str) -> None:
    """Show which models were asked, and what it cost, by Hand, model and day, from the log. The kernel need not run.

    MODEL is who answered, as PROVIDER/MODEL; if nobody did, it is what was asked for, which may be a route. What counts
    against budgets: `maniple budget`.
    """
    _check_day(since)
    folder = session.log()
    found = gather(logbook.entries(folder, needles=NEEDLES), by or BY, hand=hand, since=since)
    if hand and not found and hand != OPERATOR and not logbook.ids_of(folder, hand):
        raise Ended(f"no Hand {hand!r} was ever installed: see `maniple hands`")
    session.result({"usage": found}, lambda: _drawn(found, by or BY), nothing="No model was asked.")


def _check_day(text: str) -> None:
    """Raise Ended (usage) if this is not a day: days are compared as texts, so it would match everything or nothing."""
    try:
        is_day = not text or date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_day = False
    if not is_day:
        raise Ended(f"--since {screen.visible(text)}: write a day such as 2026-11-30", Exit.USAGE)


def gather(entries: Iterable[Entry], by: Iterable[str], *, hand: str | None, since: str) -> list[Row]:
    """Group the ends of model calls by some of BY, sorted. hand: only this caller's; None: all. since: from this day on."""
    hands: dict[str, str] = {}
    callers: dict[int, str] = {}
    rows: dict[tuple[str, str, str], Row] = {}
    wanted = set(by)
    for entry in entries:
        if entry.kind == "run.start":
            hands[entry.run] = str(entry.detail.get("name", ""))
        elif entry.kind == "call" and entry.method in MODEL_METHODS:
            callers[entry.call] = hands.get(entry.principal, entry.principal)
        elif entry.kind == "end" and entry.call in callers:
            caller = callers.pop(entry.call)
            if hand not in (None, caller) or entry.time[:10] < since:
                continue
            key = (
                caller if "hand" in wanted else "",
                _model_of(entry) if "model" in wanted else "",
                entry.time[:10] if "day" in wanted else "",
            )
            rows[key] = _add(rows.get(key, Row(hand=key[0], model=key[1], day=key[2])), entry)
    return [rows[key] for key in sorted(rows, key=lambda key: (key[2], key[0], key[1]))]


def _model_of(end: Entry) -> str:
    used = end.detail.get("used")
    return str(used.get("model") or end.resource) if isinstance(used, dict) else end.resource


def _add(row: Row, end: Entry) -> Row:
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
                spending.cost_text(Cost(tokens=row.tokens, micro_dollars=row.micro_dollars)) or "nothing",
            )
            for row in rows
        ),
        right=("CALLS", "FAILED"),
    )
