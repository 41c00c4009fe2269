"""Without a language model: the words of a text are counted by stems, which are remembered, however long the words are."""

import tracemalloc

from runtime.models.drivers import offline_texts


def test_words_as_long_as_a_text_are_not_kept() -> None:
    offline_texts.stems("first")
    tracemalloc.start()
    try:
        for number in range(20):
            assert offline_texts.phrases(f"{number}{'ab' * 50_000}")
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
