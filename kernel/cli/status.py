"""`maniple status` (acts)."""

import time

from msgspec import Struct

from kernel.cli import installed, live_runs, replies, screen, spending
from kernel.cli.frame import Session, command
from manifests.waiting import AWAITS_DECISION
from wire.entries import time_micros


class Status(Struct, frozen=True, kw_only=True):
    """The reply of kernel.status."""

    pid: int
    home: str
    started: str
    frozen: bool
    hands: int
    runs: int
    template: str
    wanted: tuple[str, ...]
    paused: tuple[str, ...]
    quarantined: dict[str, str]
    open_calls: int
    approvals: int
    upgraded: tuple[str, ...]
    memory: int
    cpu_seconds: float
    entries: int
    durable: int
    log_state: str
    log_why: str
    origin: str
    budgets: tuple[spending.Allowance, ...]
    spent: spending.Spent


@command()
def status(session: Session) -> None:
    """Show the kernel's process, its Hands, spending, confinement, and the head of the log."""
    with session.client() as client:
        reply = client.call("kernel.status").value
        runs, hands = live_runs.fetch_all(client), installed.list_hands(client)
    now = replies.read(reply, Status)
    held_back = tuple(hand.name for hand in hands if hand.why and hand.name not in now.quarantined)
    layers = tuple(dict.fromkeys(layer for run in runs for layer in run.confinement))
    lacking = tuple(dict.fromkeys(layer for run in runs for layer in run.lacking))
    shown = {
        **replies.read(reply, dict[str, object]),
        "micro_dollars": sum(run.micro_dollars for run in runs),
        "held_back": held_back,
        "confinement": layers,
        "lacking": lacking,
    }
    session.result(shown, lambda: session.hinted(_drawn(now, runs, held_back, layers, lacking)))


def _waiting(count: int) -> str:
    waits = "1 call waits" if count == 1 else f"{count} calls wait"
    return screen.coloured(f"{waits} for your answer: `maniple approvals`", "yellow") if count else ""


def _upgraded(runs: tuple[str, ...]) -> str:
    if not runs:
        return ""
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    words = f"{AWAITS_DECISION}: {runs[0]}{more}: `maniple decide {runs[0]} finish`, or `… restart`"
    return screen.coloured(words, "yellow")


def _held_back(hands: tuple[str, ...]) -> str:
    """A warning about Hands that cannot start: no trusted key sealed them, or their folder was changed."""
    words = f"{screen.count(len(hands), 'Hand')} cannot start: `maniple hands` tells which, and why"
    return screen.coloured(words, "red") if hands else ""


def _drawn(
    now: Status,
    live: tuple[replies.LiveRun, ...],
    held_back: tuple[str, ...],
    layers: tuple[str, ...],
    lacking: tuple[str, ...],
) -> str:
    up = screen.ago(time_micros(now.started), time.time_ns() // 1000)
    held = screen.coloured("frozen: `maniple thaw` lets everything go on", "red") if now.frozen else ""
    log = f"{now.entries} entries, {now.durable} of them on disk"
    runs = screen.count(now.runs, "live run")
    trouble = screen.coloured(f"{now.log_state}: {now.log_why}", "red") if now.log_state != "ok" else ""
    template = f"{now.template}; `maniple start HAND` tries again" if now.template else ""
    troubled = "\n".join(
        f"{name}: {screen.visible(why)}; `maniple start {name}` tries again" for name, why in now.quarantined.items()
    )
    return screen.fields(
        (
            ("kernel", f"process {now.pid}, up {up}, {now.cpu_seconds:.2f}s of processor, {screen.size(now.memory)}"),
            ("home", now.home),
            ("state", held),
            ("template", screen.coloured(template, "red")),
            ("hands", f"{now.hands} installed, {runs}, {screen.count(now.open_calls, 'call')} under way"),
            ("", _held_back(held_back)),
            ("waiting", _waiting(now.approvals)),
            ("", _upgraded(now.upgraded)),
            ("wanted", ", ".join(now.wanted)),
            ("paused", ", ".join(now.paused)),
            ("quarantined", troubled),
            ("spending", _spending(now, live)),
            (
                "budgets",
                "\n".join(f"{room.name or 'the home'}: {room.describe()}" for room in now.budgets if _matters(room)),
            ),
            ("confinement", layers or "no run is at work now; what this machine can do: `maniple doctor`"),
            ("but not by", screen.lacking(lacking)),
            ("log", log),
            ("", trouble),
            ("log's name", now.origin),
        )
    )


def _spending(now: Status, live: tuple[replies.LiveRun, ...]) -> str:
    """What the home has spent, and how much of it the live runs."""
    micro_dollars = sum(run.micro_dollars for run in live)
    by_live = f"{screen.dollars(micro_dollars)} by the live runs" if micro_dollars else ""
    return "; ".join(filter(None, (spending.spent_text(now.spent), by_live)))


def _matters(room: spending.Allowance) -> bool:
    """Whether `status` shows a budget: always the home's, a Hand's once it is nearly used up."""
    return not room.name or room.percent > 0
