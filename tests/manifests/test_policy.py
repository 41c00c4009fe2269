"""One decision for every call: never wider than any link of its chain, up to the hop whose own it is, no further."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from manifests.grants import HAND_KERNEL_METHODS, NOTHING, GrantSet
from manifests.installed import Installed, Package
from manifests.policy import (
    ABOUT_ONESELF,
    Link,
    check_state,
    decide,
    digest_query,
    link_of,
    normalise,
    quarantine_refusal,
    redact,
)
from manifests.schema import Autonomy, Capability, Effect, HandSection, Manifest, Provided
from manifests.state import State
from wire.errors import Refusal
from wire.ids import HandId
from wire.limits import CHAIN_MAX

METHODS = ("web.fetch", "web.connect", "files.read", "kernel.spawn")
PATTERNS = ("*", "a/**", "a/b", "c/*")
RESOURCES = ("a/b", "a/x", "c/d", "e")
CAPABILITIES = st.builds(
    lambda method, allow, own, lent: Capability(method=method, allow=tuple(allow), own=own, lent=lent),
    st.sampled_from((*METHODS, "web.*", "kernel.*")), st.lists(st.sampled_from(PATTERNS), max_size=2), st.booleans(),
    st.integers(0, 3).map(lambda number: number == 0),
)  # fmt: skip
GENEROUS = st.just([Capability(method=method, allow=("*",)) for method in METHODS])
"""Every other link, or hardly a chain would be allowed, and no rule but that of grants be seen."""

LINKS = st.lists(
    st.builds(
        lambda caps, readonly: (tuple(caps), readonly),
        GENEROUS | st.lists(CAPABILITIES, max_size=3), st.integers(0, 4).map(bool),
    ),
    min_size=1, max_size=5,
)  # fmt: skip
CALLS = st.tuples(st.sampled_from(METHODS), st.sampled_from(RESOURCES), st.sampled_from(["read", "write", "external"]))


def _links(drawn: list[tuple[tuple[Capability, ...], bool]]) -> list[Link]:
    return [
        Link(
            hand=f"h-{number}", name=f"hand-{number}", grants=GrantSet.of(caps), readonly=not readonly,
            spawns=number % 2 == 1,
        )
        for number, (caps, readonly) in enumerate(drawn)
    ]  # fmt: skip


def _provided(method: str, effect: Effect = "read") -> Provided:
    return Provided(method=method, summary="", resource="path", effect=effect)


def _allowed(chain: list[Link], call: tuple[str, str, Effect], provider: str = "h-p") -> bool:
    method, resource, effect = call
    try:
        decide(chain, _provided(method, effect), resource, provider=provider)
    except Refusal:
        return False
    return True


@given(LINKS, CALLS)
def test_a_call_needs_every_link_up_to_the_first_whose_own_it_is(
    drawn: list[tuple[tuple[Capability, ...], bool]], call: tuple[str, str, Effect]
) -> None:
    chain = _links(drawn)
    method, resource, effect = call
    owners = [
        number for number, link in enumerate(chain) if link.grants and link.grants.verdict(method, resource).owned
    ]
    counted = chain[: owners[0] + 1] if owners else chain
    expected = all(
        link.grants is not None
        and link.grants.allows(method, resource)
        and not (not link.spawns and link.grants.lends(method, resource))
        and not (link.readonly and effect != "read")
        for link in counted
    )
    assert _allowed(chain, call) is expected


@pytest.mark.parametrize("lacking", range(5))
def test_one_link_without_the_grant_refuses_the_call_wherever_it_stands(lacking: int) -> None:
    held = GrantSet.of([Capability(method="files.read", allow=("*",))])
    chain = [Link(hand=f"h-{at}", name="hand", grants=NOTHING if at == lacking else held) for at in range(5)]
    assert not _allowed(chain, ("files.read", "a/x", "read"))


def test_what_is_lent_counts_for_a_run_that_its_holder_spawned_and_for_no_call_of_his_own() -> None:
    lent = GrantSet.of([Capability(method="files.read", allow=("a/**",), lent=True)])
    held = GrantSet.of([Capability(method="files.read", allow=("*",))])
    lender = Link(hand="h-1", name="lender", grants=lent, spawns=True)
    child, caller = Link(hand="h-2", name="child", grants=held), replace(lender, spawns=False)
    call: tuple[str, str, Effect] = ("files.read", "a/x", "read")
    assert _allowed([child, lender], call)
    assert not _allowed([caller], call)
    assert not _allowed([caller, child], call)
    assert not _allowed([child, caller], call)  # the child answers a call of his, as any Hand may
    assert not _allowed([child, lender], ("files.read", "c/d", "read"))


@given(LINKS, LINKS, CALLS)
def test_a_longer_chain_never_allows_more(
    drawn: list[tuple[tuple[Capability, ...], bool]], above: list[tuple[tuple[Capability, ...], bool]],
    call: tuple[str, str, Effect],
) -> None:  # fmt: skip
    chain = _links(drawn)
    longer = [*chain, *(Link(hand=f"x-{link.hand}", name=link.name, grants=link.grants) for link in _links(above))]
    assert _allowed(chain, call) or not _allowed(longer, call)


@given(LINKS, CALLS, st.data())
def test_taking_a_capability_from_anybody_never_allows_more(
    drawn: list[tuple[tuple[Capability, ...], bool]], call: tuple[str, str, Effect], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(drawn) - 1))
    caps, readonly = drawn[number]
    kept = tuple(one for one in caps if data.draw(st.booleans()))
    fewer = [*drawn[:number], (kept, readonly), *drawn[number + 1 :]]
    own_stays = [one.own for one in caps] == [False] * len(caps)
    if own_stays or not _allowed(_links(drawn), call):
        assert _allowed(_links(drawn), call) or not _allowed(_links(fewer), call)


@given(LINKS, CALLS, st.integers(0, 4))
def test_a_provider_in_the_chain_is_never_asked(
    drawn: list[tuple[tuple[Capability, ...], bool]], call: tuple[str, str, Effect], number: int
) -> None:
    chain = _links(drawn)
    assert not _allowed(chain, call, provider=chain[number % len(chain)].hand)


def test_the_kernel_is_nobody_of_a_chain_though_the_operator_has_no_id_either() -> None:
    spawner = Link(hand="h-1", name="spawner", grants=GrantSet.of([Capability(method="kernel.spawn", allow=("*",))]))
    operator = Link(hand="", name="operator", grants=None)
    assert _allowed([spawner, operator], ("kernel.spawn", "a/b", "external"), provider="")


@pytest.mark.parametrize("autonomy", ["readonly", "supervised", "full"])
def test_a_link_has_its_hands_autonomy_and_the_operators_none(autonomy: Autonomy) -> None:
    link = link_of("r-1", _installed("x", autonomy), GrantSet(()))
    assert (link.hand, link.name) == ("h-x", "x")
    assert (link.readonly, link.supervised) == (autonomy == "readonly", autonomy == "supervised")
    assert link_of("operator", None, None) == Link(hand="", name="operator", grants=None)


@pytest.mark.parametrize(("length", "fine"), [(CHAIN_MAX, True), (CHAIN_MAX + 1, False)])
def test_a_chain_has_an_end(length: int, fine: bool) -> None:
    everything = GrantSet.of((Capability(method="web.*", allow=("*",)),))
    chain = [Link(hand=f"h-{number}", name="x", grants=everything) for number in range(length)]
    assert _allowed(chain, ("web.fetch", "a/b", "read")) is fine


@pytest.mark.parametrize("serves", [True, False])
@pytest.mark.parametrize("method", ["memory.set", "kernel.publish"])
def test_who_is_refused_for_its_caller_hears_what_it_may_do_for_whoever_calls_it(method: str, serves: bool) -> None:
    held = GrantSet.of((Capability(method=method, allow=("*",)),))
    keeper = Link(hand="h-1", name="keeper", grants=held, serves=serves)
    caller = Link(hand="h-2", name="caller", grants=GrantSet.of(()))
    with pytest.raises(Refusal) as refusal:
        decide([keeper, caller], _provided(method), "x", provider="h-3")
    is_told = serves and method == "memory.set"
    assert refusal.value.why == (
        f"caller (in whose name keeper calls) holds no grant for {method} on 'x'"
        + ", and in keeper's HAND.toml it is not own = true" * is_told
    )


def test_a_refusal_of_a_method_that_acts_on_nothing_names_no_resource() -> None:
    caller = Link(hand="h-1", name="caller", grants=GrantSet.of(()))
    with pytest.raises(Refusal) as refusal:
        decide([caller], _provided("time.now"), "", provider="h-3")
    assert refusal.value.why == "caller holds no grant for time.now"


EVERYTHING = GrantSet.of((Capability(method="*", allow=("*",), own=True), Capability(method="kernel.*", allow=("*",))))


@given(st.sampled_from(["install", "grant", "freeze", "thaw", "down", "key-add", "set", "home", "status"]) | st.text())
def test_no_grant_at_all_reaches_a_method_of_the_operators(verb: str) -> None:
    method = f"kernel.{verb}"
    if method in HAND_KERNEL_METHODS:
        return
    named = GrantSet.of((Capability(method=method, allow=("*",), own=True),))
    for grants in (EVERYTHING, named):
        with pytest.raises(Refusal) as refusal:
            decide([Link(hand="h", name="x", grants=grants)], _provided(method), "", provider="")
        assert refusal.value.grant == ""


def test_what_is_about_oneself_needs_no_grant_and_nothing_else_does_without() -> None:
    bare = [Link(hand="h", name="x", grants=GrantSet(()), readonly=True)]
    fine = {method for method in HAND_KERNEL_METHODS if _allowed(bare, (method, "x", "read"), provider="")}
    assert fine == ABOUT_ONESELF
    others = {"spawn", "stop", "pause", "resume", "publish", "subscribe", "schedules", "fire"}
    assert {f"kernel.{verb}" for verb in others} == HAND_KERNEL_METHODS - ABOUT_ONESELF


@given(st.sampled_from(["none", "name", "path", "url", "address"]), st.text(max_size=2000))
def test_every_text_has_a_normal_form_or_a_refusal(kind: str, text: str) -> None:
    row = Provided(method="x.y", summary="", resource=kind, effect="read")  # type: ignore[arg-type]
    said = ""
    try:
        once = normalise(row, text)
        assert normalise(row, once) == once
    except Refusal as refusal:
        said = refusal.code + refusal.why
    assert said == "" or (said.startswith("resource") and said.isprintable())


@pytest.mark.parametrize(("text", "fine"), [("a" * 1024, True), ("a" * 1025, False), ("é" * 513, False)])
def test_a_resource_is_bounded_in_bytes(text: str, fine: bool) -> None:
    row = Provided(method="x.y", summary="", resource="path", effect="read")
    said = ""
    try:
        normalise(row, text)
    except Refusal as refusal:
        said = refusal.why
    assert ("at most 1024 bytes" not in said) is fine


@pytest.mark.parametrize("plain", ["data/what?is=this", "https://example.org/page", "what?://"])
def test_what_has_no_query_of_a_url_is_logged_as_it_is(plain: str) -> None:
    assert digest_query(plain, b"key") == plain


@given(st.text(), st.text(alphabet="abc=&", min_size=1))
def test_a_query_is_never_shown_and_logged_only_as_a_digest(path: str, query: str) -> None:
    secret = f"Q{query}Q"
    url = f"https://example.org/{path.replace('?', '')}?{secret}"
    assert secret not in redact(url)
    assert secret not in digest_query(url, b"key")
    assert digest_query(url, b"key") != digest_query(url + "x", b"key")
    assert redact(url).isprintable()


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ("https://example.org/a?token=1?b", "https://example.org/a?…"),
        ("https://example.org/a", "https://example.org/a"),
        ("reports/what?.csv", "reports/what?.csv"),
        ("a\u202eb", "a\\u202eb"),
        ("two\nlines\tof it", "two\\nlines\\tof it"),
        ("", ""),
    ],
)
def test_only_a_urls_query_is_left_out_where_a_resource_is_shown(resource: str, said: str) -> None:
    assert redact(resource) == said


# the state -----------------------------------------------------------------------------------------------------------


def _installed(name: str, autonomy: Autonomy = "full") -> Installed:
    manifest = Manifest(
        hand=HandSection(name=name, version="1.0.0", description="x", entry="m:C", kind="task", autonomy=autonomy)
    )
    package = Package(seal="", manifest=manifest, digest="")
    return Installed(
        id=HandId(f"h-{name}"), name=name, version="1.0.0", folder=name, number=1, seal="", package=package
    )


def test_of_a_quarantined_hand_the_operator_is_told_why_what_shows_more_and_what_tries_again() -> None:
    refusal = quarantine_refusal("feed", "it died")
    mend = "`maniple logs feed` shows more, `maniple start feed` tries again"
    assert (refusal.why, refusal.bare) == (f"feed is quarantined (it died): {mend}", f"feed is quarantined: {mend}")


CALLER, OWNER, OTHER = _installed("caller"), _installed("owner"), _installed("other")
HELD = st.sets(st.sampled_from(["h-caller", "h-owner", "h-other"]))


@given(HELD, HELD, st.booleans(), st.sampled_from([None, CALLER]), st.sampled_from([None, OWNER]),
       st.sampled_from(["x.y", "kernel.status", "kernel.spawn"]))  # fmt: skip
def test_whoever_is_held_neither_calls_nor_answers_and_the_operators_own_methods_always_pass(
    paused: set[str],
    quarantined: set[str],
    frozen: bool,
    caller: Installed | None,
    owner: Installed | None,
    method: str,
) -> None:
    hands = {one.name: one for one in (CALLER, OWNER, OTHER)}
    state = State(hands=hands, paused=paused, quarantined=dict.fromkeys(quarantined, "it died"), frozen=frozen)
    answers = OTHER if method == "kernel.spawn" else owner
    expected = ""
    if caller is not None or not method.startswith("kernel."):
        if frozen:
            expected = "frozen"
        elif (caller is not None and caller.id in paused) or (answers is not None and answers.id in paused):
            expected = "paused"
        elif answers is not None and answers.id in quarantined:
            expected = "quarantined"
    code = ""
    try:
        check_state(state, caller, owner, method, "other")
    except Refusal as refusal:
        code = refusal.code
    assert code == expected
