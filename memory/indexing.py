"""Maintenance of a fragment's index entries, in the transaction that changes the fragment (acts).

A row of the index is a chunk. A changed text gets new chunk numbers, and no number is given twice, so that a result
computed for the old text, such as its vector, is never taken for the new one's.
"""

from typing import Final

from memory import blocks, spaces
from memory.chunks import split_text
from memory.errors import Damaged
from memory.filters import to_json
from memory.queries import queries
from memory.spaces import Space
from memory.store import Reader, Store
from memory.times import usable_number
from memory.words import index_terms

_SQL: Final = queries("indexing")
_VECTORS: Final = queries("vectors")


def index(store: Store, space: Space, fragment: int, text: str, language: str) -> None:
    """Add a live fragment's text to the index of words, and queue its chunks for vectors."""
    chunks = terms = 0
    for start, finish in split_text(text):
        words = index_terms(text[start:finish], language)
        told = store.rows(_SQL["next_chunk"], {"space": space.id})
        if not told:
            raise Damaged(f"the space in which fragment {spaces.number(fragment)} lies is there no more")
        ((serial,),) = told
        chunk = space.first + usable_number(serial, spaces.NUMBER_LAST)
        store.rows(
            _SQL["add_chunk"],
            {"id": chunk, "fragment": fragment, "start": start, "finish": finish, "terms": len(words)},
        )
        store.rows(_SQL["add_words"], {"id": chunk, "words": " ".join(term(space, word) for word in words)})
        store.rows(_VECTORS["await"], {"chunk": chunk})
        chunks += 1
        terms += len(words)
    store.rows(_SQL["count"], {"space": space.id, "chunks": chunks, "terms": terms})


def unindex(store: Store, space: Space, fragment: int) -> None:
    """Remove a fragment's text from all indexes."""
    chunks = terms = 0
    for chunk, length in store.rows(_SQL["chunks_of"], {"fragment": fragment}):
        store.rows(_SQL["drop_words"], {"id": chunk})
        blocks.drop(store, int(str(chunk)))
        store.rows(_SQL["drop_chunk"], {"id": chunk})
        chunks += 1
        terms += int(str(length))
    store.rows(_SQL["count"], {"space": space.id, "chunks": -chunks, "terms": -terms})


def is_waiting(store: Reader) -> bool:
    """Whether any chunk of the file waits for a vector, or would if a model were registered."""
    return bool(store.rows(_VECTORS["any_waiting"])[0][0])


def has_chunks(store: Reader) -> bool:
    """Whether the file has any indexed chunk."""
    return bool(store.rows(_VECTORS["any_chunk"])[0][0])


def add_language(store: Store, space: Space, language: str) -> None:
    """Note that the space has a text in this language."""
    if language not in space.languages:
        store.rows(
            _SQL["set_languages"], {"space": space.id, "languages": to_json(sorted({*space.languages, language}))}
        )


def term(space: Space, word: str) -> str:
    """Return a word as indexed: with its space's id in front, and no ASCII other than letters and digits, at which the index
    would split it."""
    return f"{space.id}x" + word.replace("'", "’")
