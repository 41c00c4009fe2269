"""The operator's answers: about exactly this call, and by a key that may give them."""

from typing import Any

import pytest
from msgspec.structs import replace

from manifests.approvals import check_answer
from manifests.trust import EVERYTHING, TrustedKey, TrustStore
from wire.approval import Answer, Statement
from wire.entries import Body
from wire.errors import Refusal
from wire.signing import SigningKey

NOW, DAY = 1_800_000_000_000_000, 86_400_000_000
MINE, OTHER = SigningKey("home.example/seal", b"\x01" * 32), SigningKey("other.example/seal", b"\x02" * 32)
HELD = Statement(
    origin="o", call=2, hand="h-poster", seal="s", method="post.send", resource="ann", verdict="approved", time=NOW,
    arguments=Body(digest="0" * 64, size=1),
)  # fmt: skip


def _trusting(**changes: Any) -> TrustStore:
    said: dict[str, Any] = {"hands": ("post*",), "most": EVERYTHING, "added": NOW - DAY, **changes}
    return TrustStore().add(TrustedKey(name=MINE.name, public=MINE.verify_key.public, **said))


def _refused(trust: TrustStore, answer: Answer, *names: str) -> str:
    with pytest.raises(Refusal) as told:
        check_answer(trust, answer, HELD, names, NOW)
    assert told.value.code == "answer"
    return told.value.why


def test_an_answer_about_this_call_by_a_trusted_key_counts() -> None:
    check_answer(_trusting(), Answer.signed(HELD, MINE), HELD, ("poster", "postman"), NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"call": 4},
        {"hand": "h-other"},
        {"seal": "t"},
        {"method": "post.read"},
        {"resource": "bob"},
        {"verdict": "denied"},
        {"time": NOW + 1},
        {"origin": "p"},
        {"arguments": Body(digest="1" * 64, size=1)},
        {"instead": Body(digest="1" * 64, size=1)},
    ],
)
def test_one_about_anything_else_is_none(changed: dict[str, Any]) -> None:
    assert "is not about call 2" in _refused(_trusting(), Answer.signed(replace(HELD, **changed), MINE), "poster")


def test_a_key_counts_only_while_it_is_trusted_and_for_all_in_whose_name_it_is_asked() -> None:
    answer = Answer.signed(HELD, MINE)
    assert "no key" in _refused(TrustStore(), answer, "poster")
    assert "has expired" in _refused(_trusting(expires=NOW), answer, "poster")
    assert "is revoked" in _refused(_trusting().revoke(answer.key, now=NOW), answer, "poster")
    for names in (("reader",), ("poster", "reader"), ("reader", "poster")):
        assert "is not trusted to seal reader" in _refused(_trusting(), answer, *names)


def test_the_signature_must_be_that_keys_over_these_words() -> None:
    forged = replace(Answer.signed(HELD, OTHER), key=Answer.signed(HELD, MINE).key)
    torn = replace(Answer.signed(replace(HELD, call=4), MINE), statement=HELD)
    for answer in (forged, torn):
        assert "this answer does not count" in _refused(_trusting(), answer, "poster")
