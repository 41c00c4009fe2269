"""Conversations: messages that are only ever added, and the branches that they took (acts on a Store).

A message has the next number on its branch, from 1, without a hole. A branch begins at some message of another one: up to
there both have the same, with the same numbers. Whoever gives `expect`, the number of the last message that it knows, adds
only if that is still the last. What is searched is one conversation, the newest first: no score is told, for one would
depend on what stands in others.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from memory.errors import Absent, Conflict, Invalid
from memory.filters import packed_labels
from memory.languages import UNSPACED
from memory.names import checked
from memory.queries import queries
from memory.store import Binding, Bindings, Reader, Row, Store

MAIN: Final = "main"
TEXT_MAX: Final = (1 << 20) - (16 << 10)
"""Bytes of a message's text and extra together: it is read back in one reply."""

APPEND_MAX: Final = 1_000
READ_MAX: Final = 1_000
BRANCHES_MAX: Final = 1_000
NESTED_MAX: Final = 32
WORDS_MAX: Final = 64
"""Different words of one search."""

SQL: Final = queries("sessions")
_BRANCH: Final = re.compile(r"(?a)[a-z0-9][a-z0-9._-]{0,63}")
_WORD: Final = re.compile(r"[\w\u0300-\u0331]*[^\W_][\w\u0300-\u0331]*")
"""With the accents that stand by themselves, as the index has words; in one of underscores alone it would find nothing."""

_MARKS: Final = re.compile(r"[\u0300-\u036f]")
_IS_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
"""There a word is looked for as it stands."""


class Said(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that is to be added."""

    role: str
    text: str
    extra: dict[str, object] = {}


class Message(Struct, frozen=True, kw_only=True):
    """A message as it is kept. at: microseconds."""

    seq: int
    branch: str
    role: str
    text: str
    extra: dict[str, object]
    labels: tuple[str, ...]
    at: int


class Branch(Struct, frozen=True, kw_only=True):
    """A way that a conversation took. parent: None for the first one; forked: how many messages it has of its parent."""

    name: str
    parent: str | None
    forked: int
    last: int
    labels: tuple[str, ...]
    created: int


class Conversation(Struct, frozen=True, kw_only=True):
    """A row of a listing. last: when something was said there last. labels: of who began it, and of all that was said."""

    space: str
    created: int
    last: int | None
    messages: int
    labels: tuple[str, ...]


class Span(NamedTuple):
    """A part of a branch's messages: those of `branch` with numbers above `after` and up to `until`."""

    branch: str
    after: int
    until: int


def append(
    store: Store, space: str, said: Sequence[Said], *, branch: str = MAIN, expect: int | None = None,
    labels: Sequence[str] = (),
) -> int:  # fmt: skip
    """Add messages to a branch; the number of the last one. The first one begins the conversation.

    Raises Conflict when `expect` is not the last number before, Absent for an unknown branch, Invalid.
    """
    if not 0 < len(said) <= APPEND_MAX:
        raise Invalid(f"1 to {APPEND_MAX} messages are added at once, not {len(said)}")
    extras = [extra_text(one.extra) for one in said]
    with store.write():
        session = begun(store, space, labels)
        here = _branch(store, session, branch)
        if expect is not None and expect != here.last:
            raise Conflict(f"the last message of {branch!r} is {here.last}, not {expect}: read what came, then answer")
        for number, (one, extra) in enumerate(zip(said, extras, strict=True), here.last + 1):
            add(store, session, branch, number, one, extra, labels, store.now())
        last = here.last + len(said)
        store.rows(SQL["advance"], {"session": session, "name": branch, "last": last})
        return last


def fork(
    store: Store, space: str, name: str, *, parent: str = MAIN, at: int | None = None, labels: Sequence[str] = ()
) -> Branch:
    """A new branch, from message `at` of another one, its last without. Raises Conflict, Absent, Invalid."""
    check_branch(name)
    with store.write():
        session = known(store, space)
        before = _branch(store, session, parent)
        forked = before.last if at is None else at
        if not 0 <= forked <= before.last:
            raise Invalid(f"{parent!r} has messages 1 to {before.last}, and none numbered {forked}")
        all_branches = store.rows(SQL["branches"], {"session": session})
        if any(row[0] == name for row in all_branches):
            raise Conflict(f"there is a branch {name!r} already")
        check_branches(len(all_branches), len(spans(store, session, parent)))
        make_branch(store, session, name, parent, forked, labels, store.now())
        return _branch(store, session, name)


def read(
    store: Reader, space: str, *, branch: str = MAIN, after: int | None = None, since: int = 0, until: int | None = None,
    most: int = 100, room: int = TEXT_MAX,
) -> list[Message]:  # fmt: skip
    """Messages of a branch in their order: the first ones beyond number `after`, or without it the last ones.

    since, until: only those beyond the one, and none beyond the other. room: bytes of texts and extras that are answered at
    most, but for one message. Raises Absent, Invalid.
    """
    if not 0 < most <= READ_MAX:
        raise Invalid(f"1 to {READ_MAX} messages are read at once, not {most}")
    session = known(store, space)
    ways = spans(store, session, branch)
    if since or until is not None:
        ways = _within(ways, since, until)
    if not ways:
        return []
    if after is None:
        after = _first_of_the_last(store, session, ways, most, room)
    found: list[Message] = []
    for way in ways:
        if len(found) < most and way.until > after:
            bindings: Bindings = {
                "session": session, "branch": way.branch, "after": max(after, way.after), "until": way.until,
                "most": most - len(found),
            }  # fmt: skip
            for one in _messages(store, SQL["read"], bindings):
                room -= size(one)
                if room < 0 and found:
                    return found
                found.append(one)
    return found


def _within(ways: Sequence[Span], since: int, until: int | None) -> list[Span]:
    """What lies beyond the one number, and not beyond the other."""
    last = ways[-1].until if until is None else until
    cut = (Span(way.branch, max(way.after, since), min(way.until, last)) for way in ways)
    return [way for way in cut if way.after < way.until]


def search(store: Reader, space: str, text: str, *, most: int = 20) -> list[Message]:
    """The messages of a conversation, on all its branches, in which all the words stand; the newest first.

    The text is words, whatever signs stand in it: it is no query language. After TEXT_MAX bytes no further one is read.
    """
    if not 0 < most <= READ_MAX:
        raise Invalid(f"1 to {READ_MAX} messages are searched for, not {most}")
    text = checked("what is searched for", text, 1_024)
    session = known(store, space)
    words = _each_once(_WORD.findall(unicodedata.normalize("NFC", text)), _as_indexed)
    if not words or _IS_UNSPACED.search(text):
        terms = msgspec.json.encode(_each_once(text.split(), str)).decode()
        return _up_to(TEXT_MAX, _messages(store, SQL["scan"], {"session": session, "terms": terms, "most": most}))
    query = " AND ".join(f'"{word}"' for word in words)
    return _up_to(TEXT_MAX, _messages(store, SQL["search"], {"query": query, "session": session, "most": most}))


def _as_indexed(word: str) -> str:
    """What the index surely takes for the same: English letters, marked or not, in either case; else the word itself.

    Of other letters it keeps the marks, as of ǡ: и and й are two to it.
    """
    plain = _MARKS.sub("", unicodedata.normalize("NFD", word))
    return plain.lower() if plain.isascii() else word


def _each_once(words: Sequence[str], as_compared: Callable[[str], str]) -> list[str]:
    """Different words, for each is looked for wherever it stands. Raises Invalid for too many."""
    different = {as_compared(word): word for word in words}
    if len(different) > WORDS_MAX:
        raise Invalid(f"at most {WORDS_MAX} different words are searched for at once, not {len(different)}")
    return list(different.values())


def branches(store: Reader, space: str) -> list[Branch]:
    """All branches, in the order in which they were made. Raises Absent."""
    return [_as_branch(row) for row in store.rows(SQL["branches"], {"session": known(store, space)})]


def last_of(store: Reader, space: str, branch: str = MAIN) -> int:
    """The number of a branch's last message. Raises Absent."""
    return _branch(store, known(store, space), branch).last


def keys_of(store: Reader, after: str = "", most: int = 100) -> list[Conversation]:
    """The conversations of a whole file by their spaces, beyond the space `after`. Raises Invalid."""
    if not 0 < most <= READ_MAX:
        raise Invalid(f"1 to {READ_MAX} conversations are listed at once, not {most}")
    rows = store.rows(SQL["keys"], {"after": after, "most": most})
    fields = ("space", "created", "last", "messages", "labels")
    return [
        msgspec.convert(dict(zip(fields, (*row[:-1], _together(row[-1])), strict=True)), Conversation) for row in rows
    ]


def _together(told: Binding) -> list[str]:
    """Several rows' labels as one list."""
    return sorted({label for labels in msgspec.json.decode(str(told), type=list[list[str]]) for label in labels})


# what the parts of sessions share -------------------------------------------------------------------------------------


def known(store: Reader, space: str) -> int:
    """The row of the conversation in a space. Raises Absent."""
    rows = store.rows(SQL["session"], {"space": space})
    if not rows:
        raise Absent("there is no conversation here")
    return int(rows[0][0] or 0)


def begun(store: Store, space: str, labels: Sequence[str] = ()) -> int:
    """The row of the conversation in a space, which begins now if there is none."""
    rows = store.rows(SQL["session"], {"space": space})
    if rows:
        return int(rows[0][0] or 0)
    ((row,),) = store.rows(SQL["begin"], {"space": space, "now": store.now()})
    make_branch(store, int(row or 0), MAIN, None, 0, labels, store.now())
    return int(row or 0)


def check_branch(name: str) -> None:
    """Raise Invalid for what no branch can be called."""
    if not _BRANCH.fullmatch(name):
        raise Invalid("a branch's name is 1 to 64 small letters, digits and . _ -, beginning with a letter or digit")


def check_branches(there: int, depth: int) -> None:
    """Raise Invalid where there are so many branches already, or so many out of each other, that no other can be made."""
    if there >= BRANCHES_MAX or depth >= NESTED_MAX:
        raise Invalid(f"a conversation has at most {BRANCHES_MAX} branches, {NESTED_MAX} out of each other")


def make_branch(
    store: Store, session: int, name: str, parent: str | None, forked: int, labels: Sequence[str], at: int
) -> None:
    """Add a branch without a message of its own."""
    told = packed_labels(labels)
    store.rows(
        SQL["make_branch"],
        {"session": session, "name": name, "parent": parent, "forked": forked, "labels": told, "now": at},
    )  # fmt: skip


def add(
    store: Store, session: int, branch: str, seq: int, said: Said, extra: str, labels: Sequence[str], at: int
) -> None:  # fmt: skip
    """Add one message under its number. Raises Invalid."""
    checked("a role", said.role, 64)
    besides = max(len(extra.encode()), len(msgspec.msgpack.encode(said.extra)))
    if len(said.text.encode(errors="surrogatepass")) + besides > TEXT_MAX:
        raise Invalid(f"a message takes at most {TEXT_MAX} bytes: divide it, or store it as fragments")
    try:
        said.text.encode()
    except UnicodeEncodeError:
        raise Invalid("a message is Unicode text, without lone surrogates") from None
    told = packed_labels(labels)
    store.rows(
        SQL["say"],
        {"session": session, "branch": branch, "seq": seq, "role": said.role.strip(), "text": said.text, "extra": extra,
         "labels": told, "now": at},
    )  # fmt: skip


def spans(store: Reader, session: int, branch: str) -> list[Span]:
    """Where the messages of a branch lie, the oldest first: its own, and those that it has of the branches before."""
    found: list[Span] = []
    name, until = branch, math.inf
    while True:
        here = _branch(store, session, name)
        last = int(min(until, here.last))
        found.append(Span(name, min(here.forked, last), last))
        if here.parent is None:
            return found[::-1]
        name, until = here.parent, min(until, here.forked)


def message_of(row: Row) -> Message:
    """A message of its row."""
    seq, branch, role, text, extra, labels, at = row
    return msgspec.convert(
        {
            "seq": seq, "branch": branch, "role": role, "text": text, "extra": msgspec.json.decode(str(extra)),
            "labels": msgspec.json.decode(str(labels)), "at": at,
        },
        Message,
    )  # fmt: skip


def extra_text(extra: dict[str, object]) -> str:
    """What a message has besides its text, as JSON. Raises Invalid for what JSON has no words for: it would not come back."""
    try:
        raw = msgspec.json.encode(extra)
        if msgspec.json.decode(raw) != extra:
            raise Invalid("extra holds what JSON has no words for, such as bytes")
        return raw.decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise Invalid(f"extra cannot be kept: {error}") from None


def _branch(store: Reader, session: int, name: str) -> Branch:
    rows = store.rows(SQL["branch"], {"session": session, "name": name})
    if not rows:
        raise Absent(f"there is no branch {name!r} here")
    return _as_branch(rows[0])


def _as_branch(row: Row) -> Branch:
    name, parent, forked, last, labels, created = row
    return msgspec.convert(
        {"name": name, "parent": parent, "forked": forked, "last": last, "labels": msgspec.json.decode(str(labels)),
         "created": created},
        Branch,
    )  # fmt: skip


def _first_of_the_last(store: Reader, session: int, ways: Sequence[Span], most: int, room: int) -> int:
    """The number before the first of the last messages that fit."""
    first, left = ways[-1].until, room
    for way in reversed(ways):
        bindings: Bindings = {
            "session": session, "branch": way.branch, "after": way.after, "until": way.until, "most": most
        }  # fmt: skip
        for seq, size in store.rows(SQL["sizes"], bindings):
            left -= int(size or 0) + 256
            if most == 0 or (left < 0 and first < ways[-1].until):
                return first
            first, most = int(seq or 0) - 1, most - 1
    return first


def _messages(store: Reader, query: str, bindings: Bindings) -> Iterator[Message]:
    """One after the other: all that a query finds may be more than a process can hold."""
    return map(message_of, store.each(query, bindings))


def _up_to(room: int, messages: Iterator[Message]) -> list[Message]:
    """Those that have room, and the one that has none any more, so that it is seen that there are others."""
    found: list[Message] = []
    for one in messages:
        found.append(one)
        room -= size(one)
        if room < 0:
            break
    return found


def size(one: Message) -> int:
    """Bytes that a message takes in a reply, all that is said of it included."""
    return len(one.text.encode()) + len(msgspec.json.encode(one.extra)) + 256
