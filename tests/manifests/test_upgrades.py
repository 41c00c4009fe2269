"""What becomes of an unfinished run whose code is not what it was begun with, case by case."""

import time

import pytest
from msgspec.structs import replace

from manifests.installed import Installed, Package
from manifests.schema import HandSection, Limits, Manifest, OnUpgrade
from manifests.state import State
from manifests.unfinished import Unfinished
from manifests.upgrades import (
    ENDED,
    check_restart,
    is_asked,
    next_decision,
    on_upgrade_of,
    replaced_code,
    restarted_runs,
    run_begun_by,
    seconds_given,
    successor,
    unneeded_folders,
    version_of,
)
from wire.errors import Refusal
from wire.ids import HandId


def _hand(version: str, on_upgrade: OnUpgrade = "ask") -> Installed:
    section = HandSection(
        name="steady",
        version=version,
        description="x",
        entry="m:C",
        kind="task",
        autonomy="full",
        on_upgrade=on_upgrade,
    )
    package = Package(seal=version, manifest=Manifest(hand=section), digest="")
    folder = f"steady-{version}-0123abcd"
    return Installed(
        id=HandId("h-1"), name="steady", version=version, folder=folder, number=1, seal=version, package=package
    )


def _run(**more: object) -> Unfinished:
    plain = Unfinished(name="steady", hand="h-1", seal="1.0.0", made_of={"runtime": "a", "wire": "b"}, work=4, asked=2)
    return replace(plain, **more)


def _state(runs: dict[str, Unfinished] | None = None, *, now: str = "1.1.0", on_upgrade: OnUpgrade = "ask") -> State:
    before = _hand("1.0.0", on_upgrade)
    installed = before if now == "1.0.0" else _hand(now, "restart")
    kept = {} if now == "1.0.0" else {"1.0.0": before}
    return State(
        hands={"steady": installed}, kept=kept, made_of={"runtime": "a", "wire": "b"}, unfinished=runs or {"r": _run()}
    )


@pytest.mark.parametrize("on_upgrade", ["finish", "restart", "ask"])
def test_the_manifest_that_a_run_was_begun_with_says_what_becomes_of_it(on_upgrade: OnUpgrade) -> None:
    assert on_upgrade_of(_state(on_upgrade=on_upgrade), "r") == on_upgrade
    assert on_upgrade_of(_state(now="1.0.0", on_upgrade=on_upgrade), "r") == "finish"
    assert on_upgrade_of(_state(), "r-unknown") == "finish"


@pytest.mark.parametrize("decided", ["finish", "restart"])
def test_what_the_operator_decided_holds_also_at_the_next_upgrade(decided: str) -> None:
    state = _state({"r": _run(decided=decided)})
    assert on_upgrade_of(state, "r") == decided
    state.hands["steady"] = _hand("1.2.0")
    assert on_upgrade_of(state, "r") == decided
    assert not is_asked(state, "r")


def test_other_code_of_maniples_own_is_an_upgrade_too_and_each_is_named() -> None:
    state = _state(now="1.0.0")
    state.made_of = {"runtime": "c", "wire": "b"}
    assert (on_upgrade_of(state, "r"), replaced_code(state, "r")) == ("ask", ("another runtime",))
    state = _state({"r": _run(decided="asked", made_of={"runtime": "c", "wire": "d"})})
    assert replaced_code(state, "r") == ("steady 1.0.0 was replaced by 1.1.0", "another runtime", "another wire")
    assert is_asked(state, "r")


def test_a_version_is_found_where_it_is_installed_or_kept_and_only_for_its_own_hand() -> None:
    state = _state()
    assert [getattr(version_of(state, "h-1", seal), "version", "") for seal in ("1.0.0", "1.1.0", "2.0.0")] == [
        "1.0.0", "1.1.0", "",
    ]  # fmt: skip
    assert version_of(state, "h-2", "1.0.0") is None


def test_whoever_asks_for_a_run_finds_the_one_that_goes_on_instead_of_it() -> None:
    runs = {
        "r-2": _run(instead="r-1", asked=2),
        "r-3": _run(instead="r-2", asked=2),
        "r-1": _run(has_ended=True, asked=2),
    }
    state = _state(runs)
    assert [successor(state, run) for run in ("r-1", "r-2", "r-3", "r-4")] == ["r-3", "r-3", "r-3", "r-4"]
    assert (run_begun_by(state, 2), run_begun_by(state, 6), run_begun_by(state, 0)) == ("r-3", "", "")


def test_a_run_was_begun_anew_only_if_the_others_work_is_in_the_log() -> None:
    state = _state({"r-1": _run(), "r-2": _run(instead="r-1", work=8)})
    assert restarted_runs(state) == {}
    state.unfinished["r-2"].has_ended = True
    assert restarted_runs(state) == {"r-1": "upgraded: it was begun anew as r-2"}


def test_a_start_looks_at_each_run_that_it_knows_once() -> None:
    runs = {f"r-{number}": _run(has_ended=True) for number in range(100_000)}
    began = time.process_time()
    assert restarted_runs(_state(runs)) == {}
    assert time.process_time() - began < 5


def test_no_folder_is_taken_away_that_is_needed_or_that_maniple_did_not_name() -> None:
    state, used = _state(), "used-1.0.0-0123abcd"
    folders = [one.folder for one in (*state.hands.values(), *state.kept.values())]
    gone = "steady-0.9.0-89abcdef"
    assert unneeded_folders([*folders, used, gone, "mine", "mine-0123ABCD"], state, [used]) == [gone]


def test_nothing_begins_anew_with_what_is_no_task_any_more_or_was_removed() -> None:
    hand = _hand("1.1.0")
    assert check_restart(hand, "steady") is hand
    section = replace(hand.package.manifest.hand, kind="service")
    service = replace(hand, package=replace(hand.package, manifest=Manifest(hand=section)))
    for one in (service, None):
        with pytest.raises(Refusal, match="not a task Hand any more"):
            check_restart(one, "steady")


def test_a_run_that_was_given_less_time_than_its_hand_has_gets_as_much_again() -> None:
    manifest = replace(_hand("1.0.0").package.manifest, limits=Limits(wall_ms=600_000))
    assert (seconds_given(599_999, manifest), seconds_given(5_000, manifest)) == (None, 5.0)


def test_the_operator_is_asked_where_no_other_run_begins_unless_that_passes_or_nobody_is_left_to_hear_its_end() -> None:
    state, cannot = _state(), Refusal("requires", "a program is missing")
    assert next_decision(state, "r", "restart", cannot) == ("asked", "a program is missing")
    assert next_decision(state, "r", "restart", None) == ("", "")
    assert next_decision(state, "r", "ask", None) == ("asked", "steady 1.0.0 was replaced by 1.1.0")
    state = _state({"r": _run(decided="asked")})
    assert next_decision(state, "r", "restart", cannot) == next_decision(state, "r", "ask", None) == ("", "")
    assert next_decision(state, "r", "finish", None) == ("finish", "what it was begun with is there again")
    assert next_decision(state, "r-unknown", "finish", None) == ("", "")
    for code in ("paused", "frozen", ENDED):
        with pytest.raises(Refusal, match=code):
            next_decision(state, "r", "restart", Refusal(code, code))
