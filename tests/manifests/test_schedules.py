"""The kernel begins a scheduled run once for each key, for who is scheduled, and with what the manifest says."""

from typing import Any

import pytest
from msgspec.structs import replace

from manifests.grants import GrantSet
from manifests.installed import Installed, Package
from manifests.schedules import DEPTH_MOST, PAGE, Fired, decide, end_event, rows
from manifests.schema import Capability, Events, Schedule
from manifests.state import FIRED_KEPT, State, fold
from tests.manifests.texts import cap, manifest
from wire import headers
from wire.entries import Entry, time_text
from wire.errors import Refusal
from wire.ids import HandId

DUE = time_text(1_764_115_200_000_000)


def hand(name: str, schedule: Schedule | None, kind: Any = "task", *grants: Capability) -> tuple[State, Installed]:
    asks = manifest(name=name)
    asks = replace(asks, hand=replace(asks.hand, kind=kind), schedule=schedule, events=Events(subscribes=("web.seen",)))
    one = Installed(
        id=HandId(f"h-{name}"), name=name, version="1.0.0", folder=name, number=1, seal="0" * 64,
        package=Package(seal="", manifest=asks, digest=""), since=7,
    )  # fmt: skip
    return State(hands={name: one}, grants={one.id: grants}), one


def started(state: State, name: str, run: str, fired: str) -> None:
    detail: dict[str, object] = {"hand": f"h-{name}", "name": name, "kind": "task", "fired": fired}
    entry = Entry(kind="run.start", principal="kernel", run=run, seq=0, prev="0" * 64, time=DUE, detail=detail)
    fold(state, entry, lambda _: pytest.fail("nothing is loaded"))


def refused(state: State, one: Installed, asked: Fired, working: frozenset[str] = frozenset()) -> str:
    with pytest.raises(Refusal) as refusal:
        decide(state, one, asked, working)
    return refusal.value.code


def test_a_hand_without_a_schedule_and_a_service_are_refused() -> None:
    assert refused(*hand("a", None), Fired(key="k", due=DUE)) == "schedule"
    assert refused(*hand("a", Schedule(every_ms=1000), "service"), Fired(key="k", due=DUE)) == "schedule"


def test_the_same_key_is_the_same_run_also_after_a_restart() -> None:
    state, one = hand("a", Schedule(every_ms=1000, inputs={"when": "$time"}))
    assert decide(state, one, Fired(key="at 1", due=DUE), ()).inputs == {"when": DUE}
    started(state, "a", "r-1", "at 1")
    assert decide(state, one, Fired(key="at 1", due=DUE), ()).before == "r-1"
    assert decide(state, one, Fired(key="at 1", due=DUE), {"r-1"}).before == "r-1"
    assert decide(state, one, Fired(key="at 2", due=DUE), ()).before == ""


def test_the_end_of_a_scheduled_run_is_told_with_its_key_whichever_kernel_began_it() -> None:
    state, one = hand("a", Schedule(every_ms=1000))
    started(state, "a", "r-1", "at 1")
    refused = headers.Refused(number=1, code="limit", why="", grant="")
    told = {"hand": "h-a", "name": "a", "key": "at 1", "run": "r-1"}
    assert end_event(state, one, "r-1", headers.Done(number=1)) == told | {"outcome": "done", "why": ""}
    assert end_event(state, one, "r-1", refused) == told | {"outcome": "refused", "why": "limit"}
    assert end_event(state, one, "r-2", headers.Done(number=1)) is None  # its operator began it


def test_the_last_keys_are_kept() -> None:
    state, _ = hand("a", Schedule(every_ms=1000))
    for number in range(FIRED_KEPT + 5):
        started(state, "a", f"r-{number}", f"at {number}")
    assert list(state.fired["h-a"]) == [f"at {number}" for number in range(5, FIRED_KEPT + 5)]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_while_a_scheduled_run_works_the_next_is_refused(overlap: Any) -> None:
    state, one = hand("a", Schedule(every_ms=1000, overlap=overlap))
    started(state, "a", "r-1", "at 1")
    assert refused(state, one, Fired(key="at 2", due=DUE), frozenset({"r-1"})) == "overlap"
    assert decide(state, one, Fired(key="at 2", due=DUE), {"r-other"}).replaced == ()


def test_a_run_that_is_replaced_is_named() -> None:
    state, one = hand("a", Schedule(every_ms=1000, overlap="replace"))
    started(state, "a", "r-1", "at 1")
    assert decide(state, one, Fired(key="at 2", due=DUE), {"r-1"}).replaced == ("r-1",)


@pytest.mark.parametrize(("overlap", "replaced"), [("replace", ("r-1",)), ("skip", ()), ("queue", ())])
def test_one_that_has_begun_still_replaces_those_before_it(overlap: Any, replaced: tuple[str, ...]) -> None:
    """A kernel that died just then had not ended them."""
    state, one = hand("a", Schedule(every_ms=1000, overlap=overlap))
    for number in (1, 2, 3):
        started(state, "a", f"r-{number}", f"at {number}")
    again = decide(state, one, Fired(key="at 2", due=DUE), {"r-1", "r-2", "r-3"})
    assert (again.before, again.replaced) == ("r-2", replaced)


def test_an_event_starts_only_who_waits_for_it_and_may_hear_it() -> None:
    schedule = Schedule(on="web.seen", where={"rows": {"above": 5}}, inputs={"rows": "$event.rows"})
    state, one = hand("a", schedule, "task", cap("kernel.subscribe", "web.seen"))
    asked = Fired(key="on 1", due=DUE, event="web.seen", body={"rows": 6})
    assert decide(state, one, asked, ()).inputs == {"rows": 6}
    for other in (replace(asked, event="web.gone"), replace(asked, body={"rows": 5}), replace(asked, body=None)):
        assert refused(state, one, other) == "schedule"
    assert decide(state, one, replace(asked, depth=DEPTH_MOST), ()).inputs == {"rows": 6}
    assert refused(state, one, replace(asked, depth=DEPTH_MOST + 1)) == "loop"
    state.grants.clear()
    assert refused(state, one, asked) == "capability"


def test_a_moment_that_is_none_is_refused() -> None:
    state, one = hand("a", Schedule(every_ms=1000))
    assert refused(state, one, Fired(key="at 1", due="tomorrow")) == "schedule"


def test_scheduled_hands_are_told_page_by_page_with_what_holds_them() -> None:
    state, one = hand("a", Schedule(every_ms=1000))
    for number in range(PAGE + 3):
        other = replace(one, name=f"b{number:03}", id=HandId(f"h-b{number:03}"))
        state.hands[other.name] = other
    state.hands["c"] = hand("c", None)[1]
    state.paused.add("h-a")
    started(state, "a", "r-1", "at 1")
    first: Any = rows(state, {"r-1"})
    assert first["more"]
    assert len(first["hands"]) == PAGE
    assert (first["hands"][0]["held"], first["hands"][0]["running"]) == ("paused", {"at 1": "r-1"})
    second: Any = rows(state, (), after=first["hands"][-1]["name"])
    assert (len(second["hands"]), second["more"]) == (4, False)
    state.quarantined = {"h-a": "it crashed", "h-b001": "it crashed"}
    assert [row["held"] for row in rows(state, ())["hands"][:3]] == ["paused", "", "quarantined"]  # type: ignore[index]
    only: Any = rows(state, (), only="b001")
    assert [row["name"] for row in only["hands"]] == ["b001"]
    state.frozen = True
    assert {row["held"] for row in rows(state, ())["hands"]} == {"frozen"}  # type: ignore[attr-defined]


def test_a_hand_that_an_event_starts_asks_to_hear_it() -> None:
    from manifests.grants import requested

    _, one = hand("a", Schedule(on="data.loaded"))
    assert GrantSet.of(requested(one.package.manifest)).allows("kernel.subscribe", "data.loaded")
