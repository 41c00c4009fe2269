"""Conversations: append-only messages, in branches (acts on a Store).

Messages of a branch are numbered from 1, without gaps. A branch begins at some message of another one: up to there both
have the same messages, with the same numbers. With `expect`, the number of the last message that the caller knows, messages
are added only if that is still the last. A search covers one conversation, newest first, and gives no scores, since these
would depend on other conversations.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from memory.errors import Absent, Conflict, Invalid
from memory.filters import encode_labels
from memory.languages import UNSPACED
from memory.names import check_text
from memory.queries import queries
from memory.store import Binding, Bindings, Reader, Row, Store

MAIN: Final = "main"
TEXT_MAX: Final = (1 << 20) - (16 << 10)
"""The most bytes of a message's text and extra together: it must fit into one reply."""

APPEND_MAX: Final = 1_000
READ_MAX: Final = 1_000
BRANCHES_MAX: Final = 1_000
NESTED_MAX: Final = 32
WORDS_MAX: Final = 64
"""The most different words of one search."""

SQL: Final = queries("sessions")
_BRANCH: Final = re.compile(r"(?a)[a-z0-9][a-z0-9._-]{0,63}")
_WORD: Final = re.compile(r"[\w\u0300-\u0331]*[^\W_][\w\u0300-\u0331]*")
"""A word with combining accents, as in the index. A word of underscores only is left out, since the index has none."""

_MARKS: Final = re.compile(r"[\u0300-\u036f]")
_IS_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
"""Scripts whose words are searched for literally."""


class Said(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to add."""

    role: str
    text: str
    extra: dict[str, object] = {}


class Message(Struct, frozen=True, kw_only=True):
    """A stored message. at: microseconds since 1970."""

    seq: int
    branch: str
    role: str
    text: str
    extra: dict[str, object]
    labels: tuple[str, ...]
    at: int


class Branch(Struct, frozen=True, kw_only=True):
    """A branch of a conversation. parent: None for the first; forked: the number of messages shared with its parent."""

    name: str
    parent: str | None
    forked: int
    last: int
    labels: tuple[str, ...]
    created: int


class Conversation(Struct, frozen=True, kw_only=True):
    """A row of a listing. last: the time of its last message. labels: of its beginning, and of all its messages."""

    space: str
    created: int
    last: int | None
    messages: int
    labels: tuple[str, ...]


class Span(NamedTuple):
    """A range of messages of `branch`: the numbers above `after` and up to `until`."""

    branch: str
    after: int
    until: int


def append(
    store: Store, space: str, said: Sequence[Said], *, branch: str = MAIN, expect: int | None = None,
    labels: Sequence[str] = (),
) -> int:  # fmt: skip
    """Add messages to a branch, and return the number of the last. The first message begins the conversation.

    Raises Conflict unless the branch's last number before is `expect`, Absent for an unknown branch, Invalid.
    """
    if not 0 < len(said) <= APPEND_MAX:
        raise Invalid(f"1 to {APPEND_MAX} messages are added at once, not {len(said)}")
    extras = [extra_text(one.extra) for one in said]
    with store.write():
        session = ensure_session(store, space, labels)
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
    """Make a branch from message `at` of another one, None for its last. Raises Conflict, Absent, Invalid."""
    check_branch(name)
    with store.write():
        session = session_row(store, space)
        before = _branch(store, session, parent)
        forked = before.last if at is None else at
        if not 0 <= forked <= before.last:
            raise Invalid(f"{parent!r} has messages 1 to {before.last}, and none numbered {forked}")
        all_branches = store.rows(SQL["branches"], {"session": session})
        if any(row[0] == name for row in all_branches):
            raise Conflict(f"there is a branch {name!r} already")
        check_branches(len(all_branches), len(branch_spans(store, session, parent)))
        make_branch(store, session, name, parent, forked, labels, store.now())
        return _branch(store, session, name)


def read(
    store: Reader, space: str, *, branch: str = MAIN, after: int | None = None, since: int = 0, until: int | None = None,
    most: int = 100, room: int = TEXT_MAX,
) -> list[Message]:  # fmt: skip
    """Return messages of a branch, in order: the first above number `after`, or if that is None the last.

    since, until: only numbers above the one and up to the other. room: the most bytes of texts and extras, though at least
    one message is returned. Raises Absent, Invalid.
    """
    if not 0 < most <= READ_MAX:
        raise Invalid(f"1 to {READ_MAX} messages are read at once, not {most}")
    session = session_row(store, space)
    ways = branch_spans(store, session, branch)
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
                room -= reply_size(one)
                if room < 0 and found:
                    return found
                found.append(one)
    return found


def _within(ways: Sequence[Span], since: int, until: int | None) -> list[Span]:
    """Cut spans to the numbers above `since` and up to `until`."""
    last = ways[-1].until if until is None else until
    cut = (Span(way.branch, max(way.after, since), min(way.until, last)) for way in ways)
    return [way for way in cut if way.after < way.until]


def search(store: Reader, space: str, text: str, *, most: int = 20) -> list[Message]:
    """Return the messages of a conversation, on all branches, that contain all the words; newest first.

    The text is words and not a query language, whatever characters it has. Reading stops after TEXT_MAX bytes.
    """
    if not 0 < most <= READ_MAX:
        raise Invalid(f"1 to {READ_MAX} messages are searched for, not {most}")
    text = check_text("what is searched for", text, 1_024)
    session = session_row(store, space)
    words = _unique(_WORD.findall(unicodedata.normalize("NFC", text)), _as_indexed)
    if not words or _IS_UNSPACED.search(text):
        terms = msgspec.json.encode(_unique(text.split(), str)).decode()
        return _up_to(TEXT_MAX, _messages(store, SQL["scan"], {"session": session, "terms": terms, "most": most}))
    query = " AND ".join(f'"{word}"' for word in words)
    return _up_to(TEXT_MAX, _messages(store, SQL["search"], {"query": query, "session": session, "most": most}))


def _as_indexed(word: str) -> str:
    """Return a form that is equal for words that the index treats alike: English letters, with or without marks, in either
    case. Other words are returned unchanged: of other letters, as of ǡ, the index keeps the marks (и and й differ).
    """
    plain = _MARKS.sub("", unicodedata.normalize("NFD", word))
    return plain.lower() if plain.isascii() else word


def _unique(words: Sequence[str], as_compared: Callable[[str], str]) -> list[str]:
    """Return the words without duplicates. Raises Invalid for too many."""
    different = {as_compared(word): word for word in words}
    if len(different) > WORDS_MAX:
        raise Invalid(f"at most {WORDS_MAX} different words are searched for at once, not {len(different)}")
    return list(different.values())


def branches(store: Reader, space: str) -> list[Branch]:
    """Return all branches, in order of creation. Raises Absent."""
    return [_as_branch(row) for row in store.rows(SQL["branches"], {"session": session_row(store, space)})]


def last_number(store: Reader, space: str, branch: str = MAIN) -> int:
    """Return the number of a branch's last message. Raises Absent."""
    return _branch(store, session_row(store, space), branch).last


def list_conversations(store: Reader, after: str = "", most: int = 100) -> list[Conversation]:
    """Return the conversations of a file, sorted by space, after the space `after`. Raises Invalid."""
    if not 0 < most <= READ_MAX:
        raise Invalid(f"1 to {READ_MAX} conversations are listed at once, not {most}")
    rows = store.rows(SQL["keys"], {"after": after, "most": most})
    fields = ("space", "created", "last", "messages", "labels")
    return [msgspec.convert(dict(zip(fields, (*row[:-1], _union(row[-1])), strict=True)), Conversation) for row in rows]


def _union(told: Binding) -> list[str]:
    """Return the union of several rows' labels. told: a JSON list of lists."""
    return sorted({label for labels in msgspec.json.decode(str(told), type=list[list[str]]) for label in labels})


# what the parts of sessions share -------------------------------------------------------------------------------------


def session_row(store: Reader, space: str) -> int:
    """Return the row id of the conversation in a space. Raises Absent."""
    rows = store.rows(SQL["session"], {"space": space})
    if not rows:
        raise Absent("there is no conversation here")
    return int(rows[0][0] or 0)


def ensure_session(store: Store, space: str, labels: Sequence[str] = ()) -> int:
    """Return the row id of the conversation in a space, created if necessary."""
    rows = store.rows(SQL["session"], {"space": space})
    if rows:
        return int(rows[0][0] or 0)
    ((row,),) = store.rows(SQL["begin"], {"space": space, "now": store.now()})
    make_branch(store, int(row or 0), MAIN, None, 0, labels, store.now())
    return int(row or 0)


def check_branch(name: str) -> None:
    """Raise Invalid for a malformed name of a branch."""
    if not _BRANCH.fullmatch(name):
        raise Invalid("a branch's name is 1 to 64 small letters, digits and . _ -, beginning with a letter or digit")


def check_branches(there: int, depth: int) -> None:
    """Raise Invalid if there are too many branches for one more, or if it would be nested too deep."""
    if there >= BRANCHES_MAX or depth >= NESTED_MAX:
        raise Invalid(f"a conversation has at most {BRANCHES_MAX} branches, {NESTED_MAX} out of each other")


def make_branch(
    store: Store, session: int, name: str, parent: str | None, forked: int, labels: Sequence[str], at: int
) -> None:
    """Add a branch without messages of its own."""
    told = encode_labels(labels)
    store.rows(
        SQL["make_branch"],
        {"session": session, "name": name, "parent": parent, "forked": forked, "labels": told, "now": at},
    )  # fmt: skip


def add(
    store: Store, session: int, branch: str, seq: int, said: Said, extra: str, labels: Sequence[str], at: int
) -> None:  # fmt: skip
    """Add one message under its number. Raises Invalid."""
    check_text("a role", said.role, 64)
    besides = max(len(extra.encode()), len(msgspec.msgpack.encode(said.extra)))
    if len(said.text.encode(errors="surrogatepass")) + besides > TEXT_MAX:
        raise Invalid(f"a message takes at most {TEXT_MAX} bytes: divide it, or store it as fragments")
    try:
        said.text.encode()
    except UnicodeEncodeError:
        raise Invalid("a message is Unicode text, without lone surrogates") from None
    told = encode_labels(labels)
    store.rows(
        SQL["add_message"],
        {"session": session, "branch": branch, "seq": seq, "role": said.role.strip(), "text": said.text, "extra": extra,
         "labels": told, "now": at},
    )  # fmt: skip


def branch_spans(store: Reader, session: int, branch: str) -> list[Span]:
    """Return the spans of a branch's messages, oldest first: those shared with earlier branches, then its own."""
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
    """Make a Message of a row."""
    seq, branch, role, text, extra, labels, at = row
    return msgspec.convert(
        {
            "seq": seq, "branch": branch, "role": role, "text": text, "extra": msgspec.json.decode(str(extra)),
            "labels": msgspec.json.decode(str(labels)), "at": at,
        },
        Message,
    )  # fmt: skip


def extra_text(extra: dict[str, object]) -> str:
    """Encode a message's extra as JSON. Raises Invalid for values that JSON cannot represent exactly."""
    try:
        raw = msgspec.json.encode(extra)
        if msgspec.json.decode(raw) != extra:
            raise Invalid("extra holds a value that JSON cannot represent, such as bytes")
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
    """Return the number before the first of the last messages that fit into `most` and `room`."""
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
    """Yield the messages of a query one by one, since all of them may not fit into memory."""
    return map(message_of, store.each(query, bindings))


def _up_to(room: int, messages: Iterator[Message]) -> list[Message]:
    """Return messages up to `room` bytes, and the first beyond, which shows that there are more."""
    found: list[Message] = []
    for one in messages:
        found.append(one)
        room -= reply_size(one)
        if room < 0:
            break
    return found


def reply_size(one: Message) -> int:
    """Return the bytes that a message takes in a reply, with all its fields."""
    return len(one.text.encode()) + len(msgspec.json.encode(one.extra)) + 256
