"""To-do lists: their limits and their changes (pure; the time of a change is passed in)."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from wire.labels import join

STATES: Final = ("todo", "doing", "done", "skipped", "failed")
ENDED: Final = frozenset(("done", "skipped"))
STEPS_MOST: Final = 100
TEXT_MOST: Final = 500
NAME_MOST: Final = 100
FIRST: Final = "plan"
"""The name of a list if the caller gives none."""


class PlanWrong(Exception):
    """Ends the call in Failed. code: `arguments`, `not found` or `too many`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a list. state: one of STATES."""

    text: str
    state: str = "todo"
    note: str = ""


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list. labels: those of the calls that wrote it. changed: RFC 3339 text, in UTC."""

    name: str
    title: str
    steps: tuple[Step, ...]
    changed: str
    labels: tuple[str, ...] = ()


def make_plan(name: str, title: str, steps: Sequence[object], now: str, labels: tuple[str, ...]) -> Plan:
    """A new list. steps: texts, or tables with text, state and note. Raises PlanWrong."""
    if not name or len(name) > NAME_MOST or len(title) > TEXT_MOST:
        raise PlanWrong("arguments", f"name has 1 to {NAME_MOST} characters, and title at most {TEXT_MOST}.")
    if not 1 <= len(steps) <= STEPS_MOST:
        raise PlanWrong("arguments", f"a plan has 1 to {STEPS_MOST} steps, not {len(steps)}.")
    return Plan(name=name, title=title, steps=tuple(map(_step, steps)), changed=now, labels=labels)


def _step(given: object) -> Step:
    fields = {"text": given} if isinstance(given, str) else given
    if not isinstance(fields, dict) or set(fields) - {"text", "state", "note"}:
        raise PlanWrong("arguments", "a step must be a text, or a table with text, state and note.")
    values = {name: fields.get(name, "") for name in ("text", "note")} | {"state": fields.get("state", "todo")}
    if not all(isinstance(value, str) and len(value) <= TEXT_MOST for value in values.values()) or not values["text"]:
        raise PlanWrong("arguments", f"text, state and note of a step are texts of at most {TEXT_MOST} characters.")
    return Step(text=str(values["text"]), state=check_state(str(values["state"])), note=str(values["note"]))


def check_state(state: str) -> str:
    """Returns the state of a step. Raises PlanWrong unless it is one of STATES."""
    if state not in STATES:
        raise PlanWrong("arguments", f"the state of a step is one of {', '.join(STATES)}; {state[:40]!r} is not one.")
    return state


def set_step(plan: Plan, number: int, state: str, note: str | None, now: str, labels: tuple[str, ...]) -> Plan:
    """The list with one step's state changed. number: from 1. note: None keeps the old one. Raises PlanWrong."""
    if not 1 <= number <= len(plan.steps):
        raise PlanWrong("arguments", f"step must be 1 to {len(plan.steps)}: there is no step {number}.")
    if note is not None and len(note) > TEXT_MOST:
        raise PlanWrong("arguments", f"note has at most {TEXT_MOST} characters.")
    old = plan.steps[number - 1]
    new = replace(old, state=check_state(state), note=old.note if note is None else note)
    steps = (*plan.steps[: number - 1], new, *plan.steps[number:])
    return replace(plan, steps=steps, changed=now, labels=tuple(sorted(join(plan.labels, labels))))


def as_reply(plan: Plan) -> dict[str, object]:
    """A list as a reply."""
    return {
        "name": plan.name,
        "title": plan.title,
        "steps": [{"text": step.text, "state": step.state, "note": step.note} for step in plan.steps],
        "done": sum(step.state in ENDED for step in plan.steps),
        "total": len(plan.steps),
        "changed": plan.changed,
    }
