"""What is not granted is refused, with the grant that would allow it, and logged; what is, arrives in normal form."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.cli.client import Client
from manifests.grants import HAND_KERNEL_METHODS
from manifests.schema import Capability
from tests.disguises import DISGUISES, Disguise
from tests.living import Kernel, install, make_home
from tests.system.actors import KINDS, Told, actor, ask, cast, done, not_done, refused
from tests.system.fates import entries, until
from wire.codec import Value
from wire.entries import Entry

TOGETHER: Final = 16
"""Disguises that one run tries: as many refusals of one reason are logged each by itself within a second."""

_EVERYTHING: Final = '"kernel.*" = ["*"]\n"open.*" = ["*"]'


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("capabilities") / "home")) as kernel:
        methods = "\n".join(f'"open.at-{kind}" = ["*"]' for kind in KINDS[1:])
        cast(kernel, [actor("open"), actor("closed"), actor("idle", kind="task")])
        install(kernel, actor("asks", methods + '\n"open.do" = ["*"]', kind="task"), [])
        cast(kernel, [actor("greedy", _EVERYTHING), actor("bare")])
        yield kernel


@pytest.fixture(scope="module")
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def _asked(client: Client, steps: list[dict[str, object]]) -> tuple[str, list[Told]]:
    """A fresh run of `asks` does the steps: its id, and what became of each."""
    run = client.call("kernel.start", "asks", {"inputs": {"steps": steps}, "wait": True}).value
    assert isinstance(run, dict)
    assert run["outcome"] == "done", run
    value: dict[str, list[Told]] = run["value"]  # type: ignore[assignment]
    return str(run["run"]), value["told"]


def _step(one: Disguise) -> dict[str, object]:
    return {"call": "open.do" if one.kind == "none" else f"open.at-{one.kind}", "on": one.written}


def _refusals(kernel: Kernel, run: str) -> list[Entry]:
    return [entry for entry in entries(kernel.home, "refusal") if entry.run == run]


def _refusals_of(kernel: Kernel, hand: str) -> list[Entry]:
    return [entry for entry in entries(kernel.home, "refusal") if entry.why.startswith(f"{hand} ")]


_GROUPS: Final = sorted({(one.kind, one.granted) for one in DISGUISES})


@pytest.mark.parametrize(("kind", "granted"), _GROUPS)
def test_no_disguise_gets_past_the_kernel(kernel: Kernel, client: Client, kind: str, granted: str) -> None:
    sendable = [one for one in DISGUISES if (one.kind, one.granted) == (kind, granted) and _can_travel(one.written)]
    method = str(_step(sendable[0])["call"])
    grant: dict[str, Value] = {"capabilities": [{"method": method, "allow": [granted]}]}
    client.call("kernel.grant", "asks", grant)
    try:
        for first in range(0, len(sendable), TOGETHER):
            part = sendable[first : first + TOGETHER]
            run, told = _asked(client, [_step(one) for one in part])
            for one, became in zip(part, told, strict=True):
                _is_as_expected(one, became)
            assert [entry.detail["code"] for entry in _refusals(kernel, run)] == [
                became["code"] for became in told if became["end"] == "refused"
            ]
    finally:
        client.call("kernel.revoke", "asks", {"method": method})


def _can_travel(text: str) -> bool:
    """Beyond 1 KiB or without UTF-8 there is no header that could hold it: such a peer is ended, which others test."""
    return len(text) <= 1024 and not any("\ud800" <= char <= "\udfff" for char in text)


def _is_as_expected(one: Disguise, became: Told) -> None:
    if one.covered:
        delivered = done(became)["value"]["resource"]
        assert re.sub("^own/h-[0-9a-z]{16}/", "", delivered) == one.becomes, one
    elif one.becomes:
        assert f"no grant for {_step(one)['call']}" in refused(became, "capability")["why"], one
        if not one.becomes.startswith("own/"):  # which no grant gives
            assert became["grant"].startswith(f'"{_step(one)["call"]}" = ["'), one
        assert f'["{one.granted}"]' not in became["grant"], one
    else:
        assert one.why in refused(became, "resource")["why"], (one, became["why"])


def test_the_grant_that_a_refusal_names_allows_exactly_that_call(client: Client) -> None:
    method = "open.at-path"
    _, (before,) = _asked(client, [{"call": method, "on": "reports/a.csv"}])
    row = refused(before, "capability")["grant"]
    name, _, allow = row.partition(" = ")
    pattern = allow.strip('["]')
    client.call("kernel.grant", "asks", {"capabilities": [{"method": name.strip('"'), "allow": [pattern]}]})
    try:
        _, (now, other) = _asked(
            client, [{"call": method, "on": "reports/a.csv"}, {"call": method, "on": "reports/b.csv"}]
        )
    finally:
        client.call("kernel.revoke", "asks", {"method": method})
    done(now)
    refused(other, "capability")


def test_a_method_that_is_not_granted_is_refused_and_logged_with_the_grant_it_lacks(
    kernel: Kernel, client: Client
) -> None:
    (became,) = ask(client, "bare.do", [{"call": "open.at-url", "on": "https://example.org/a?token=secret"}])
    assert refused(became, "capability")["grant"] == '"open.at-url" = ["https://example.org/**"]'
    logged = until(lambda: _refusals_of(kernel, "bare"), "the refusal is logged")[-1]
    assert (logged.method, logged.resource, logged.verdict) == ("open.at-url", "https://example.org/a?…", "refused")
    assert 'a grant that would allow it: "open.at-url" = ["https://example.org/**"]' in logged.why
    assert "secret" not in logged.why + logged.resource


def test_taking_a_grant_back_holds_for_a_live_run_from_its_next_call_on(kernel: Kernel, client: Client) -> None:
    install(kernel, actor("waverer", '"open.do" = ["*"]'))
    calls = [{"call": "open.do"}]
    done(ask(client, "waverer.do", calls)[0])
    client.call("kernel.revoke", "waverer", {"method": "open.do"})
    refused(ask(client, "waverer.do", calls)[0], "capability")
    client.call("kernel.grant", "waverer", {"capabilities": [{"method": "open.do", "allow": ["*"]}]})
    done(ask(client, "waverer.do", calls)[0])


def test_nothing_beyond_the_sealed_manifest_can_be_granted(kernel: Kernel, client: Client) -> None:
    for wide in ({"method": "open.do", "allow": ["*"]}, {"method": "kernel.*", "allow": ["*"]}):
        assert not_done(client, "kernel.grant", "bare", {"capabilities": [wide]}).reason == "capability"
    own = {"method": "open.at-url", "allow": ["*"], "own": True}
    assert not_done(client, "kernel.grant", "asks", {"capabilities": [own]}).reason == "capability"


# the operator's methods ----------------------------------------------------------------------------------------------


def _kernel_methods(client: Client) -> set[str]:
    value = client.call("kernel.describe", "", {"hand": "kernel"}).value
    assert isinstance(value, dict)
    return {str(one["method"]) for one in value["methods"]}  # type: ignore[index,call-overload,union-attr]


def test_the_operators_methods_are_out_of_reach_with_any_grant(kernel: Kernel, client: Client) -> None:
    theirs = sorted(_kernel_methods(client) - HAND_KERNEL_METHODS)
    assert {"kernel.install", "kernel.grant", "kernel.freeze", "kernel.thaw", "kernel.down", "kernel.key-add"} <= {
        *theirs
    }
    before = client.call("kernel.home").value
    asked: list[dict[str, object]] = []
    for method in theirs:
        asked += [{"call": method}, {"call": method, "on": "greedy"}, {"call": method, "on": "greedy", "parent": 0}]
    for became in ask(client, "greedy.do", asked):
        assert became["grant"] == "", became
        if became["code"] != "resource":
            assert "no grant gives it to a Hand" in refused(became, "capability")["why"]
    assert client.call("kernel.home").value == before


@pytest.mark.parametrize(
    "spelling",
    ["Kernel.install", "KERNEL.INSTALL", "kernel..install", "kernel.install.", ".kernel.install", " kernel.install",
     "kernel.install ", "kernel.*", "kernel.INSTALL", "kernel\u200b.install", "ker\u043del.install",
     "kernel.install\x00", "kernel/install", "kernel:install", "kernel.install\n", "*", "", "run", "kernel"],
)  # fmt: skip
def test_no_spelling_reaches_a_method_of_the_kernels(client: Client, spelling: str) -> None:
    (became,) = ask(client, "greedy.do", [{"call": spelling, "on": ""}])
    refused(became, "no provider")


def test_a_wildcard_of_the_kernels_is_expanded_to_what_a_hand_may_hold(client: Client) -> None:
    home = client.call("kernel.home").value
    assert isinstance(home, dict)
    rows: list[dict[str, str]] = home["grants"]["greedy"]  # type: ignore[index,call-overload,assignment]
    assert {one["method"] for one in rows if one["method"].startswith("kernel.")} == HAND_KERNEL_METHODS


@pytest.mark.parametrize("name", ["kernel", "operator", "maniple", "own", "scratch", "state"])
def test_no_hand_can_take_a_name_that_means_something_else(kernel: Kernel, name: str, tmp_path: Path) -> None:
    from manifests.errors import ManifestInvalid

    with pytest.raises(ManifestInvalid):
        install(kernel, actor(name))


# a child never gets more than its parent -----------------------------------------------------------------------------

_METHODS: Final = ("open.do", "open.write", "open.at-path", "closed.do", "closed.at-path", "kernel.note")
_PATTERNS: Final = ("*", "reports/**", "reports/*.csv", "reports/a.csv", "secret/**")
_RESOURCES: Final = ("reports/a.csv", "reports/deep/b.csv", "secret/key", "reports")
GRANTS = st.lists(
    st.builds(
        lambda method, allow: Capability(method=method, allow=tuple(allow) if "path" in method else ("*",)),
        st.sampled_from([method for method in _METHODS if method != "kernel.note"]),
        st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=2, unique=True),
    ),
    max_size=5,
)  # fmt: skip
_ASKS: Final = "\n".join(f'"{method}" = ["*"]' for method in _METHODS) + '\n"kernel.spawn" = ["*"]'
_SPAWN: Final = Capability(method="kernel.spawn", allow=("*",))
_FAMILY: Final = ("elder", "parent", "child")


@pytest.fixture(scope="module")
def family(kernel: Kernel) -> None:
    for name in _FAMILY:
        install(kernel, actor(name, _ASKS, kind="task"), [])


def _tries() -> list[dict[str, object]]:
    plain: list[dict[str, object]] = [{"call": method} for method in _METHODS if method.endswith((".do", ".write"))]
    return plain + [{"call": method, "on": on} for method in _METHODS if "path" in method for on in _RESOURCES]


def _regrant(client: Client, hand: str, grants: list[Capability]) -> None:
    home = client.call("kernel.home").value
    assert isinstance(home, dict)
    for method in {row["method"] for row in home["grants"][hand]}:  # type: ignore[index,call-overload,union-attr]
        client.call("kernel.revoke", hand, {"method": method})
    rows = [{"method": one.method, "allow": list(one.allow)} for one in (*grants, _SPAWN)]
    client.call("kernel.grant", hand, {"capabilities": rows})


def _spawning(*names: str, detached: bool) -> dict[str, object]:
    """Inputs of a run that spawns the first, which spawns the next…, the last of which tries everything."""
    steps: list[dict[str, object]] = _tries()
    for name in reversed(names):
        more = {"inputs": {"steps": steps}, "wait": True, "detached": detached}
        steps = [{"call": "kernel.spawn", "on": name, "with": more}]
    return {"steps": steps}


def _allowed(told: list[Told]) -> set[int]:
    return {number for number, became in enumerate(told) if became["end"] == "done"}


@settings(max_examples=8)
@given(st.tuples(GRANTS, GRANTS, GRANTS), st.booleans())
def test_a_spawned_run_gets_at_most_what_every_run_above_it_has(
    kernel: Kernel, client: Client, family: None, grants: tuple[list[Capability], ...], detached: bool
) -> None:
    alone: list[set[int]] = []
    for name, granted in zip(_FAMILY, grants, strict=True):
        _regrant(client, name, granted)
        run = client.call("kernel.start", name, {"inputs": {"steps": _tries()}, "wait": True}).value
        alone.append(_allowed(run["value"]["told"]))  # type: ignore[index,call-overload,arg-type]
    inputs = _spawning("parent", "child", detached=detached)
    run = client.call("kernel.start", "elder", {"inputs": inputs, "wait": True}).value
    told = run["value"]["told"]  # type: ignore[index,call-overload]
    for _ in ("parent", "child"):
        told = told[0]["value"]["value"]["told"]  # type: ignore[index,call-overload]
    assert _allowed(told) == alone[0] & alone[1] & alone[2]  # type: ignore[arg-type]
