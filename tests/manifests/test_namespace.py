"""Namespaces: whose memory a call is about, in what the kernel makes of it for the provider."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from manifests import capabilities as kinds
from manifests.calls import OpenCall
from manifests.capabilities import namespace
from manifests.errors import PatternInvalid, ResourceInvalid
from manifests.grants import GrantSet, missing_grant
from manifests.policy import Link, decide
from manifests.schema import Capability, Provided
from wire.errors import Refusal
from wire.ids import hand_id

ADA, BOB = hand_id(b"a" * 10), hand_id(b"b" * 10)
KEY = "session/bot/mail/-/ada"


@pytest.mark.parametrize(
    ("asked", "delivered"),
    [("own", f"own/{ADA}"), (KEY, f"own/{ADA}/{KEY}"), ("shared/team", "shared/team"), (f"own/{BOB}", f"own/{BOB}")],
)
def test_a_caller_stands_in_it_by_its_id(asked: str, delivered: str) -> None:
    assert namespace.bound(asked, ADA) == delivered
    assert namespace.normalise(delivered) == delivered
    assert namespace.bound(delivered, BOB) == delivered


def test_the_operator_has_a_memory_of_its_own() -> None:
    assert namespace.bound("own", "") == "own/operator"
    assert namespace.bound(KEY, "") == f"own/operator/{KEY}"


PARTS = st.text(max_size=20) | st.sampled_from(["@ada:example.org", "-100123", "C01/1700.5", "käse", "a%2Fb", "."])


@given(st.lists(PARTS, min_size=4, max_size=4), st.lists(PARTS, min_size=4, max_size=4))
def test_two_conversations_have_one_key_only_if_they_are_the_same(one: list[str], other: list[str]) -> None:
    try:
        mine, its = namespace.session(*one), namespace.session(*other)
    except ResourceInvalid:
        return
    assert namespace.normalise(mine) == mine
    assert kinds.covers("session/**", mine)
    import unicodedata

    same = [[unicodedata.normalize("NFC", text) or "-" for text in key] for key in (one, other)]
    assert (mine == its) == (same[0] == same[1])


@given(st.text(alphabet="abcAÄ%/.-*", max_size=30))
def test_who_is_bound_reads_only_what_is_its_own_or_shared(tail: str) -> None:
    for start in ("own", "own/", "shared/", "session/"):
        try:
            asked = namespace.normalise(start + tail)
        except ResourceInvalid:
            continue
        assume(not namespace.is_by_id(asked))
        assert namespace.bound(asked, ADA).startswith((f"own/{ADA}", "shared/"))


@pytest.mark.parametrize(
    "pattern",
    [
        "own/*", f"own/{ADA}", "shared", "shared/**", "shared/A", "shared/a/b", "session", "session/a/b/c",
        "session/a/b/c/d/e",
        "session/**/a/b/c/d", "session/a//c/d", "session/a/%c3/*/*", "session/ä/*/*/*", "session/a**/b/c/d",
    ],
)  # fmt: skip
def test_a_pattern_that_no_hand_could_use_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        kinds.check_pattern(pattern, "namespace")
    assert not kinds.is_pattern(pattern) or kinds.kind_of(pattern) == "name"


def _link(hand: str, *allow: str) -> Link:
    return Link(hand=hand, name=hand, grants=GrantSet.of([Capability(method="memory.get", allow=allow)]))


GET = Provided(method="memory.get", summary="Get", resource="namespace", effect="read")
OPERATOR = Link(hand="", name="operator", grants=None)


def test_no_grant_reaches_a_memory_by_its_id_and_none_is_suggested() -> None:
    with pytest.raises(Refusal, match="no grant for memory.get") as refused:
        decide([_link(ADA, "*"), OPERATOR], GET, f"own/{ADA}", provider="h")
    assert refused.value.grant == ""
    assert missing_grant(GrantSet.of([]), "memory.get", "own") == '"memory.get" = ["own"]'
    decide([OPERATOR], GET, f"own/{ADA}", provider="h")


def _call(by: Link, parent: OpenCall | None = None) -> OpenCall:
    return OpenCall(
        2, "r", by, b"r", 1, provided=GET, resource="own", body=b"", parent=parent, deadline=1, labels=frozenset(), most=None,
        upload=False,
    )  # fmt: skip


def test_own_is_of_the_hand_that_calls_not_of_those_that_it_calls_for() -> None:
    work = _call(_link(ADA, "own"))
    assert _call(_link(BOB, "own"), work).header_for_provider(0, 0).resource == f"own/{BOB}"
    assert work.call_entry()["detail"] == {"effect": "read", "bound": f"own/{ADA}"}


def test_what_the_operator_calls_instead_of_a_held_call_is_about_the_memory_of_its_caller() -> None:
    own = _call(OPERATOR)
    assert own.bound == "own/operator"
    own.heir = _call(_link(ADA, "own"))
    assert own.bound == f"own/{ADA}"
