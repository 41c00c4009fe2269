"""Asks the kernel for live runs (acts)."""

from kernel.cli import replies
from kernel.cli.client import Client
from kernel.cli.replies import LiveRun, LiveRuns


def fetch_all(client: Client) -> tuple[LiveRun, ...]:
    """Fetch all live runs, oldest first."""
    page = _page(client)
    found = list(page.runs)
    while page.more:
        page = _page(client, after=page.runs[-1].began)
        found += page.runs
    return tuple(found)


def find(client: Client, run: str) -> LiveRun | None:
    """Fetch one run; None if it is not live."""
    return next(iter(_page(client, only=run).runs), None)


def _page(client: Client, **asked: object) -> LiveRuns:
    return replies.read(client.call("kernel.ps", "", asked).value, LiveRuns)
