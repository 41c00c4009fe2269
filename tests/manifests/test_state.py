"""The state is what the entries say: the same from any snapshot on, and nothing of a removed Hand stays behind."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import unfinished
from manifests.grants import requested
from manifests.installed import Installed, Package
from manifests.orphaned_calls import ends_after_crash, with_spent
from manifests.schema import Capability, HandSection, Manifest
from manifests.seal import seal
from manifests.state import State, authority, fold, from_bytes, to_bytes
from wire.amounts import Cost
from wire.entries import NO_PREV, Entry
from wire.errors import ManipleError
from wire.signing import SigningKey

KEY = SigningKey("test", bytes(32))
TIME = "2026-11-21T00:00:00.000000Z"
COST = Cost(tokens=7, micro_dollars=3)
NAMES = ("alpha", "beta")
METHODS = ("web.fetch", "files.read", "kernel.note")


def _package(name: str, version: str) -> Package:
    capabilities = tuple(Capability(method=one, allow=("a/**", "b")) for one in METHODS[:2])
    section = HandSection(name=name, version=version, description="x", entry="m:C", kind="task", autonomy="full")
    digest = sha256(f"{name} {version}".encode()).hexdigest()
    text = seal(name, version, {"HAND.toml": digest}, KEY)
    return Package(seal=text, manifest=Manifest(hand=section, capabilities=capabilities), digest=digest)


def _load(folder: str) -> Package:
    name, _, version = folder.partition("-")
    if name not in NAMES:
        raise ManipleError(f"{folder} is gone")
    return _package(name, version)


CAPABILITIES = st.lists(
    st.builds(
        lambda method, allow: {"method": method, "allow": sorted(allow), "own": False},
        st.sampled_from(METHODS), st.sets(st.sampled_from(["a/**", "b", "c"]), min_size=1),
    ),
    min_size=1, max_size=3,
)  # fmt: skip
KINDS = (
    "install", "remove", "grant", "revoke", "pause", "resume", "freeze", "thaw", "settings", "wanted", "unwanted",
    "quarantined", "root.add", "root.remove", "run.start", "run.end", "note",
    "call", "end", "reserved", "settled", "corrected", "set", "warning",
)  # fmt: skip
UNCHANGING = ("freeze", "thaw", "note", "call", "end", "reserved", "settled", "corrected", "set", "warning")
"""Acts that concern no installed Hand."""

ACTS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.sampled_from(NAMES), st.integers(0, 3), CAPABILITIES,
    ),
    max_size=40,
)  # fmt: skip


def _entries(acts: list[tuple[str, str, int, Any]]) -> list[Entry]:
    """Acts as entries that a kernel could have recorded: nothing is done to a Hand that is not installed."""
    ids: dict[str, str] = {}
    seals: dict[str, str] = {}
    found: list[Entry] = []
    for number, (act, name, extra, capabilities) in enumerate(acts):
        kind, run, verdict = act, "", ""
        detail: dict[str, Any] = {}
        if act == "install":
            ids.setdefault(name, f"h-{number}")
            version = f"1.{number}.0"
            pinned = sha256(_package(name, version).seal.encode()).hexdigest()
            seals[name] = pinned
            kind, detail = "hand.install", {"folder": f"{name}-{version}", "version": version, "seal": pinned}
        elif act.startswith("root"):
            detail = {"name": f"root-{extra}", "path": f"/srv/{extra}"}
        elif act.startswith("run."):
            run, detail = f"r-{extra}", {"kind": "task", "name": name}
            if name in ids:
                detail |= {"hand": ids[name], "seal": seals[name]}
        elif act in ("reserved", "settled"):
            kind, detail = "call" if act == "reserved" else "end", {"payers": [name, ""], "within": 2 * extra - 2}
            if act == "reserved":
                detail["most"] = {"tokens": 10 * extra, "micro_dollars": 5}
        elif act in ("corrected", "set", "warning"):
            kind, verdict = "budget", act
            detail = {
                "payers": [name], "at": 1_795_000_000_000_000, "method": "a.b", "back": {"tokens": 1, "micro_dollars": 0},
                "more": {"tokens": 0, "micro_dollars": extra}, "hand": name, "unit": "tokens", "window": "day",
                "percent": 80, "budget": {"tokens": [{"amount": extra, "window": "hour"}]},
            }  # fmt: skip
        elif act in UNCHANGING:
            pass
        elif name not in ids:
            continue
        elif act in ("grant", "revoke"):
            detail = {"capabilities": capabilities}
        elif act == "settings":
            detail = {"settings": f'{{"x":{extra}}}'}
        elif act in ("wanted", "unwanted", "quarantined"):
            kind, verdict = "hand.state", act
        elif act == "remove":
            kind = "hand.remove"
        if act not in UNCHANGING and not act.startswith(("root", "run.")):
            detail = {"name": name, "hand": ids[name], **detail}
            if act == "remove":
                del ids[name]
        found.append(
            Entry(seq=number, prev=NO_PREV, time="2026-11-21T00:00:00.000000Z", kind=kind, principal="operator",
                  run=run, verdict=verdict, detail=detail, cost=COST if act == "settled" else None,
                  call=2 * (extra if act in ("call", "end", "reserved", "settled") else number))
        )  # fmt: skip
    return found


def _folded(entries: list[Entry], state: State | None = None) -> State:
    state = State() if state is None else state
    for entry in entries:
        fold(state, entry, _load)
    return state


@given(ACTS, st.floats(0, 1))
def test_a_snapshot_anywhere_changes_nothing(acts: list[tuple[str, str, int, Any]], where: float) -> None:
    entries = _entries(acts)
    cut = int(len(entries) * where)
    snapshot = to_bytes(_folded(entries[:cut]))
    assert to_bytes(_folded(entries[cut:], from_bytes(snapshot))) == to_bytes(_folded(entries))


@given(ACTS)
def test_what_was_replaced_is_kept_as_long_as_an_unfinished_run_was_begun_with_it_and_no_longer(
    acts: list[tuple[str, str, int, Any]],
) -> None:
    state = State()
    for entry in _entries(acts):
        fold(state, entry, _load)
        installed = {str(one.id): one.seal for one in state.hands.values()}
        begun = {(one.hand, one.seal) for one in state.unfinished.values() if one.hand in installed}
        needed = {(hand, seal) for hand, seal in begun if installed[hand] != seal}
        assert {(str(one.id), seal) for seal, one in state.kept.items()} == needed
        assert all(one.package == _load(f"{one.name}-{one.version}") for one in state.kept.values())


@given(ACTS)
def test_every_call_without_an_end_is_told_of_once(acts: list[tuple[str, str, int, Any]]) -> None:
    entries, left = _entries(acts), set[int]()
    for entry in entries:
        left = left | {entry.call} if entry.kind == "call" else left - {entry.call} if entry.kind == "end" else left
    state = _folded(entries)
    ends = ends_after_crash(from_bytes(to_bytes(state)), ())
    assert sorted(one["call"] for one in ends) == sorted(left)
    assert all(one["verdict"] == "failed" for one in ends)
    for number, one in enumerate(ends):
        fold(state, Entry(seq=number, prev=NO_PREV, time="2026-11-21T00:00:00.000000Z", kind="end", **one), _load)
    assert ends_after_crash(state, ()) == []


@given(ACTS)
def test_nothing_of_a_removed_hand_is_left_for_anybody(acts: list[tuple[str, str, int, Any]]) -> None:
    entries = _entries(acts)
    state = _folded(entries)
    known = {hand.id for hand in state.hands.values()}
    gone = {str(entry.detail["hand"]) for entry in entries if entry.kind == "hand.remove"}
    assert not known & gone
    for table in (state.grants, state.settings, state.quarantined, state.wanted, state.paused):
        assert not set(table) & gone
    assert set(state.versions) == {str(one.detail["name"]) for one in entries if one.kind == "hand.install"}


def test_a_hand_that_had_everything_leaves_nothing() -> None:
    given_to = ("install", "grant", "settings", "wanted", "pause", "quarantined")
    had = _folded(_entries([(act, "alpha", 1, [{"method": "web.fetch", "allow": ["b"]}]) for act in given_to]))
    tables = ("grants", "settings", "wanted", "paused", "quarantined")
    assert all(getattr(had, table) for table in tables)
    acts = [(act, "alpha", 1, [{"method": "web.fetch", "allow": ["b"]}]) for act in (*given_to, "remove")]
    left = _folded(_entries(acts))
    assert not any(getattr(left, table) for table in (*tables, "hands"))
    assert left.versions == had.versions


@given(ACTS, st.sampled_from(METHODS), st.sampled_from(["a/x", "b", "c"]))
def test_nobody_may_more_than_it_asks_for_nor_more_than_it_was_granted(
    acts: list[tuple[str, str, int, Any]], method: str, resource: str
) -> None:
    state = _folded(_entries(acts))
    for hand in state.hands.values():
        if authority(state, hand).allows(method, resource):
            held = state.grants.get(hand.id, ())
            assert any(one.method == method for one in requested(hand.package.manifest))
            assert any(one.method == method and {resource, "a/**"} & set(one.allow) for one in held)


def _install(folder: str, name: str, pinned: str) -> Installed:
    detail: dict[str, object] = {"hand": "h-1", "name": name, "version": "1.0.0", "folder": folder, "seal": pinned}
    entry = Entry(seq=0, prev=NO_PREV, time="", kind="hand.install", principal="operator", detail=detail)
    state = State()
    fold(state, entry, _load)
    return state.hands[name]


def test_a_folder_that_is_not_what_was_installed_offers_and_asks_nothing() -> None:
    pinned = sha256(_package("alpha", "1.0.0").seal.encode()).hexdigest()
    assert _install("alpha-1.0.0", "alpha", pinned).package == _package("alpha", "1.0.0")
    for folder in ("alpha-1.0.1", "beta-1.0.0", "gone"):
        hand = _install(folder, "alpha", pinned)
        assert hand.package.seal == ""
        assert hand.package.manifest.provides == {}
        assert hand.package.manifest.capabilities == ()
        assert (hand.name, hand.id) == ("alpha", "h-1")


def test_a_hand_keeps_its_number_through_upgrades_and_a_namesake_has_another() -> None:
    entries = _entries([(act, "alpha", 0, []) for act in ("install", "install", "remove", "install")])
    first, upgraded, later = (_folded(entries[:count]).hands["alpha"] for count in (1, 2, 4))
    assert (first.id, first.number) == (upgraded.id, upgraded.number)
    assert first.number != later.number
    assert first.id != later.id


def _run_entries(*, has_work: bool) -> list[Entry]:
    """A scheduled run that ended, with the entry of its work or without."""
    said: list[dict[str, Any]] = [
        {
            "kind": "run.start",
            "run": "r-1",
            "call": 4,
            "detail": {"kind": "task", "name": "a", "hand": "h", "fired": "k", "asked": 2},
        },
        {"kind": "call", "call": 4, "method": "run"},
        {"kind": "run.end", "run": "r-1", "verdict": "died"},
    ]
    kept = [one for one in said if has_work or one["kind"] != "call"]
    return [
        Entry(seq=seq, prev=NO_PREV, time="2026-11-21T00:00:00.000000Z", principal="kernel", **one)
        for seq, one in enumerate(kept)
    ]


@pytest.mark.parametrize("has_work", [True, False])
def test_a_run_whose_work_a_crash_took_from_the_log_was_never_begun_for_its_schedule(*, has_work: bool) -> None:
    assert _folded(_run_entries(has_work=has_work)).fired["h"] == ({"k": "r-1"} if has_work else {})


def test_a_firing_whose_run_was_to_begin_anew_when_a_crash_took_that_still_has_the_run_it_had() -> None:
    detail = {"kind": "task", "name": "a", "hand": "h", "fired": "k", "asked": 2, "instead": "r-1"}
    said: list[dict[str, Any]] = [
        {"kind": "run.start", "run": "r-2", "call": 6, "detail": detail},
        {"kind": "run.end", "run": "r-2", "verdict": "died"},
    ]
    more = [
        Entry(seq=seq, prev=NO_PREV, time="2026-11-21T00:00:00.000000Z", principal="kernel", **one)
        for seq, one in enumerate(said, 2)
    ]
    assert _folded(_run_entries(has_work=True)[:2] + more).fired["h"] == {"k": "r-1"}


def test_of_runs_that_have_ended_only_those_are_kept_of_which_somebody_may_ask() -> None:
    """r-1 spawned r-2, which spawned r-3; r-4 is begun instead of r-1, of which whoever began that may ask."""

    def start(run: str, call: int, **more: str) -> dict[str, Any]:
        detail = {"kind": "task", "name": "a", "hand": "h", **more}
        return {"kind": "run.start", "run": run, "call": call, "detail": detail}

    said = [
        start("r-1", 4), start("r-2", 6, spawner="r-1"), start("r-3", 8, spawner="r-2"), start("r-4", 10, instead="r-1"),
        *({"kind": "run.end", "run": run, "verdict": "died"} for run in ("r-2", "r-3", "r-1", "r-4")),
    ]  # fmt: skip
    entries = [
        Entry(seq=seq, prev=NO_PREV, time="2026-11-21T00:00:00.000000Z", principal="kernel", **one)
        for seq, one in enumerate(said)
    ]
    left = [set(_folded(entries[:count]).unfinished) for count in range(4, 9)]
    assert left == [
        {"r-1", "r-2", "r-3", "r-4"},
        {"r-1", "r-2", "r-3", "r-4"},
        {"r-1", "r-2", "r-4"},
        {"r-1", "r-4"},
        set(),
    ]


def test_what_an_unfinished_run_has_asked_and_spent_is_known_to_the_next_kernel() -> None:
    said: list[dict[str, Any]] = [
        {"kind": "run.start", "run": "r-1", "call": 4, "detail": {"kind": "task", "name": "a", "hand": "h"}},
        {"kind": "call", "call": 4, "method": "run", "principal": "operator"},  # its work, which is no call of its own
        {"kind": "call", "call": 6, "run": "r-1", "method": "web.fetch", "principal": "r-1"},
        {"kind": "end", "call": 6, "run": "r-1", "method": "web.fetch", "cost": COST, "verdict": "done"},
        {"kind": "call", "call": 8, "run": "r-1", "method": "web.fetch", "principal": "r-1"},
        {"kind": "call", "call": 10, "run": "r-2", "method": "web.fetch", "principal": "r-2"},
        {"kind": "end", "call": 8, "run": "r-1", "method": "web.fetch", "cost": COST, "verdict": "failed"},
    ]
    entries = [
        Entry(seq=seq, prev=NO_PREV, time="2026-11-21T00:00:00.000000Z", **{"principal": "kernel", **one})
        for seq, one in enumerate(said)
    ]
    one = _folded(entries).unfinished["r-1"]
    assert (one.calls, one.spent) == (2, (14, 6))


def test_a_call_that_only_waited_is_known_as_that_until_its_run_has_another_process() -> None:
    def said(kind: str, **more: Any) -> Entry:
        return Entry(
            seq=0, prev=NO_PREV, time="2026-11-21T00:00:00.000000Z", kind=kind, principal="kernel", run="r-1", **more
        )

    begun = said("run.start", call=2, detail={"kind": "task", "name": "alpha"})
    most = {"most": {"tokens": 7, "micro_dollars": 3}, "payers": [""], "effect": "external"}
    calls = [said("call", call=number, method="web.post", detail=most) for number in (4, 6)]
    left = said("run.left", detail={"waited": [6, 8]})
    state = from_bytes(to_bytes(_folded([begun, *calls, left])))
    assert {number: one.was_begun for number, one in state.open.items()} == {4: True, 6: False}
    assert with_spent(state.open.items(), {}) == state.open
    assert all(one.was_begun for one in with_spent(state.open.items(), {}, is_begun=True).values())
    ends = {one["call"]: (one["verdict"], one.get("cost")) for one in ends_after_crash(state, ())}
    assert ends == {4: ("failed", COST), 6: ("cancelled", None)}
    again = _folded([begun], state)
    assert all(one.was_begun for one in again.open.values())


def _forest(acts: list[tuple[int, int]]) -> Iterator[tuple[Entry, dict[str, tuple[str, bool]]]]:
    """Starts and ends of runs that begin each other, and after each what must be known: whose each was, whether it ended."""
    known: dict[str, tuple[str, bool]] = {}
    for number, (act, which) in enumerate(acts):
        alive = [run for run, (_, has_ended) in known.items() if not has_ended]
        run, verdict = f"r-{number}", "ended"
        detail: dict[str, Any] = {"kind": "task", "name": "alpha"}
        if act == 2 and alive:
            run = alive[which % len(alive)]
            known[run], kind = (known[run][0], True), "run.end"
        else:
            kind, asker = "run.start", alive[which % len(alive)] if act and alive else ""
            known[run] = asker, False
            detail |= {"asked": 2, "asker": asker, "spawner": asker if which % 3 else ""} if asker else {}
        while gone := [one for one, (asker, ended) in known.items() if ended and known.get(asker, ("", True))[1]]:
            for one in gone:
                del known[one]
        yield (
            Entry(
                seq=0, prev=NO_PREV, time=TIME, kind=kind, principal="kernel", run=run, verdict=verdict, detail=detail
            ),
            known,
        )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), max_size=60))
def test_a_run_that_has_ended_is_known_as_long_as_one_that_began_it_may_ask_for_it(acts: list[tuple[int, int]]) -> None:
    state = State()
    for entry, known in _forest(acts):
        fold(state, entry, _load)
        for one in state.unfinished.values():
            one.has_work = True
        assert {run: (one.asker, one.has_ended) for run, one in state.unfinished.items()} == known


def test_of_what_a_run_began_and_has_ended_the_latest_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "ENDED_MOST", 100)
    starts = [(0, 0), *[(1, 0)] * 3, *[(1, 0), (2, 4)] * 300]
    state = State()
    for entry, _ in _forest(starts):
        fold(state, entry, _load)
        for one in state.unfinished.values():
            one.has_work = True
    ended = [run for run, one in state.unfinished.items() if one.has_ended]
    assert ended == [f"r-{4 + 2 * number}" for number in range(200, 300)]
    assert len(state.unfinished) == 104


def test_what_a_run_that_has_ended_began_is_not_kept_with_it() -> None:
    """It asks for none of them any more, while it itself may be asked for, as many others may."""
    state = State()
    for entry, _ in _forest([(0, 0), (1, 0), *[(1, 1), (2, 2)] * 20, (2, 1)]):
        fold(state, entry, _load)
        for one in state.unfinished.values():
            one.has_work = True
    assert {run: (one.has_ended, one.ended) for run, one in state.unfinished.items()} == {
        "r-0": (False, ["r-1"]),
        "r-1": (True, []),
    }
