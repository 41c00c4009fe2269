"""Who is asked about a call: nobody less by handing authority on, nobody for what is its caller's own, no rule for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from manifests.approvals import (
    PER_HAND,
    PER_RUN,
    RULE_DAYS_MOST,
    Reason,
    answer_detail,
    check_answer,
    check_room,
    check_rule,
    denied_refusal,
    logged_wish,
    reason_rows,
    reasons_to_ask,
)
from manifests.calls import OpenCall
from manifests.grants import GrantSet, narrow
from manifests.holding import LISTED, listed_after
from manifests.installed import Installed, Package
from manifests.policy import ABOUT_ONESELF, Link
from manifests.schema import Capability, Effect, HandSection, Manifest, Provided
from manifests.standing_rules import Rule
from manifests.state import State
from manifests.trust import EVERYTHING, TrustedKey, TrustStore
from wire.approval import Answer, RuleSaid, Statement
from wire.entries import Body
from wire.errors import Refusal
from wire.ids import HandId
from wire.signing import SigningKey

METHODS = ("post.send", "post.read", "kernel.spawn")
PATTERNS = ("*", "a*", "ann")
RESOURCES = ("ann", "abe", "bob")
CAPABILITIES = st.builds(
    lambda method, allow, own, approval: Capability(method=method, allow=tuple(allow), own=own, approval=approval),
    st.sampled_from((*METHODS, "post.*")), st.lists(st.sampled_from(PATTERNS), max_size=2), st.booleans(),
    st.sampled_from((None, True, False)),
)  # fmt: skip
LAYERS = st.lists(CAPABILITIES, max_size=4).map(GrantSet.of)
LINKS = st.lists(
    st.builds(
        lambda grants, supervised, is_approved: (grants, supervised, is_approved), LAYERS, st.booleans(), st.booleans()
    ),
    min_size=1, max_size=4,
)  # fmt: skip
CALLS = st.tuples(st.sampled_from(METHODS), st.sampled_from(RESOURCES), st.sampled_from(["read", "write", "external"]))
RULES = st.dictionaries(
    st.sampled_from(("h-0", "h-1", "h-9")),
    st.lists(
        st.builds(
            lambda method, pattern, until: Rule(method=method, pattern=pattern, until=until, call=2),
            st.sampled_from(METHODS), st.sampled_from(PATTERNS), st.integers(0, 10),
        ), max_size=3,
    ).map(tuple),
    max_size=3,
)  # fmt: skip
Drawn = list[tuple[GrantSet, bool, bool]]
Call = tuple[str, str, Effect]
Given = dict[str, tuple[Rule, ...]]


def links_of(drawn: Drawn) -> list[Link]:
    return [
        Link(hand=f"h-{number}", name=f"hand-{number}", grants=grants, supervised=supervised, is_approved=approved)
        for number, (grants, supervised, approved) in enumerate(drawn)
    ]


def asked(links: list[Link], call: Call, rules: Given | None = None, now: int = 5) -> list[str]:
    method, resource, effect = call
    provided = Provided(method=method, summary="", resource="name", effect=effect)
    return [reason.hand for reason in reasons_to_ask(links, provided, resource, rules or {}, now)]


def freedom(grants: GrantSet, call: Call) -> int:
    return {True: 0, None: 1, False: 2}[grants.verdict(call[0], call[1]).approval]


@given(LINKS, CALLS, RULES, st.integers(0, 10))
def test_whoever_counts_in_a_chain_is_asked_for_unless_it_was_spared(
    drawn: Drawn, call: Call, rules: Given, now: int
) -> None:
    links = links_of(drawn)
    expected = []
    for number, link in enumerate(links):
        assert link.grants is not None
        if number and link.is_approved:
            break
        said = link.grants.verdict(call[0], call[1]).approval
        covering = {"ann": ("*", "a*", "ann"), "abe": ("*", "a*"), "bob": ("*",)}[call[1]]
        mine = [rule for rule in rules.get(link.hand, ()) if rule.method == call[0] and rule.pattern in covering]
        spared = any(now < rule.until for rule in mine)
        if (said or (said is None and link.supervised and call[2] == "external")) and not spared:
            expected.append(link.hand)
        if link.grants.verdict(call[0], call[1]).owned:
            break
    assert asked(links, call, rules, now) == expected


def test_nobody_is_asked_for_above_who_may_call_for_anybody_or_had_a_yes() -> None:
    asks = GrantSet.of((Capability(method="post.send", allow=("*",), approval=True),))
    owns = GrantSet.of((Capability(method="post.send", allow=("*",), approval=True, own=True),))
    call: Call = ("post.send", "ann", "external")
    assert asked(links_of([(asks, False, False), (asks, False, False)]), call) == ["h-0", "h-1"]
    assert asked(links_of([(owns, False, False), (asks, False, False)]), call) == ["h-0"]
    assert asked(links_of([(asks, False, False), (asks, False, True), (asks, False, False)]), call) == ["h-0"]
    assert asked(links_of([(asks, False, True), (asks, False, False)]), call) == ["h-0", "h-1"], (
        "a yes to what it is in"
    )


@given(LAYERS, LAYERS, CALLS)
def test_narrowing_never_asks_less(one: GrantSet, other: GrantSet, call: Call) -> None:
    both = narrow(one, other)
    if both.allows(call[0], call[1]):
        assert freedom(both, call) == min(freedom(one, call), freedom(other, call))


@given(CAPABILITIES, LAYERS, CALLS)
def test_what_a_set_includes_asks_no_less_than_the_set(wanted: Capability, most: GrantSet, call: Call) -> None:
    mine = GrantSet.of((wanted,))
    if most.includes(wanted) and mine.allows(call[0], call[1]):
        assert freedom(mine, call) <= freedom(most, call)


@given(LINKS, LINKS, CALLS)
def test_a_longer_chain_never_asks_for_less(drawn: Drawn, above: Drawn, call: Call) -> None:
    chain = links_of(drawn)
    longer = [*chain, *(replace(link, hand=f"x-{link.hand}") for link in links_of(above))]
    assert asked(longer, call)[: len(asked(chain, call))] == asked(chain, call)


@given(st.lists(st.sampled_from((True, False, None)), min_size=1, max_size=4))
def test_where_capabilities_disagree_the_one_that_asks_counts(said: list[bool | None]) -> None:
    grants = GrantSet.of(Capability(method="post.send", allow=("*",), approval=one) for one in said)
    assert grants.verdict("post.send", "ann").approval is (True if True in said else False if False in said else None)


@pytest.mark.parametrize("method", sorted(ABOUT_ONESELF | {"kernel.publish", "kernel.subscribe"}))
def test_nobody_is_asked_about_what_touches_only_the_caller(method: str) -> None:
    grants = GrantSet.of((Capability(method="kernel.*", allow=("*",), approval=True),))
    assert asked([Link(hand="h", name="x", grants=grants, supervised=True)], (method, "", "external")) == []


def test_the_operator_is_never_asked_about_his_own_call() -> None:
    assert asked([Link(hand="", name="operator", grants=None)], ("post.send", "ann", "external")) == []


def test_one_more_than_may_wait_is_refused() -> None:
    check_room(PER_RUN - 1, PER_HAND - 1)
    for of_run, of_hand in ((PER_RUN, PER_RUN), (0, PER_HAND)):
        with pytest.raises(Refusal, match="wait for approval already"):
            check_room(of_run, of_hand)


NOW, DAY = 1_700_000_000_000_000, 86_400_000_000
HELD = Statement(
    origin="o", call=2, hand="h-poster", seal="s", method="post.send", resource="ann", verdict="approved", time=NOW,
    arguments=Body(digest="0" * 64, size=1),
)  # fmt: skip
ASKED = Reason(hand="h-poster", name="poster", why="it has autonomy supervised")


def _state(*granted: Capability) -> State:
    section = HandSection(
        name="poster", version="1.0.0", description="", entry="m:C", kind="task", autonomy="supervised"
    )
    manifest = Manifest(hand=section, capabilities=(Capability(method="post.send", allow=("*",)),))
    hand = Installed(
        id=HandId("h-poster"), name="poster", version="1.0.0", folder="poster", number=1, seal="",
        package=Package(seal="", manifest=manifest, digest=""),
    )  # fmt: skip
    return State(hands={"poster": hand}, grants={"h-poster": granted})


def _ruled(pattern: str, until: int, *, verdict: str = "approved", asks: Reason = ASKED, granted: str = "a*") -> str:
    """Why a rule may not be given with an answer, "" when it may."""
    statement = replace(HELD, verdict=verdict, rule=RuleSaid(pattern=pattern, until=until))
    answer = Answer(statement=statement, key="00000000", signature="0" * 128)
    try:
        check_rule(answer, (asks,), _state(Capability(method="post.send", allow=(granted,))), "ann", NOW)
    except Refusal as refusal:
        return refusal.why
    return ""


def test_a_rule_goes_with_a_yes_covers_what_was_asked_is_held_and_ends() -> None:
    for pattern, until in (("ann", NOW + 1), ("a*", NOW + DAY), ("a*", NOW + RULE_DAYS_MOST * DAY)):
        assert _ruled(pattern, until) == ""
    assert "only a yes" in _ruled("ann", NOW + DAY, verdict="denied")
    assert "only a yes" in _ruled("ann", NOW + DAY, verdict="edited")
    assert "each time" in _ruled("ann", NOW + DAY, asks=replace(ASKED, itself=True))
    assert "does not cover" in _ruled("bob", NOW + DAY)
    assert "for 1 to" in _ruled("ann", NOW)
    assert "for 1 to" in _ruled("ann", NOW + RULE_DAYS_MOST * DAY + 1)
    assert "does not hold" in _ruled("*", NOW + DAY)
    assert "does not hold" in _ruled("ann", NOW + DAY, granted="bob")
    assert "does not hold" in _ruled("ann", NOW + DAY, asks=replace(ASKED, hand="h-gone"))
    assert _ruled("../x", NOW + DAY)


MINE, OTHER = SigningKey("home", b"m" * 32), SigningKey("other", b"o" * 32)


def _answered(answer: Answer, now: int = NOW, **more: object) -> str:
    """Why an answer does not count, "" when it does. more: of the key that it is to be by."""
    key = TrustedKey(name=MINE.name, public=MINE.verify_key.public, hands=("post*",), most=EVERYTHING, added=NOW)
    try:
        check_answer(TrustStore(keys=(replace(key, **more),)), answer, HELD, ["poster", "postman"], now)
    except Refusal as refusal:
        return refusal.why
    return ""


def test_an_answer_counts_by_a_key_that_is_trusted_now_and_for_all_in_whose_name_is_asked() -> None:
    answer = Answer.signed(HELD, MINE)
    assert _answered(answer) == _answered(answer, NOW - 1, expires=NOW) == ""
    assert "no key" in _answered(Answer.signed(HELD, OTHER))
    assert "does not count" in _answered(replace(answer, signature="0" * 128))
    assert "revoked, or has expired" in _answered(answer, revoked=NOW)
    assert "revoked, or has expired" in _answered(answer, expires=NOW)
    assert "not trusted to seal postman" in _answered(answer, hands=("poster",))
    assert "not trusted to seal poster" in _answered(answer, hands=())


@pytest.mark.parametrize(
    "changes",
    [
        {"call": 4}, {"hand": "h-other"}, {"seal": "t"}, {"method": "post.read"}, {"resource": "abe"}, {"origin": "p"},
        {"arguments": Body(digest="1" * 64, size=1)}, {"instead": Body(digest="0" * 64, size=1)},
        {"rule": RuleSaid(pattern="*", until=NOW + DAY)}, {"verdict": "denied"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_an_answer_about_anything_else_is_none_about_this_call(changes: dict[str, object]) -> None:
    assert "is not about call 2" in _answered(Answer.signed(replace(HELD, **changes), MINE))


def test_why_a_caller_wants_the_operator_asked_is_told_and_found_again() -> None:
    send = Provided(method="post.send", summary="", resource="name", effect="read")
    link = Link(hand="h", name="poster", grants=GrantSet.of((Capability(method="post.send", allow=("*",)),)))
    reasons = reasons_to_ask(
        [link], send, "ann", {"h": (Rule(method="post.send", pattern="*", until=9, call=2),)}, 5, "is it so?"
    )
    assert [one.why for one in reasons] == ["poster asks you itself: is it so?"]
    assert logged_wish(reason_rows(reasons)) == "is it so?"
    for told in (None, [], ["x"], [{"why": "poster asks you itself: no"}], [{"itself": True, "why": "else"}]):
        assert logged_wish(told) == ""
    assert reasons_to_ask([Link(hand="", name="operator", grants=None)], send, "ann", {}, 5, "is it so?") == ()


def test_the_log_says_for_whom_a_rule_holds_and_which_call_was_made_instead() -> None:
    plain, reasons = Answer.signed(HELD, MINE), (ASKED, replace(ASKED, hand="h-2"))
    assert answer_detail(plain, reasons, 0) == plain.to_detail()
    assert answer_detail(plain, reasons, 6) == {**plain.to_detail(), "instead": 6}
    ruled = Answer.signed(replace(HELD, rule=RuleSaid(pattern="a*", until=NOW + 1)), MINE)
    assert answer_detail(ruled, reasons, 0) == {**ruled.to_detail(), "hands": ["h-poster", "h-2"]}


def test_who_hears_a_no_hears_why_if_that_was_said() -> None:
    assert (denied_refusal("too late").why, denied_refusal("").why) == (
        "the operator said no: too late",
        "the operator said no",
    )


def test_an_answer_without_a_rule_is_bounded_by_none() -> None:
    answer = Answer(statement=HELD, key="00000000", signature="0" * 128)
    check_rule(answer, (replace(ASKED, hand="h-gone", itself=True),), State(), "ann", NOW)


def test_a_question_is_asked_each_time_of_everybody_but_the_operator() -> None:
    question = Provided(method="ask.person", summary="", resource="none", effect="read", asks=True)
    grants = GrantSet.of((Capability(method="ask.person", allow=("*",), approval=False),))
    (reason,) = reasons_to_ask([Link(hand="h", name="x", grants=grants)], question, "", {}, NOW)
    assert (reason.hand, reason.itself) == ("h", True)
    assert reasons_to_ask([Link(hand="", name="operator", grants=None)], question, "", {}, NOW) == ()


def test_a_set_that_asks_about_a_method_includes_nothing_of_it_that_does_not() -> None:
    asks = Capability(method="post.*", allow=("*",), approval=True)
    spared = Capability(method="post.send", allow=("*",), approval=False)
    both, plain = GrantSet.of((spared, asks)), Capability(method="post.send", allow=("*",))
    assert not both.includes(plain)
    assert both.includes(replace(plain, approval=True))
    assert narrow(both, GrantSet.of((plain,))).verdict("post.send", "ann").approval is True


def test_all_that_waits_is_listed_page_by_page() -> None:
    provided = Provided(method="post.send", summary="", resource="name", effect="external")
    held = [
        OpenCall(
            number, "r", Link(hand="h", name="x", grants=None), b"", 1, provided=provided, resource="", body=b"", parent=None,
            deadline=1.0, labels=frozenset(), most=None, upload=False,
        )
        for number in reversed(range(2, 2 * LISTED + 52, 2))
    ]  # fmt: skip
    seen: list[int] = []
    while page := [call.number for call in listed_after(held, seen[-1] if seen else None)]:
        assert len(page) <= LISTED
        seen += page
    assert seen == sorted(call.number for call in held)
