"""What texts are indexed by, and what questions ask for: a question finds the words of a text however either is written."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.words import ASKED_MAX, WORD_MAX, index_terms, language_of, question_terms


def found_by(text: str, question: str) -> bool:
    """Whether the text has one of the question's terms."""
    tongue = language_of(text)
    terms = set(index_terms(text, tongue))
    return any(terms.intersection(group) for group in question_terms(question, (tongue,)))


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("The meetings were moved to Tuesday", "when do we meet?"),
        ("Die Häuser am See sind nicht für uns gebaut worden", "haus"),
        ("Les enfants n'ont pas mangé de l'ananas dans le jardin", "ananas"),
        ("Los niños están jugando en el parque con sus perros", "perro"),
        ("Собаки играют в парке, и они не идут домой", "собака"),
        ("我喜欢吃苹果", "苹果"),
        ("東京タワーは高い", "タワー"),
        ("ฉันชอบกินข้าวผัด", "ข้าว"),
        ("हिन्दी में लिखा है।", "हिन्दी"),
        ("مُحَمَّد كتب", "محمد"),
        ("naïve café", "NAIVE CAFE"),
        ("ﬁle ｆｕｌｌ", "file full"),
        ("the user’s phone", "user's"),
        ("version 3.11", "3.11"),
    ],
)
def test_a_question_finds_a_text(text: str, question: str) -> None:
    assert found_by(text, question)


@pytest.mark.parametrize(("text", "question"), [("a cat", "dog"), ("我喜欢茶", "苹果"), ("the", "a")])
def test_a_question_does_not_find_what_has_none_of_its_words(text: str, question: str) -> None:
    assert not found_by(text, question)


def test_function_words_are_asked_for_only_where_there_is_nothing_else() -> None:
    assert question_terms("what is the capital of it?", ()) == (("capit",),)
    assert question_terms("to be or not to be", ()) == (("to",), ("be",), ("or",), ("not",))


@pytest.mark.parametrize(
    ("text", "tongue"),
    [
        ("we will not be at the office", "english"),
        ("wir sind nicht in dem Haus", "german"),
        ("nous ne sommes pas dans la maison", "french"),
        ("kernel router exchange", "english"),
        ("", "english"),
    ],
)
def test_a_text_is_in_the_language_of_its_grammar(text: str, tongue: str) -> None:
    assert language_of(text) == tongue


@pytest.mark.parametrize("text", ["", "\0", "\ud800", "😀👍", '"" OR * NEAR( -', "\u202e\u200f", "_" * 50])
def test_what_has_no_words_has_no_terms(text: str) -> None:
    assert set(index_terms(text, "english")) <= {"or", "near"}


@given(text=st.text(max_size=200))
def test_terms_are_short_and_never_divide(text: str) -> None:
    for term in (
        *index_terms(text, language_of(text)),
        *(word for group in question_terms(text, ("german",)) for word in group),
    ):
        assert term
        assert len(term) <= WORD_MAX * 4
        assert not set(term) & set(' \0"\t\n_*()-')


def test_a_question_has_a_bounded_number_of_terms() -> None:
    question = " ".join(f"word{number}" for number in range(100_000))
    assert len(question_terms(question, ())) == ASKED_MAX


@pytest.mark.parametrize("tongue", ["english", "french"])
def test_words_as_long_as_a_text_are_not_kept(tongue: str) -> None:
    index_terms("first", tongue)
    tracemalloc.start()
    try:
        for number in range(20):
            assert index_terms(f"{number}{'ab' * 50_000}", tongue)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
