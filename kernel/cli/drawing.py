"""Formats entries of the log for people (pure but for the terminal's size)."""

import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from kernel.cli import screen
from wire.entries import KINDS, Entry, time_text

TIME_FIELDS: Final = frozenset({"until", "expires", "added", "revoked"})
"""Names of fields in entries' details that hold microseconds."""

VERDICTS: Final = {
    "refused": "red",
    "failed": "red",
    "died": "red",
    "quarantined": "red",
    "denied": "red",
    "held": "yellow",
    "edited": "yellow",
    "approved": "green",
    "cancelled": "yellow",
    "done": "green",
}


def line(entry: Entry) -> str:
    """Format an entry as one line; on a terminal, cut to its width."""
    what = " ".join(filter(None, (entry.method, entry.resource)))
    detail = "" if what else _detail(entry)
    rest = " ".join(filter(None, (what or detail, entry.why)))
    kind, who = screen.visible(entry.kind), screen.visible(entry.principal)
    head = f"{entry.seq:>6}  {screen.moment(entry.time)}  {kind:<13} {who:<18}  "
    verdict = entry.verdict or ("" if what else "-")
    text = screen.visible(rest)
    if screen.is_terminal(sys.stdout):
        text = screen.cut(text, max(20, screen.terminal_width() - len(head) - 11))
    return f"{head}{screen.coloured(f'{verdict:<9}', VERDICTS.get(entry.verdict, ''))}  {text}".rstrip()


def _detail(entry: Entry) -> str:
    """A summary of an entry's detail: its statement or names if it has any, else its plain values."""
    detail = entry.detail
    statement = detail.get("statement")
    if isinstance(statement, dict):
        return " ".join(filter(None, (str(statement.get("method", "")), str(statement.get("resource", "")))))
    if "name" in detail:
        return " ".join(str(detail[key]) for key in ("name", "version", "path") if key in detail)
    key = detail.get("key")
    if isinstance(key, dict):
        return str(key.get("name", ""))
    return " ".join(f"{name}={value}" for name, value in detail.items() if isinstance(value, str | int))[:120]


def full(entry: Entry) -> str:
    """Format an entry with all its fields, one per line."""
    rows: list[tuple[str, object]] = [
        ("entry", entry.seq),
        ("time", entry.time),
        ("kind", f"{entry.kind}: {KINDS.get(entry.kind, 'a kind that a newer Maniple knows')}"),
        ("by", entry.principal),
        ("run", entry.run),
        ("call", entry.call or None),
        ("made for", f"call {entry.parent}" if entry.parent else None),
        ("method", entry.method),
        ("resource", entry.resource),
        ("verdict", screen.coloured(entry.verdict, VERDICTS.get(entry.verdict, ""))),
        ("why", entry.why),
        ("labels", ", ".join(entry.labels)),
        ("cost", f"{screen.dollars(entry.cost.micro_dollars)}, {entry.cost.tokens} tokens" if entry.cost else None),
    ]
    for name, body in (("arguments", entry.arguments), ("reply", entry.reply)):
        if body is not None:
            rows.append((name, f"{screen.size(body.size)}, HMAC-SHA-256 {body.digest}"))
    fields = {name for name, _ in rows}
    for name, value in _with_times(entry.detail).items():
        rows.append((f"detail {name}" if name in fields else name, _value(value)))
    rows.append(("prev", entry.prev))
    return screen.fields(rows)


def _value(value: object) -> str:
    if isinstance(value, list | dict):
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return str(value)


def _with_times(detail: Mapping[str, object]) -> dict[str, object]:
    """A detail with its times as text: the log has microseconds."""
    return {
        name: time_text(one) if name in TIME_FIELDS and isinstance(one, int) and one else _with_times_inside(one)
        for name, one in detail.items()
    }


def _with_times_inside(value: object) -> object:
    if isinstance(value, list):
        return [_with_times_inside(one) for one in value]
    return _with_times(value) if isinstance(value, dict) else value
