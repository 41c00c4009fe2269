"""When a Hand is started again, when it is given up, and in what order Hands stop."""

import errno
import os

import pytest
from msgspec import Struct
from msgspec.structs import replace

from manifests.installed import Installed, Package
from manifests.lives import (
    BACKOFF_FIRST,
    BACKOFF_MOST,
    LIFE,
    NOTED_CPU,
    NOTED_WALL,
    TEMPLATES_MOST,
    after_death,
    after_template,
    backoff,
    check_requires,
    cpu_exceeded,
    cpu_exceeded_by_all,
    cpu_used_up,
    explain_start_error,
    first_to_stop,
    has_fixed_order,
    is_temporary,
    is_worth_noting,
    limit_exceeded,
    memory_exceeded,
    shown_state,
    start_refusal,
    step,
)
from manifests.schema import Confinement, HandSection, Limits, Manifest, Requires, Restart, RunKind
from manifests.state import State
from runtime.programs import environment
from wire.errors import NotNow, Refusal
from wire.ids import HandId
from wire.tape import Spent

RESTART = Restart(when="failure", times=3, within_ms=60_000)


def _lives_through(restart: Restart, moments: list[float], *, clean: bool = False) -> list[str]:
    deaths: tuple[float, ...] = ()
    verdicts = []
    for moment in moments:
        verdict, deaths = after_death(restart, deaths, moment, clean=clean)
        verdicts.append(verdict)
    return verdicts


def test_more_deaths_than_are_allowed_within_the_time_give_it_up() -> None:
    assert _lives_through(RESTART, [0, 1, 2, 3]) == ["start", "start", "start", "give_up"]


def test_deaths_further_apart_than_the_time_never_do() -> None:
    assert set(_lives_through(RESTART, [number * 60.1 for number in range(1000)])) == {"start"}


@pytest.mark.parametrize("times", [0, 1, 64, 1000])
def test_the_limit_holds_however_high_it_is(times: int) -> None:
    restart = Restart(when="failure", times=times, within_ms=3_600_000)
    assert _lives_through(restart, list(range(times + 1))) == ["start"] * times + ["give_up"]


def test_a_hand_that_was_given_up_and_started_again_has_all_its_restarts_again() -> None:
    verdicts = _lives_through(RESTART, list(range(8)))
    assert verdicts == ["start", "start", "start", "give_up"] * 2


def test_one_that_ends_cleanly_again_and_again_is_given_up_too_where_that_starts_it_again() -> None:
    always = Restart(when="always", times=3, within_ms=60_000)
    assert _lives_through(always, [0, 1, 2, 3], clean=True) == ["start", "start", "start", "give_up"]
    assert _lives_through(RESTART, [0, 1, 2, 3], clean=True) == ["done"] * 4
    assert _lives_through(Restart(when="never", times=3, within_ms=60_000), [0]) == ["done"]


def test_each_death_doubles_the_wait_until_it_has_held_out_for_the_time() -> None:
    deaths: tuple[float, ...] = ()
    waits = []
    for moment in (0, 1, 2, 100):
        _, deaths = after_death(RESTART, deaths, moment, clean=False)
        waits.append(backoff(len(deaths), 0))
    assert waits == [BACKOFF_FIRST, 2 * BACKOFF_FIRST, 4 * BACKOFF_FIRST, BACKOFF_FIRST]


def test_the_wait_has_a_bound_and_chance_adds_at_most_a_fifth() -> None:
    assert backoff(1000, 0) == BACKOFF_MOST
    assert backoff(1000, 1) == pytest.approx(BACKOFF_MOST * 1.2)
    assert backoff(0, 0) == BACKOFF_FIRST
    assert (BACKOFF_FIRST, BACKOFF_MOST) == (0.1, 30.0)  # as docs/life-of-a-hand.md says


def test_those_that_nobody_needs_stop_first_and_a_ring_stops_together() -> None:
    assert first_to_stop({"above": ("middle", "below"), "middle": ("below",), "below": ()}) == {"above"}
    assert first_to_stop({"one": ("other",), "other": ("one",)}) == {"one", "other"}
    assert first_to_stop({"selfish": ("selfish",)}) == {"selfish"}
    assert first_to_stop({}) == set()


def test_an_event_that_a_state_does_not_list_is_an_error() -> None:
    states = {state for state, _ in LIFE} | set(LIFE.values())
    for state in states:
        for event in ("start", "ready", "stop", "died", "give_up", "done"):
            if (state, event) in LIFE:
                assert step(state, event) == LIFE[state, event]
            else:
                with pytest.raises(NotNow):
                    step(state, event)


def _installed(kind: RunKind = "service") -> Installed:
    section = HandSection(name="one", version="1.0.0", description="x", entry="m:C", kind=kind, autonomy="full")
    package = Package(seal="", manifest=Manifest(hand=section), digest="")
    return Installed(id=HandId("h-1"), name="one", version="1.0.0", folder="one", number=1, seal="", package=package)


def test_what_people_see_is_what_the_operator_wanted_first_and_what_is_so_then() -> None:
    def seen(hand: Installed, state: State, *, working: bool = False, ending: bool = False) -> str:
        return shown_state(state, hand, "ready", is_working=working, is_ending=ending)

    service, task = _installed(), _installed("task")
    assert seen(service, State()) == "ready"
    assert seen(service, State(quarantined={"h-1": "it died"})) == "quarantined"
    assert seen(service, State(quarantined={"h-1": "it died"}, paused={"h-1"})) == "paused"
    assert seen(task, State()) == "idle"
    assert seen(task, State(), working=True) == "working"
    assert seen(task, State(), working=True, ending=True) == "stopping"


def test_what_is_wanted_comes_up_unless_it_is_held_back() -> None:
    hand = _installed()
    wanted = State(hands={"one": hand}, wanted={"h-1"})
    assert wanted.to_be_up() == [hand]
    for held in ({"frozen": True}, {"paused": {"h-1"}}, {"quarantined": {"h-1": "it died"}}, {"wanted": set[str]()}):
        assert replace(wanted, **held).to_be_up() == []
    assert State(hands={"one": _installed("task")}, wanted={"h-1"}).to_be_up() == []


def test_a_hand_whose_machine_lacks_something_is_told_what() -> None:
    requires = Requires(binaries=("git",), env=("TOKEN",))
    check_requires("one", requires, lambda path: path == "/usr/bin/git", {"TOKEN": "x"})
    with pytest.raises(Refusal, match="requires the program git"):
        check_requires("one", requires, lambda _: False, {"TOKEN": "x"})
    with pytest.raises(Refusal, match=r"requires \$TOKEN"):
        check_requires("one", requires, lambda _: True, {})


def test_a_program_that_a_hand_requires_is_looked_for_where_runs_find_theirs() -> None:
    asked: list[str] = []

    def may_execute(path: str) -> bool:
        asked.append(path)
        return False

    with pytest.raises(Refusal, match=r"install it in one of /usr/local/bin, .*, /sbin"):
        check_requires("one", Requires(binaries=("git",)), may_execute, {})
    assert asked == [f"{folder}/git" for folder in environment("", has_proxy=False)["PATH"].split(":")]


def test_a_death_with_the_template_does_not_count() -> None:
    never = Restart(when="never", times=3, within_ms=60_000)
    assert after_death(RESTART, (1.0, 2.0, 3.0), 4.0, clean=False, is_lost=True) == ("start", (1.0, 2.0, 3.0))
    assert after_death(never, (), 4.0, clean=False, is_lost=True)[0] == "done"


class _Waiting(Struct):
    """A run by the number of records on its tape."""

    count: int


def test_templates_that_bring_nothing_up_are_tried_ever_more_slowly_and_then_no_more() -> None:
    waits = [after_template(deaths, 0.0, [_Waiting(0), _Waiting(1)]) for deaths in range(1, TEMPLATES_MOST + 1)]
    assert [wait for wait, _ in waits[:-1]] == [BACKOFF_FIRST * 2**number for number in range(TEMPLATES_MOST - 1)]
    assert [bool(why) for _, why in waits] == [False] * (TEMPLATES_MOST - 1) + [True]
    assert after_template(100, 0.0, [_Waiting(2)]) == (BACKOFF_MOST, "")  # it has work to lose


def test_what_a_start_misses_is_told_with_what_brings_it_back() -> None:
    told = {path: explain_start_error(FileNotFoundError(2, "No such file", path), "/srv/maniple") for path in (
        "/srv/maniple/hands/echo-1", "/srv/maniple/compiled/a", "/srv/maniple/output/echo.log",
    )}  # fmt: skip
    assert [text.split("`")[1] for text in told.values()] == [
        "maniple install DIR", "maniple install DIR", "maniple down",
    ]  # fmt: skip
    assert all(text.startswith(f"{path} is not there any more") for path, text in told.items())
    assert explain_start_error(FileNotFoundError(2, "No such file"), "/srv/maniple") == "[Errno 2] No such file"


def test_what_stands_where_a_hand_should_print_is_told_and_to_be_moved_away() -> None:
    path = "/srv/maniple/output/echo.log"
    told = {number: explain_start_error(OSError(number, "odd", path), "/srv/maniple") for number in (
        errno.EISDIR, errno.ENXIO, errno.ELOOP,
    )}  # fmt: skip
    assert ["is a folder" in text for text in told.values()] == [True, False, False]
    assert all(text.startswith(path) and "move it away" in text for text in told.values())
    elsewhere = OSError(errno.ELOOP, "odd", "/srv/maniple/hands/echo-1")
    assert "prints" not in explain_start_error(elsewhere, "/srv/maniple")


def test_a_root_that_may_not_take_the_ids_of_runs_is_led_to_the_doctor() -> None:
    told = explain_start_error(OSError(errno.EINVAL, "Invalid argument", "/srv/maniple/scratch/r-1"), "/srv/maniple")
    assert told == "its run cannot have a user id of its own here: `maniple doctor` tells more"
    full = OSError(errno.ENOSPC, "No space left on device", "/srv/maniple/scratch/r-1")
    assert "doctor" not in explain_start_error(full, "/srv/maniple")


@pytest.mark.parametrize(("number", "mend"), [
    (errno.ENOSPC, "make room on its disk"), (errno.EDQUOT, "make room on its disk"), (errno.EACCES, "mend that"),
    (errno.EMFILE, "mend that"), (errno.EFBIG, "start the kernel under a higher `ulimit -f`, which bounds each file"),
])  # fmt: skip
def test_what_a_start_did_not_get_is_told_in_words_with_what_to_do(number: int, mend: str) -> None:
    told = explain_start_error(OSError(number, os.strerror(number), "/srv/maniple/scratch/r-1"), "/srv/maniple")
    assert told.startswith(f"/srv/maniple/scratch/r-1: {os.strerror(number).lower()}; ")
    assert told.endswith(f"{mend}, then type the same again")


def _limited(kind: RunKind, **limits: int) -> Manifest:
    manifest = _installed(kind).package.manifest
    return replace(manifest, limits=replace(manifest.limits, **limits))


def test_a_run_may_use_its_processor_time_and_a_service_has_it_for_each_call() -> None:
    task = _limited("task", cpu_ms=1_500)
    assert cpu_exceeded(task, 1_499_999) == ""
    assert cpu_exceeded(task, 1_500_000) == "it used more than its 1.5 s of processor time"
    assert cpu_exceeded(_limited("service", cpu_ms=1_500), 10**12) == ""


def test_a_run_that_linux_killed_near_its_limit_of_processor_time_was_killed_for_it() -> None:
    task = _limited("task", cpu_ms=30_000)
    assert cpu_used_up(task, 29_980_082) == cpu_exceeded(task, 30_000_000)
    assert cpu_used_up(task, 28_000_000) == ""


def test_a_run_is_ended_when_the_last_second_of_one_process_alone_has_passed() -> None:
    task = _limited("task", cpu_ms=1_500)
    assert cpu_exceeded_by_all(task, 2_499_999) == ""
    assert cpu_exceeded_by_all(task, 2_500_000) == cpu_exceeded(task, 1_500_000)


@pytest.mark.parametrize(
    ("wall", "step"), [(1_000, NOTED_WALL), (NOTED_WALL * 100, NOTED_WALL), (NOTED_WALL * 300, NOTED_WALL * 3)]
)
def test_the_time_that_a_run_had_is_put_down_a_hundred_times_or_each_ten_seconds(wall: int, step: int) -> None:
    before, task = Spent(wall=500, cpu=0), _limited("task")
    assert not is_worth_noting(before, Spent(wall=500 + step - 1, cpu=0), wall, task)
    assert is_worth_noting(before, Spent(wall=500 + step, cpu=0), wall, task)


@pytest.mark.parametrize(
    ("cpu_ms", "step"), [(1_000, NOTED_CPU), (NOTED_CPU // 10, NOTED_CPU), (NOTED_CPU * 3 // 10, NOTED_CPU * 3)]
)
def test_so_is_its_processor_time_or_each_second_of_it(cpu_ms: int, step: int) -> None:
    before, task = Spent(wall=0, cpu=500), _limited("task", cpu_ms=cpu_ms)
    assert not is_worth_noting(before, Spent(wall=0, cpu=500 + step - 1), 1_000, task)
    assert is_worth_noting(before, Spent(wall=0, cpu=500 + step), 1_000, task)


def test_a_run_that_says_why_it_cannot_start_is_told_with_what_to_do_and_one_that_died_may_try_again() -> None:
    for why, code, mend in (
        ("altered: main.py\u202e was changed", "seal", "`maniple install DIR`"),
        ("confinement: no landlock", "confinement", "`maniple doctor`"),
    ):
        refusal = start_refusal("clock", why)
        assert refusal is not None
        assert (refusal.code, mend in refusal.why) == (code, True)
        assert refusal.why.isprintable()
    for why in ("", "died", "layer: seccomp", "alteredness: x"):
        assert start_refusal("clock", why) is None


def test_only_what_is_python_and_alone_asks_in_the_same_order_again() -> None:
    plain = Manifest(hand=replace(_installed("task").package.manifest.hand))
    assert has_fixed_order(plain)
    for other in (
        replace(plain, hand=replace(plain.hand, command=("node",))), replace(plain, hand=replace(plain.hand, wasm="a.wat")),
        replace(plain, confinement=Confinement(programs=True)),
    ):  # fmt: skip
        assert not has_fixed_order(other)


def test_what_passes_by_itself_is_no_reason_to_give_a_start_up() -> None:
    assert [is_temporary(code) for code in ("paused", "frozen", "template", "seal", "requires", "")] == [True] * 3 + [
        False
    ] * 3
    assert [is_temporary("template", count) for count in (0, 1, 2)] == [False, False, True]
    assert is_temporary("paused", 1)


def test_a_run_is_told_which_of_its_limits_ended_it() -> None:
    manifest = Manifest(hand=_installed("task").package.manifest.hand, limits=Limits(memory=64 << 20, disk=4 << 20))
    assert memory_exceeded(manifest) == "it used more than its 64MiB of memory"
    assert limit_exceeded("disk", manifest) == "its files and its tape took more than its 4MiB of disk"
    service = replace(manifest, hand=replace(manifest.hand, kind="service"))
    assert limit_exceeded("disk", service) == "its files took more than its 4MiB of disk", "it has no tape"
    assert limit_exceeded("memory", manifest) == memory_exceeded(manifest)
    assert limit_exceeded("locks", manifest) == "it held more than 1,000 locks on parts of files"


@pytest.mark.parametrize("times", [1, 5, 20, 200])
def test_one_that_dies_at_each_start_is_given_up_however_many_times_it_may(times: int) -> None:
    restart = Restart(when="failure", times=times, within_ms=60_000)
    now, deaths = 0.0, tuple[float, ...]()
    for _ in range(times):
        verdict, deaths = after_death(restart, deaths, now, clean=False)
        assert verdict == "start"
        now += backoff(len(deaths), 1, restart)
    assert after_death(restart, deaths, now, clean=False)[0] == "give_up"
