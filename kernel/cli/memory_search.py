"""`maniple memory search` (acts)."""

import click
from msgspec import Struct

from kernel.cli import memories, replies, screen
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions
from kernel.cli.usage_errors import WholeNumber


class Part(Struct, frozen=True, kw_only=True):
    """The rank and score of a fragment by words, or by meaning."""

    rank: int
    score: float
    matched: float = 0.0


class Result(Struct, frozen=True, kw_only=True):
    """A row of memory.recall."""

    fragment: int
    text: str
    time: str
    piece: tuple[int, int]
    whole: bool
    score: float
    freshness: float
    importance: float
    words: Part | None
    meaning: Part | None


class Term(Struct, frozen=True, kw_only=True):
    """A search term. chunks: number of pieces of texts that contain it."""

    term: str
    chunks: int
    used: bool


class Explained(Struct, frozen=True, kw_only=True):
    """Explanation of the whole search. words, meaning: number of fragments that each part found."""

    terms: tuple[Term, ...]
    words: int
    meaning: int
    chunks: int


class Recalled(Struct, frozen=True, kw_only=True):
    """The reply of memory.recall."""

    results: tuple[Result, ...]
    explained: Explained | None = None


@command()
@click.argument("text", metavar="TEXT")
@click.option("-n", "--most", metavar="N", type=WholeNumber(1, 100), default=10, help="At most N; default 10.")
@click.option("--explain", is_flag=True, help="Show why each was found, and what was looked for.")
@memories.whose_options()
def memory_search(session: Session, text: str, most: int, explain: bool, whose: MemoryOptions) -> None:
    """Search a memory for TEXT, by words and by meaning, the best match first.

    TEXT is plain words: no character in it has a special meaning.
    """
    with session.client() as client:
        space = memories.resolve_namespace(client, whose)
        reply = client.call("memory.recall", space, {"text": text, "most": most, "explain": explain})
    found = replies.read(reply.value, Recalled)
    session.result(reply.value, lambda: _drawn(found), nothing="Nothing was found.")
    if reply.labels and not session.json:
        session.say(f"labels: {', '.join(reply.labels)}")


def _drawn(found: Recalled) -> str:
    if found.explained is None and found.results:
        rows = ((str(one.fragment), screen.moment(one.time), f"{one.score:.3f}", _text(one)) for one in found.results)
        return screen.table(("NUMBER", "OF", "SCORE", "TEXT"), rows, right=("NUMBER", "SCORE"))
    if found.explained is None:
        return ""
    lines = [line for one in found.results for line in (f"{one.fragment}: {_text(one)}", f"    {_score_line(one)}")]
    explained = found.explained
    pieces = screen.count(explained.chunks, "piece")
    lines.append(f"{explained.words} by words and {explained.meaning} by meaning, of {pieces} of texts; terms:")
    lines += [f"    {one.term}: in {one.chunks}{'' if one.used else ', not looked for'}" for one in explained.terms]
    return "\n".join(lines)


def _text(one: Result) -> str:
    """The piece that was found, as one line."""
    first, last = one.piece
    return memories.first_line(one.text[first:last] if one.whole else one.text)


def _score_line(one: Result) -> str:
    parts = []
    if one.words is not None:
        parts.append(f"words: {_rank_text(one.words)}, {one.words.matched:.0%} of them")
    if one.meaning is not None:
        parts.append(f"meaning: {_rank_text(one.meaning)}")
    return f"{one.score:.3f} by {'; '.join(parts)}; freshness {one.freshness:.2f}, importance {one.importance:.2f}"


def _rank_text(part: Part) -> str:
    return f"no. {part.rank} with {part.score:.2f}"
