"""Embedders: one suite for all that are in the table; the model's numbers are those of its reference implementation."""

import math
import tracemalloc

import pytest

from memory.arrays import np
from memory.embedders import EMBEDDERS, Embedder, best, distilling, installed, meanings
from memory.embedders.minilm import HEADS, mapped
from memory.embedders.transformer import Encoder
from memory.embedders.wordpiece import WordPiece

ODD = ["", " ", "\0", "\ud800", "😀", "x" * 10_000, "word " * 50_000, "\u202e\u200f", "我喜欢", "a\u0301" * 500]


@pytest.fixture(scope="module", params=list(EMBEDDERS))
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return EMBEDDERS[str(request.param)].make()


def test_whatever_the_text_its_vector_is_finite_and_of_length_one(embedder: Embedder) -> None:
    rows = embedder.vectors(ODD)
    assert rows.shape == (len(ODD), embedder.dimension)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    assert embedder.reach > 0
    assert embedder.name


def test_a_vector_does_not_depend_on_what_is_embedded_beside_it(embedder: Embedder) -> None:
    texts = ["green tea", "a long text about nothing " * 20, "car", "日本"]
    together = embedder.vectors(texts)
    for text, row in zip(texts, together, strict=True):
        assert np.allclose(embedder.vectors([text])[0], row, atol=1e-5)


def test_other_forms_of_a_word_are_nearer_than_other_words(embedder: Embedder) -> None:
    asked, near, far = embedder.vectors(["refrigerator", "the refrigerators", "a bicycle"])
    assert asked @ near > asked @ far + 0.2


def test_the_best_is_the_model() -> None:
    assert best().name == "all-MiniLM-L6-v2/1"


def test_the_model_knows_meaning() -> None:
    asked, near, far = best().vectors(
        ["Which instrument is she learning?", "I started to play the cello.", "I sold my car."]
    )
    assert asked @ near > asked @ far + 0.2


def test_what_needs_no_package_knows_meanings_of_words() -> None:
    fallback = EMBEDDERS["grams"].make()
    asked, near, far = fallback.vectors(["our doctor", "a physician at the hospital", "a docker in the harbour"])
    assert asked @ near > asked @ far + 0.1


@pytest.mark.wide
def test_the_table_of_meanings_is_what_the_model_makes_of_its_pieces() -> None:
    model, table = installed.folder(), meanings.Meanings()
    assert model is not None
    vocabulary = (model / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    pieces = distilling.kept(vocabulary)
    assert meanings.PIECES.read_text(encoding="utf-8").split("\n")[3:-1] == [piece for piece, _ in pieces]
    some = [(piece, number) for piece, number in pieces[:4_000:8] if piece.isalpha()]
    encoder = Encoder(mapped(model / "model.safetensors"), HEADS)
    wanted = distilling.encoded(encoder, vocabulary, [number for _, number in some])
    wanted -= wanted.mean(axis=0)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    rows = table.vectors([piece for piece, _ in some])
    apart = np.triu_indices(len(some), 1)
    assert np.corrcoef((wanted @ wanted.T)[apart], (rows @ rows.T)[apart])[0, 1] > 0.95


def test_what_the_table_does_not_know_has_no_meaning_and_weighs_nothing() -> None:
    unknown, known, both = meanings.Meanings().vectors(["我喜欢 !", "a green tea", "a green 我喜欢 tea!"])
    assert not unknown.any()
    assert np.allclose(known, both, atol=1e-6)


def test_the_models_numbers_are_those_of_its_reference_implementation() -> None:
    # sentence-transformers 6.2.0 and torch 2.15.0 on the same files
    rows = best().vectors(["The quick brown fox jumps over the lazy dog.", "naïve CAFÉ 我喜欢 don't"])
    for row, wanted in zip(rows, REFERENCE, strict=True):
        assert all(math.isclose(one, other, abs_tol=1e-5) for one, other in zip(row[:6].tolist(), wanted, strict=True))


REFERENCE = (
    (0.0439336, 0.0589344, 0.0481784, 0.0775481, 0.0267444, -0.0376296),
    (0.0070506, 0.0439434, 0.0638670, -0.0067250, 0.0401829, -0.0454030),
)

VOCABULARY = ["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "cafe", "我", "喜", "!", "[", "]", "sep", "a"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("unaffable", ["un", "##aff", "##able"]),
        ("CAFÉ!", ["cafe", "!"]),
        ("我喜", ["我", "喜"]),
        ("a\u200b\0a", ["[UNK]"]),
        ("a\u00a0a\ta", ["a", "a", "a"]),
        ("unfit", ["[UNK]"]),
        ("[SEP]", ["[", "sep", "]"]),
        ("a" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_words_are_cut_into_the_longest_pieces_there_are(text: str, pieces: list[str]) -> None:
    numbers = WordPiece(VOCABULARY).numbers(text, 10)
    assert [VOCABULARY[number] for number in numbers] == ["[CLS]", *pieces, "[SEP]"]


def test_a_long_text_is_cut_at_the_bound() -> None:
    assert len(WordPiece(VOCABULARY).numbers("a " * 100, 10)) == 10


def test_words_as_long_as_a_text_are_not_kept() -> None:
    words = WordPiece(["[UNK]", "[CLS]", "[SEP]"])
    tracemalloc.start()
    try:
        for number in range(200):
            assert words.numbers(f"{number}{'x' * 4_000}", 250) == [1, 0, 2]
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
