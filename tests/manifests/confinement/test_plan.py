"""The plan of a run's confinement: a machine with less never gets more, and nothing that holds the home is readable."""

from collections.abc import Iterator
from itertools import chain, combinations
from typing import Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from manifests import schema
from manifests.confinement import layers
from manifests.confinement.allowed import Profile, conditions_of
from manifests.confinement.landlock import CONNECT_TCP, EXECUTE, READ, SHARE, WRITE, WRITE_FILE, Ruleset, ruleset
from manifests.confinement.plan import NAMESPACES, NULL, Machine, Plan, check_outside, plan
from manifests.schema import Manifest
from tests.manifests.texts import manifest as written
from wire.errors import Refusal

HOME: Final = "/srv/home"
SCRATCH, STATE = f"{HOME}/scratch/r-1", f"{HOME}/state/h-1"
NEWEST: Final = 8
SHARED: Final = "/dev/shm"
ROOT: Final = Machine(
    is_root=True, architecture="x86_64", landlock=7, seccomp=True, cgroup="/g", namespaces=("network", "ipc", "mount"),
    readable=(), online=(),
)  # fmt: skip

machines = st.builds(
    Machine,
    is_root=st.booleans(),
    namespaces=st.lists(st.sampled_from(NAMESPACES), unique=True).map(tuple),
    landlock=st.integers(0, NEWEST),
    seccomp=st.booleans(),
    architecture=st.just("x86_64"),
    readable=st.lists(st.sampled_from(("/usr/lib", "/opt/python", "/dev/null")), unique=True).map(tuple),
    online=st.lists(st.sampled_from(("/etc/hosts", "/etc/ssl")), unique=True).map(tuple),
)
networks = st.sampled_from(("none", "host"))
outsides = st.lists(st.sampled_from(("/proc", "/sys", "/etc/hostname")), unique=True).map(tuple)
requires = st.lists(st.sampled_from(layers.NAMES), unique=True).map(tuple)


def _hand(network: str = "none", outside: tuple[str, ...] = (), require: tuple[str, ...] = ()) -> Manifest:
    hand = written()
    asked = replace(hand.confinement, network=network, outside_read=outside, require=require)
    return replace(hand, confinement=asked)


def _with_programs(outside: tuple[str, ...] = ()) -> Manifest:
    hand = _hand(outside=outside)
    return replace(hand, confinement=replace(hand.confinement, programs=True))


def _plan(hand: Manifest, machine: Machine, required: tuple[str, ...] = ()) -> Plan:
    return plan(hand, machine, folders=(SCRATCH, STATE), roots=("root:data",), required=required)


def _subsets(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))


@given(machines, networks, outsides)
def test_each_layer_is_there_or_missing_or_spared_and_never_two_of_them(
    machine: Machine, network: str, outside: tuple[str, ...]
) -> None:
    made = _plan(_hand(network, outside), machine)
    assert not set(made.applied) & set(made.missing)
    spared = set(layers.NAMES) - set(made.applied) - set(made.missing)
    assert spared == ({"network-namespace"} if network == "host" else set()) | (
        {"user-namespace"} if machine.is_root else set()
    )
    assert sorted(made.applied, key=layers.NAMES.index) == list(made.applied)


@given(machines, networks)
def test_what_an_older_landlock_cannot_do_is_lacking_as_a_layer_of_its_own(machine: Machine, network: str) -> None:
    made = _plan(_hand(network), machine)
    handled = made.landlock or Ruleset(files=0, network=0, scoped=0)
    had = {"landlock": handled.files, "landlock-tcp": handled.network, "landlock-scopes": handled.scoped}
    assert {name: name in made.applied for name in had} == {name: mask != 0 for name, mask in had.items()}
    assert {*had} <= {*made.applied, *made.missing}


@given(machines, networks, st.data())
def test_a_machine_with_less_never_gets_more(machine: Machine, network: str, data: st.DataObject) -> None:
    less = replace(
        machine,
        namespaces=data.draw(st.sampled_from(list(_subsets(machine.namespaces)))),
        landlock=data.draw(st.integers(0, machine.landlock)),
        seccomp=machine.seccomp and data.draw(st.booleans()),
    )
    more, fewer = _plan(_hand(network), machine), _plan(_hand(network), less)
    assert set(fewer.applied) <= set(more.applied)
    assert set(fewer.missing) >= set(more.missing)
    assert set(fewer.unshared) <= set(more.unshared)
    assert fewer.rules == more.rules
    assert fewer.profiles == more.profiles
    if fewer.landlock is not None:
        assert more.landlock is not None
        for name in ("files", "network", "scoped"):
            handled, at_most = getattr(fewer.landlock, name), getattr(more.landlock, name)
            assert handled & ~at_most == 0, name


@given(machines, networks, requires, requires)
def test_what_is_required_is_applied_or_the_start_is_refused(
    machine: Machine, network: str, hand: tuple[str, ...], home: tuple[str, ...]
) -> None:
    lacking = {*hand, *home} - set(_plan(_hand(network), machine).applied)
    if not lacking:
        assert {*hand, *home} <= set(_plan(_hand(network, require=hand), machine, home).applied)
        return
    with pytest.raises(Refusal) as refused:
        _plan(_hand(network, require=hand), machine, home)
    assert refused.value.code == "confinement"
    for layer in layers.LAYERS:
        is_spared = layer.name in {
            "network-namespace" if network == "host" else "",
            "user-namespace" if machine.is_root else "",
        }
        assert (f"{layer.name}: " in str(refused.value)) == (layer.name in lacking)
        assert (f"{layer.name}: {layer.mend}" in str(refused.value)) == (layer.name in lacking and not is_spared)


def test_a_layer_that_is_left_out_on_purpose_is_told_with_what_to_write_instead() -> None:
    with pytest.raises(Refusal, match="as root each run has a user-id of its own in its place, so require that"):
        _plan(_hand(require=("user-namespace",)), ROOT)
    with pytest.raises(Refusal, match='it is what network = "host" does without, so leave one of the two out'):
        _plan(_hand("host", require=("network-namespace",)), ROOT)


@given(machines, networks, outsides)
def test_a_rule_names_only_what_was_asked_for_and_nothing_may_be_executed(
    machine: Machine, network: str, outside: tuple[str, ...]
) -> None:
    made = _plan(_hand(network, outside), machine)
    online = machine.online if network == "host" else ()
    allowed = dict.fromkeys((*machine.readable, *online, *outside), READ)
    given: dict[str, int] = {}
    for path, rights in made.rules:
        given[path] = given.get(path, 0) | rights
    own = {SCRATCH: WRITE, STATE: WRITE, "root:data": WRITE}
    assert given == {**allowed, NULL: READ | WRITE_FILE, **own}
    assert not any(rights & EXECUTE for rights in given.values())


@given(machines, st.sampled_from(("/srv", "/", HOME, f"{HOME}/scratch", SCRATCH, STATE)), st.booleans())
def test_nothing_that_holds_a_folder_of_the_run_is_ever_readable(machine: Machine, path: str, ours: bool) -> None:
    """Whether the machine's list names it, or the Hand asks for it."""
    hand = _hand(outside=() if ours else (path,))
    where = replace(machine, readable=(*machine.readable, path)) if ours else machine
    with pytest.raises(Refusal, match="the home"):
        _plan(hand, where)


@given(machines, st.sampled_from((f"{HOME}/keys", f"{HOME}/log/entries", f"{HOME}/scratch/r-2", f"{HOME}/home.toml")))
def test_no_hand_is_given_anything_that_lies_in_the_home(machine: Machine, path: str) -> None:
    with pytest.raises(Refusal, match="lies in the home"):
        _plan(_hand(outside=(path,)), machine)


@given(st.sampled_from(("/proc/self/root", "/srv/link")), st.sampled_from(("/", "/srv", HOME, f"{HOME}/keys")))
def test_where_a_path_leads_to_counts(path: str, real: str) -> None:
    with pytest.raises(Refusal, match=path):
        check_outside(path, real, (SCRATCH,), is_asked=True)


@given(machines, st.sampled_from((f"{HOME}2", "/srv/home-of-others", "/sr")))
def test_what_only_begins_like_the_home_may_be_read(machine: Machine, path: str) -> None:
    assert (path, READ) in _plan(_hand(outside=(path,)), machine).rules


@given(machines)
def test_only_a_hand_with_roots_may_set_attributes_of_files(machine: Machine) -> None:
    hand = _hand()
    made = _plan(replace(hand, confinement=replace(hand.confinement, roots=True)), machine)
    assert made.profiles == {Profile.ROOTS}
    assert "fsetxattr" in conditions_of(made.profiles)
    assert not {"setxattr", "lsetxattr", "fsetxattr"} & conditions_of(_plan(_hand(), machine).profiles).keys()


@given(machines)
def test_only_programs_share_memory_and_only_where_a_mount_of_their_own_hides_that_of_others(machine: Machine) -> None:
    where = replace(machine, shared=SHARED)
    made, without = _plan(_with_programs(), where), _plan(_hand(), where)
    is_own = "mount" in machine.namespaces
    assert made.shared == ((SHARED, _hand().limits.memory // 16) if is_own else None)
    assert [rights for path, rights in made.rules if path == SHARED] == [SHARE] * is_own
    assert without.shared is None
    assert SHARED not in dict(without.rules)


@pytest.mark.parametrize(
    ("there", "outside"),
    [("", ()), (HOME.rpartition("/")[0], ()), (f"{HOME}/scratch", ()), (SHARED, (f"{SHARED}/one",))],
)
def test_no_memory_is_shared_where_it_would_hide_what_the_run_needs(there: str, outside: tuple[str, ...]) -> None:
    """As with a home below /dev/shm."""
    made = _plan(_with_programs(outside), replace(ROOT, shared=there))
    assert made.shared is None
    assert SHARE not in dict(made.rules).values()


@given(machines)
def test_only_a_hand_on_the_network_may_connect_and_none_may_listen(machine: Machine) -> None:
    offline, online = _plan(_hand(), machine), _plan(_hand("host"), machine)
    assert offline.profiles == frozenset()
    assert online.profiles == {Profile.INET}
    assert "network" not in online.unshared
    assert ("network" in offline.unshared) == ("network" in machine.namespaces)
    if machine.landlock >= 4:
        assert offline.landlock is not None
        assert online.landlock is not None
        assert offline.landlock.network == online.landlock.network | CONNECT_TCP
        assert not online.landlock.network & CONNECT_TCP


@given(st.integers(1, NEWEST), st.integers(1, NEWEST), st.booleans())
def test_a_newer_landlock_handles_at_least_as_much(older: int, newer: int, online: bool) -> None:
    assume(older <= newer)
    less, more = ruleset(older, is_online=online), ruleset(newer, is_online=online)
    assert less.files & ~more.files == less.network & ~more.network == less.scoped & ~more.scoped == 0


@given(machines, networks)
def test_a_plan_is_decided_by_its_arguments_alone(machine: Machine, network: str) -> None:
    hand = _hand(network)
    assert _plan(hand, machine) == _plan(schema.decode(schema.encode(hand)), machine)
