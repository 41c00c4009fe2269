"""An answer to a held call: what is signed is exactly what is said, and nothing else passes for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from wire import signing
from wire.approval import Answer, RuleSaid, Statement
from wire.entries import Body
from wire.errors import CodecError, SignatureInvalid
from wire.signing import NAMESPACES, SigningKey

KEY, OTHER = SigningKey("seal", b"k" * 32), SigningKey("seal", b"o" * 32)
BODY = Body(digest="a" * 64, size=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
STATEMENTS = st.builds(
    Statement, origin=TEXTS, call=st.integers(0, 2**40), hand=TEXTS, seal=TEXTS, method=TEXTS, resource=TEXTS,
    arguments=st.builds(Body, digest=st.sampled_from(["a" * 64, "b" * 64]), size=st.integers(0, 9)),
    verdict=st.sampled_from(["approved", "denied", "edited"]), time=st.integers(0, 2**50), why=TEXTS,
    rule=st.none() | st.builds(RuleSaid, pattern=TEXTS, until=st.integers(0, 2**50)),
    instead=st.none() | st.just(BODY),
)  # fmt: skip


@given(STATEMENTS)
def test_it_is_read_back_from_the_log_as_it_was_and_holds(statement: Statement) -> None:
    answer = Answer.signed(statement, KEY)
    again = Answer.read(answer.to_detail())
    assert again == answer
    again.verify(KEY.verify_key)


@given(STATEMENTS, STATEMENTS)
def test_a_signature_holds_for_one_statement_and_one_key(one: Statement, other: Statement) -> None:
    answer = Answer.signed(one, KEY)
    with pytest.raises(SignatureInvalid):
        answer.verify(OTHER.verify_key)
    for key in (KEY, OTHER):
        with pytest.raises(SignatureInvalid):
            replace(answer, key=OTHER.verify_key.id).verify(key.verify_key)
    if one != other:
        with pytest.raises(SignatureInvalid):
            replace(answer, statement=other).verify(KEY.verify_key)


def test_a_signature_of_another_kind_is_none() -> None:
    statement = Statement(
        origin="o", call=2, hand="h", seal="s", method="m.x", resource="", arguments=BODY, verdict="denied", time=1
    )  # fmt: skip
    for namespace in set(NAMESPACES) - {"approval"}:
        signature = signing.sign(namespace, KEY, statement.to_bytes()).hex()
        with pytest.raises(SignatureInvalid):
            Answer(statement=statement, key=KEY.verify_key.id, signature=signature).verify(KEY.verify_key)


@pytest.mark.parametrize("told", [{}, {"statement": {}}, {"statement": 1, "key": "k", "signature": ""}])
def test_what_is_no_answer_is_told_apart(told: dict[str, object]) -> None:
    with pytest.raises(CodecError):
        Answer.read(told)


@pytest.mark.parametrize("field", ["arguments", "instead"])
@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "a" * 64 + "\n", "x" * 64])
def test_an_answer_about_what_is_no_digest_is_none(field: str, digest: str) -> None:
    statement = Statement(
        origin="o", call=2, hand="h", seal="s", method="m.x", resource="", arguments=BODY, verdict="edited", time=1,
        instead=BODY,
    )  # fmt: skip
    told = Answer.signed(replace(statement, **{field: Body(digest=digest, size=3)}), KEY).to_detail()
    with pytest.raises(CodecError, match="a digest is not 64 hex digits"):
        Answer.read(told)
