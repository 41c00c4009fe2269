"""Grants: an empty list gives nothing, narrowing only narrows, and no wildcard reaches the operator's methods."""

import itertools
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import grants
from manifests.grants import NOTHING, GrantSet, exceeding, missing_grant, narrow
from manifests.schema import Capability, Events
from tests.manifests.test_capabilities import HOSTILE, PATTERNS, RESOURCES
from tests.manifests.texts import cap, manifest

METHODS = st.sampled_from(
    ["web.fetch", "web.connect", "files.read", "memory.graph.find", "kernel.spawn", "kernel.freeze"]
)
METHOD_PATTERNS = METHODS | st.sampled_from(["web.*", "files.*", "memory.*", "memory.graph.*", "kernel.*", "*"])
CAPABILITIES = st.builds(
    Capability,
    method=METHOD_PATTERNS,
    allow=st.lists(PATTERNS, max_size=2).map(tuple),
    own=st.booleans(),
    lent=st.booleans(),
)
SETS = st.lists(CAPABILITIES, max_size=3).map(GrantSet.of) | st.just(NOTHING)


@given(METHOD_PATTERNS, METHODS, RESOURCES | HOSTILE)
def test_an_empty_list_covers_nothing(pattern: str, method: str, resource: str) -> None:
    assert not grants.covers(cap(pattern), method, resource)
    assert not GrantSet.of([]).allows(method, resource)
    assert not NOTHING.allows(method, resource)
    assert not narrow().allows(method, resource)


@given(CAPABILITIES, HOSTILE, HOSTILE)
def test_any_texts_are_answered(capability: Capability, method: str, resource: str) -> None:
    one = GrantSet.of([capability])
    assert one.allows(method, resource) is grants.covers(capability, method, resource) is one.allows(method, resource)
    missing_grant(one, method, resource)
    grants.expand(method, [resource, method])
    grants.covers(Capability(method=method, allow=(resource,)), method, resource)


@given(CAPABILITIES, CAPABILITIES, METHODS, RESOURCES)
def test_what_a_capability_includes_it_covers(wide: Capability, slim: Capability, method: str, resource: str) -> None:
    if grants.includes(wide, slim) and grants.covers(slim, method, resource):
        assert grants.covers(wide, method, resource)
        assert wide.own or not slim.own
        assert slim.lent or not wide.lent


@given(CAPABILITIES)
def test_a_capability_includes_itself(capability: Capability) -> None:
    assert grants.includes(capability, capability)
    assert exceeding([capability], GrantSet.of([capability])) == ()


@given(CAPABILITIES, CAPABILITIES, CAPABILITIES)
def test_including_is_transitive(wide: Capability, middle: Capability, slim: Capability) -> None:
    if middle.allow and grants.includes(wide, middle) and grants.includes(middle, slim):
        assert grants.includes(wide, slim)


@given(st.lists(SETS, max_size=4), METHODS, RESOURCES | HOSTILE)
def test_narrowing_allows_exactly_what_every_part_allows(parts: list[GrantSet], method: str, resource: str) -> None:
    result = narrow(*parts)
    assert result.allows(method, resource) is (bool(parts) and all(part.allows(method, resource) for part in parts))
    assert result.verdict(method, resource).owned is (
        bool(parts) and all(part.verdict(method, resource).owned for part in parts)
    )
    himself = [part.allows(method, resource) and not part.lends(method, resource) for part in parts]
    assert (result.allows(method, resource) and not result.lends(method, resource)) is (bool(parts) and all(himself))


@given(st.lists(SETS, min_size=1, max_size=4), METHODS, RESOURCES)
def test_narrowing_again_changes_nothing(parts: list[GrantSet], method: str, resource: str) -> None:
    once = narrow(*parts)
    assert narrow(once, *parts) == once
    assert GrantSet(once.layers).allows(method, resource) is once.allows(method, resource)


@given(SETS, CAPABILITIES, METHODS, RESOURCES)
def test_nothing_beyond_the_most_is_overlooked(most: GrantSet, wanted: Capability, method: str, resource: str) -> None:
    if not exceeding([wanted], most) and grants.covers(wanted, method, resource):
        assert most.allows(method, resource)


def test_a_long_chain_of_calls_does_not_grow_the_set() -> None:
    caller = GrantSet.of([cap("web.fetch", "https://a.example/**")])
    provider = GrantSet.of([cap("web.*", "*")])
    result = caller
    for _ in range(16):
        result = narrow(result, provider, caller)
    assert result == caller


def test_narrowing_keeps_only_the_narrow_layer_in_whatever_order() -> None:
    wide, slim = GrantSet.of([cap("web.*", "*")]), GrantSet.of([cap("web.fetch", "https://a.example/**")])
    assert narrow(wide, slim) == narrow(slim, wide) == slim
    assert narrow(wide, NOTHING) == narrow(NOTHING, wide) == narrow() == NOTHING


def test_asking_for_nothing_is_within_everything() -> None:
    assert grants.includes(cap("web.fetch", "*"), cap("files.read", own=True))


def test_the_parts_of_a_set_add_up_but_layers_do_not() -> None:
    one, two = cap("files.read", "reports/a/*"), cap("files.read", "reports/*/b")
    assert GrantSet.of([one, two]).allows("files.read", "reports/a/x")
    both = narrow(GrantSet.of([one]), GrantSet.of([two]))
    assert both.allows("files.read", "reports/a/b")
    assert not both.allows("files.read", "reports/a/x")
    assert not both.allows("files.read", "reports/x/b")


@pytest.mark.parametrize("pattern", ["*", "kernel.*", "kernel.f*", "*.freeze"])
@pytest.mark.parametrize("method", ["kernel.freeze", "kernel.answer", "kernel.grant", "kernel.anything-new"])
def test_no_wildcard_reaches_a_method_of_the_operator(pattern: str, method: str) -> None:
    assert not grants.covers(cap(pattern, "*"), method, "")
    assert not grants.includes(cap(pattern, "*"), cap(method, "*"))


def test_the_operator_holds_his_methods_by_name() -> None:
    assert grants.covers(cap("kernel.freeze", "*"), "kernel.freeze", "")


def test_only_the_kernels_own_wildcard_reaches_the_kernel() -> None:
    assert not grants.covers(cap("*", "*"), "kernel.spawn", "web")
    assert grants.covers(cap("kernel.*", "*"), "kernel.spawn", "web")
    assert not grants.includes(cap("*", "*"), cap("kernel.*", "*"))


def test_a_wildcard_expands_to_what_exists() -> None:
    methods = ["web.fetch", "web.graph.find", "website.fetch", "web", "kernel.spawn", "kernel.freeze", "Web.x"]
    assert grants.expand("web.*", methods) == ("web.fetch", "web.graph.find")
    assert grants.expand("web.fetch", methods) == ("web.fetch",)
    assert grants.expand("kernel.*", methods) == ("kernel.spawn",)
    assert grants.expand("*", methods) == ("web.fetch", "web.graph.find", "website.fetch")


@pytest.mark.parametrize("asked", list(itertools.product((True, False, None), repeat=2)))
def test_narrowing_asks_a_person_no_less_than_any_part(asked: tuple[bool | None, ...]) -> None:
    parts = [GrantSet.of([Capability(method="post.send", allow=("*",), approval=one)]) for one in asked]
    least = True if True in asked else None if None in asked else False
    assert narrow(*parts).verdict("post.send", "ann").approval is least


def test_own_counts_only_where_it_is_written() -> None:
    both = GrantSet.of([cap("web.connect", "a.example:443", own=True), cap("web.connect", "*")])
    assert both.verdict("web.connect", "a.example:443").owned
    assert both.allows("web.connect", "b.example:443")
    assert not both.verdict("web.connect", "b.example:443").owned


@pytest.mark.parametrize(
    ("method", "resource", "row"),
    [
        ("web.fetch", "https://example.org/a?token=secret", '"web.fetch" = ["https://example.org/**"]'),
        ("web.fetch", "http://[::1]:8080/", '"web.fetch" = ["http://[::1]:8080/**"]'),
        ("web.fetch", "https://example.org/?a/b", '"web.fetch" = ["https://example.org/**"]'),
        ("files.read", 'reports/"a".csv', '"files.read" = ["reports/\\"a\\".csv"]'),
        ("web.connect", "a.example:443", '"web.connect" = ["a.example:443"]'),
        ("kernel.spawn", "web", '"kernel.spawn" = ["web"]'),
        ("machine.stats", "", '"machine.stats" = ["*"]'),
        ("kernel.freeze", "", ""),
        ("files.read", "reports/../a", ""),
        ("not a method", "", ""),
    ],
)
def test_a_refusal_names_the_grant_that_would_allow_it(method: str, resource: str, row: str) -> None:
    assert missing_grant(NOTHING, method, resource) == row


@given(METHODS, RESOURCES)
def test_the_named_grant_does_allow_it(method: str, resource: str) -> None:
    row = missing_grant(NOTHING, method, resource)
    if method == "kernel.freeze":
        assert row == ""
        return
    [(named, allow)] = tomllib.loads(row).items()
    given_now = GrantSet.of([Capability(method=named, allow=tuple(allow))])
    assert given_now.allows(method, resource)
    assert missing_grant(given_now, method, resource) == ""


def test_events_are_asked_for_like_everything_else() -> None:
    import msgspec

    asks = msgspec.structs.replace(
        manifest(cap("web.fetch", "*")), events=Events(publishes=("alert",), subscribes=("web.*",))
    )
    assert grants.requested(asks) == (
        cap("web.fetch", "*"),
        cap("kernel.publish", "watcher.alert"),
        cap("kernel.subscribe", "web.*"),
    )


@given(SETS, METHODS, RESOURCES)
def test_a_method_that_a_set_does_not_mention_is_never_allowed(one: GrantSet, method: str, resource: str) -> None:
    if one.allows(method, resource) and not one.lends(method, resource):
        assert one.mentions(method)


def test_what_is_lent_is_allowed_to_others_alone() -> None:
    lent = Capability(method="files.read", allow=("reports/**",), lent=True)
    held = GrantSet.of([lent, cap("files.read", "reports/a")])
    assert (held.allows("files.read", "reports/b"), held.lends("files.read", "reports/b")) == (True, True)
    assert (held.allows("files.read", "reports/a"), held.lends("files.read", "reports/a")) == (True, False)
    assert (held.allows("files.read", "x"), held.lends("files.read", "x")) == (False, False)
    assert not GrantSet.of([lent]).mentions("files.read")
    assert exceeding([cap("files.read", "reports/b")], GrantSet.of([lent])) == (cap("files.read", "reports/b"),)
    assert exceeding([lent], GrantSet.of([cap("files.read", "reports/**")])) == ()
    assert grants.as_text(lent) == '"files.read" = ["reports/**"] for what it spawns'


@pytest.mark.parametrize(
    ("own", "approval", "row"),
    [
        (False, None, '"a.b" = ["x"]'), (True, None, '"a.b" = { allow = ["x"], own = true }'),
        (False, True, '"a.b" = { allow = ["x"], approval = true }'),
        (True, False, '"a.b" = { allow = ["x"], own = true, approval = false }'),
    ],
)  # fmt: skip
def test_a_row_says_all_of_a_capability_as_a_manifest_would(own: bool, approval: bool | None, row: str) -> None:
    one = Capability(method="a.b", allow=("x",), own=own, approval=approval)
    assert grants.as_text(one) == row
    ((method, said),) = tomllib.loads(row).items()
    whole = said if isinstance(said, dict) else {"allow": said}
    assert (method, whole.get("own", False), whole.get("approval")) == ("a.b", own, approval)


def test_what_a_hand_asks_for_only_to_lend_is_granted_so_in_whatever_words() -> None:
    one, whole = cap("files.read", "reports/a"), cap("files.read", "reports/**")
    lent, lends = (Capability(method="files.read", allow=two.allow, lent=True) for two in (one, whole))
    assert grants.mark_lent(one, GrantSet.of([lends])) == lent
    assert grants.mark_lent(one, GrantSet.of([lends, whole])) == one
    assert grants.mark_lent(one, GrantSet.of([cap("web.fetch", "*")])) == one
    assert grants.mark_lent(cap("files.read", "x"), GrantSet.of([lends])) == cap("files.read", "x")


def test_a_method_with_an_empty_list_is_not_mentioned() -> None:
    both = narrow(GrantSet.of([cap("web.fetch", "*"), cap("web.connect")]), GrantSet.of([cap("web.*", "*")]))
    assert both.mentions("web.fetch")
    assert not both.mentions("web.connect")
    assert not both.mentions("files.read")
    assert not NOTHING.mentions("web.fetch")


@given(st.text("ab1.-A", max_size=8))
def test_a_method_is_what_the_grammar_says(text: str) -> None:
    label = "[a-z0-9]+(?:-[a-z0-9]+)*"
    assert grants.is_method(text) == bool(re.fullmatch(rf"(?=[a-z]){label}(?:\.{label})+", text))


@pytest.mark.parametrize(
    "text", ["web", "Web.fetch", "web..fetch", "web.fetch.", ".web", "web.*", "1web.x", "a." + "b" * 127]
)
def test_a_method_is_dotted_small_words(text: str) -> None:
    assert not grants.is_method(text)
    assert grants.is_method_pattern(text) is (text == "web.*")
