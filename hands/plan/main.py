"""The Hand `plan`: to-do lists that Hands write for themselves and people watch (acts; thin).

The kernel says whose list it is, by the namespace it delivers; `name` selects one of that Hand's lists, and an agent's
run uses its run id. `plan_list` decides, `plan_shelf` stores.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from plan_list import FIRST, PlanWrong, as_reply, make_plan, set_step
from plan_shelf import PlanShelf
from runtime import Call, Failure, Hand
from runtime.table_file import NO_ROOM
from wire.codec import encode_body
from wire.entries import time_text

ALL_MOST: Final = 500
REPLY_MOST: Final = 600_000
"""Bytes of lists in one reply."""

Rows = list[dict[str, object]]


class Plan(Hand):
    """Provides plan.*."""

    async def start(self) -> None:
        """Opens the lists' file."""
        self.shelf = PlanShelf(self.state)
        for note in self.shelf.notes:
            self.log.warning(note)

    async def stop(self) -> None:
        """Closes the file."""
        self.shelf.close()

    async def set(self, call: Call, steps: list[object], title: str = "", name: str = FIRST) -> dict[str, object]:
        """plan.set: creates or replaces a list."""
        with _as_failures():
            plan = make_plan(name, title, steps, _now(), tuple(sorted(call.labels)))
            self.shelf.put(call.resource, plan)
            return as_reply(plan)

    async def step(
        self, call: Call, step: int, state: str, note: str | None = None, name: str = FIRST
    ) -> dict[str, object]:
        """plan.step: sets the state of one step, counted from 1."""
        with _as_failures():
            plan = self.shelf.find(call.resource, name)
            call.add_labels(*plan.labels)
            changed = set_step(plan, step, state, note, _now(), tuple(call.labels))
            self.shelf.put(call.resource, changed)
            call.add_labels(*changed.labels)
            return as_reply(changed)

    async def show(self, call: Call, name: str = FIRST) -> dict[str, object]:
        """plan.show: one list."""
        with _as_failures():
            plan = self.shelf.find(call.resource, name)
            call.add_labels(*plan.labels)
            return as_reply(plan)

    async def list(self, call: Call) -> dict[str, object]:
        """plan.list: the lists of a namespace, without their steps."""
        plans = self.shelf.of(call.resource)
        call.add_labels(*(label for plan in plans for label in plan.labels))
        return {"plans": [{name: value for name, value in as_reply(plan).items() if name != "steps"} for plan in plans]}

    async def remove(self, call: Call, name: str = FIRST) -> dict[str, object]:
        """plan.remove: one list."""
        with _as_failures():
            return {"removed": self.shelf.remove(call.resource, name)}

    async def all(self, call: Call, most: int = 50) -> dict[str, object]:
        """plan.all: the lists of all namespaces, each with its namespace."""
        if not 1 <= most <= ALL_MOST:
            raise Failure("arguments", f"most must be between 1 and {ALL_MOST}.")
        found = self.shelf.every(most + 1)
        rows: Rows = []
        room = REPLY_MOST
        for space, plan in found[:most]:
            row = {"namespace": space, **as_reply(plan)}
            room -= len(encode_body(row))
            if room < 0 and rows:
                break
            call.add_labels(*plan.labels)
            rows.append(row)
        return {"plans": rows, "more": len(found) > len(rows), "problems": self.shelf.problems}


@contextmanager
def _as_failures() -> Iterator[None]:
    """Turns PlanWrong and a full disk into the call's Failed."""
    try:
        yield
    except PlanWrong as wrong:
        raise Failure(wrong.code, wrong.text) from None
    except NO_ROOM as error:
        raise Failure("disk", f"it could not be kept: {error}.") from None


def _now() -> str:
    return time_text(time.time_ns() // 1_000)
