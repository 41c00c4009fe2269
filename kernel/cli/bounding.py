"""Turns `--most` into the most that a call may cost (acts: asks what budgets leave, if only one unit was given)."""

from kernel.cli import replies, spending
from kernel.cli.budget import Status
from kernel.cli.client import Client
from wire.amounts import Cost


def most_of(client: Client, given: spending.Sums, hand: str = "") -> Cost | None:
    """Return it, None if nothing was given. hand: who will pay besides the home, "" for nobody."""
    if not given:
        return None
    if len(given) > 1:
        return spending.most_of(given, ())
    budgets = replies.read(client.call("kernel.status").value, Status).budgets
    return spending.most_of(given, (one for one in budgets if one.name in ("", hand)))
