"""The life of a Hand that provides methods, and when to restart it (pure): tables and arithmetic, clock and chance come in.

What is wanted, what is, and whether it is paused are three variables: the operator's wishes (State.wanted, State.paused)
survive restarts, the life below is only what is so now. The docs draw their picture from LIFE.
"""

from typing import Final

from manifests.schema import Restart
from wire.errors import NotNow

LIFE: Final = {
    ("stopped", "start"): "starting",
    ("starting", "ready"): "ready",
    ("starting", "stop"): "stopping",
    ("starting", "died"): "backing_off",
    ("ready", "stop"): "stopping",
    ("ready", "died"): "backing_off",
    ("stopping", "stop"): "stopping",
    ("stopping", "died"): "stopped",
    ("backing_off", "start"): "starting",
    ("backing_off", "stop"): "stopped",
    ("backing_off", "give_up"): "quarantined",
    ("backing_off", "done"): "stopped",
    ("quarantined", "start"): "starting",
    ("quarantined", "stop"): "stopped",
}
"""stopped: no process. starting: forked, not yet ready. ready: takes calls. stopping: told to end. backing_off: it died,
and starts again in a while. quarantined: it died too often, and stays down until the operator says start."""

BACKOFF_FIRST: Final = 0.1
BACKOFF_MOST: Final = 30.0


def step(state: str, event: str) -> str:
    """The state after an event. Raises NotNow for one that the state does not list."""
    after = LIFE.get((state, event))
    if after is None:
        raise NotNow(f"a Hand cannot {event} while it is {state}")
    return after


def verdict_after_death(restart: Restart, *, clean: bool, deaths: tuple[float, ...], now: float) -> str:
    """`done` (stay down), `start` (again, after backoff) or `give_up` (quarantine).

    clean: it ended by itself with exit code 0. deaths: moments of its unclean deaths, this one last.
    """
    if restart.when == "never" or (clean and restart.when == "failure"):
        return "done"
    within = [moment for moment in deaths if now - moment <= restart.within_ms / 1000]
    return "give_up" if len(within) > restart.times else "start"


def first_to_stop(needs: dict[str, tuple[str, ...]]) -> set[str]:
    """Of running Hands, by name with what each needs, those that no other one needs; all of them if they need each other."""
    needed = {other for name, others in needs.items() for other in others if other != name}
    return set(needs) - needed or set(needs)


def backoff(deaths: int, chance: float) -> float:
    """Seconds to wait before the next start: doubling from BACKOFF_FIRST to BACKOFF_MOST, with up to a fifth more by chance.

    chance: 0 to 1; it keeps Hands that died together from starting together.
    """
    plain = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(max(0, deaths - 1), 20))
    return plain * (1 + chance / 5)
