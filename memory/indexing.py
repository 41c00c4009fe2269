"""What of a fragment the indexes hold, put in and taken out in the transaction that changes the fragment (acts).

A row of the index is a chunk. Chunks are numbered anew whenever a text changes and no number is given twice, so that what
was worked out meanwhile for an older text, such as its vector, can never be taken for the newer one's.
"""

from typing import Final

from memory import blocks, spaces
from memory.chunks import chunked
from memory.errors import Damaged
from memory.filters import encoded
from memory.queries import queries
from memory.spaces import Space
from memory.store import Reader, Store
from memory.times import counted
from memory.words import analysed

_SQL: Final = queries("indexing")
_VECTORS: Final = queries("vectors")


def index(store: Store, space: Space, fragment: int, text: str, language: str) -> None:
    """Put a live fragment's text into the index of words; its vectors it waits for."""
    chunks = terms = 0
    for start, finish in chunked(text):
        words = analysed(text[start:finish], language)
        told = store.rows(_SQL["next_chunk"], {"space": space.id})
        if not told:
            raise Damaged(f"the space in which fragment {spaces.number(fragment)} lies is there no more")
        ((serial,),) = told
        chunk = space.first + counted(serial, spaces.NUMBER_LAST)
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
    """Take a fragment's text out of all indexes."""
    chunks = terms = 0
    for chunk, length in store.rows(_SQL["chunks_of"], {"fragment": fragment}):
        store.rows(_SQL["drop_words"], {"id": chunk})
        blocks.drop(store, int(str(chunk)))
        store.rows(_SQL["drop_chunk"], {"id": chunk})
        chunks += 1
        terms += int(str(length))
    store.rows(_SQL["count"], {"space": space.id, "chunks": -chunks, "terms": -terms})


def waits(store: Reader) -> bool:
    """Whether anything of the whole file waits for a vector, or would if a model were registered."""
    return bool(store.rows(_VECTORS["any_waiting"])[0][0])


def holds(store: Reader) -> bool:
    """Whether anything of the whole file is indexed."""
    return bool(store.rows(_VECTORS["any_chunk"])[0][0])


def speak(store: Store, space: Space, language: str) -> None:
    """Note that the space holds a text in this language."""
    if language not in space.languages:
        store.rows(_SQL["speak"], {"space": space.id, "languages": encoded(sorted({*space.languages, language}))})


def term(space: Space, word: str) -> str:
    """A word as the index has it: its space's number before it, and no ASCII but letters and digits: it would divide it."""
    return f"{space.id}x" + word.replace("'", "’")
