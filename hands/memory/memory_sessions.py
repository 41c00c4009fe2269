"""Conversations, as calls (acts; thin): memory.session.* and memory.sessions. memory/sessions.py defines them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from memory import compacting, session_lines, sessions
from memory.compacting import Summary
from memory.errors import Invalid
from memory.sessions import MAIN, Message, Said, Span
from memory_desk import Answer, Desk, as_failures, fitting, lines_of, moment, whole
from runtime import Call

READ_ROOM: Final = 640 << 10
"""Bytes of messages in one reply."""


class Sessions(Desk):
    """Provides memory.session.* and memory.sessions."""

    async def session_append(
        self, call: Call, messages: Sequence[object], branch: str = MAIN, expect: int | None = None
    ) -> Answer:
        """memory.session.append: appends messages to a branch."""
        with as_failures():
            try:
                said = msgspec.convert(messages, tuple[Said, ...])
            except (msgspec.ValidationError, RecursionError) as error:
                raise Invalid(f"messages is a list of tables of role, text and extra: {error}") from None
        last = await self.writing(
            call,
            lambda store, space: sessions.append(
                store, space, said, branch=branch, expect=expect, labels=tuple(call.labels)
            ),
        )
        return {"last": last}

    async def session_read(
        self, call: Call, branch: str = MAIN, after: int | None = None, most: int = 100, compact: bool = False
    ) -> Answer:
        """memory.session.read. compact: summaries in place of what they cover, and the last messages."""
        if compact:
            items, is_cut = await self.reading(
                call,
                lambda reader, space: compacting.read_compacted(
                    reader, space, branch=branch, most=most, room=READ_ROOM
                ),
            )
            shown, is_short = _last(call, items)
            return {"messages": shown, "more": is_cut or is_short}
        found, last = await self.reading(
            call,
            lambda reader, space: (
                sessions.read(reader, space, branch=branch, after=after, most=most, room=READ_ROOM),
                sessions.last_number(reader, space, branch),
            ),
        )
        if after is None:
            shown, is_cut = _last(call, found)
            return {"messages": shown, "more": is_cut or (bool(found) and found[0].seq > 1)}
        shown, is_cut = fitting(call, ((_row(one), one.labels) for one in found))
        return {"messages": shown, "more": is_cut or (bool(found) and found[-1].seq < last)}

    async def session_search(self, call: Call, text: str, most: int = 20) -> Answer:
        """memory.session.search: messages that contain words."""
        found = await self.reading(call, lambda reader, space: sessions.search(reader, space, text, most=most))
        shown, is_cut = fitting(call, ((_row(one), one.labels) for one in found))
        return {"messages": shown, "more": is_cut or len(found) == most}

    async def session_branch(self, call: Call, name: str, parent: str = MAIN, at: int | None = None) -> Answer:
        """memory.session.branch: forks a branch."""
        labels = tuple(call.labels)
        made = await self.writing(
            call, lambda store, space: sessions.fork(store, space, name, parent=parent, at=at, labels=labels)
        )
        return {"last": made.last}

    async def session_branches(self, call: Call) -> Answer:
        """memory.session.branches: lists the branches of a session."""
        found = await self.reading(call, lambda reader, space: sessions.branches(reader, space))
        call.add_labels(*{label for one in found for label in one.labels})
        return {
            "branches": [
                {"name": one.name, "parent": one.parent, "forked": one.forked, "last": one.last,
                 "created": moment(one.created)}
                for one in found
            ]
        }  # fmt: skip

    async def session_compact(self, call: Call, first: int, last: int, text: str, branch: str = MAIN) -> None:
        """memory.session.compact: puts a summary in place of a range of messages."""
        made = await self.writing(
            call,
            lambda store, space: compacting.compact(
                store, space, first, last, text, branch=branch, labels=tuple(call.labels)
            ),
        )
        call.add_labels(*made.labels)

    async def session_export(self, call: Call) -> Answer:
        """memory.session.export: the messages there are when it begins, a page at a time, so that nobody waits for it."""
        found, last = await self.reading(call, lambda reader, space: session_lines.outline(reader, space))
        await call.send(session_lines.head())
        count, sent = 0, 1 + len(found)
        for one in found:
            call.add_labels(*one.labels)
            await call.send(session_lines.branch_line(one))
            span = Span(one.name, one.forked, one.last)
            while span.after < span.until:
                lines, after, labels = await self._page(call, span)
                count += after - span.after
                sent += lines.count(b"\n")
                span = Span(span.branch, after, span.until)
                call.add_labels(*labels)
                await self.send_all(call, lines)
        done = 0
        while done < last:
            lines, done, labels = await self._summaries(call, done, last)
            call.add_labels(*labels)
            sent += lines.count(b"\n")
            await self.send_all(call, lines)
        await call.send(session_lines.end_line(sent))
        return {"messages": count}

    async def _page(self, call: Call, span: Span) -> tuple[bytes, int, set[str]]:
        return await self.reading(call, lambda reader, space: session_lines.message_lines(reader, space, span))

    async def _summaries(self, call: Call, after: int, until: int) -> tuple[bytes, int, set[str]]:
        return await self.reading(call, lambda reader, space: session_lines.summary_lines(reader, space, after, until))

    async def session_import(self, call: Call) -> Answer:
        """memory.session.import: imports the caller's uploaded lines."""
        async with self.uploaded_lines(call) as path:
            labels = tuple(call.labels)
            count = await self.writing(
                call,
                lambda store, space: session_lines.import_session(store, space, lines_of(path), labels),
                is_long=True,
            )
        return {"messages": count}

    async def sessions(self, call: Call, after: str = "", most: int = 100) -> Answer:
        """memory.sessions: lists the sessions of a memory."""
        whole(call)
        found = await self.reading(call, lambda reader, space: sessions.list_conversations(reader, after, most))
        named = [one for one in found if one.space]
        call.add_labels(*(label for one in named for label in one.labels))
        rows = [
            {"session": one.space, "created": moment(one.created), "last": moment(one.last), "messages": one.messages}
            for one in named
        ]
        return {"sessions": rows, "more": len(found) == most}


def _last(call: Call, found: Sequence[Message | Summary]) -> tuple[list[Answer], bool]:
    """As fitting(), from the end: a reply that cannot hold all holds the newest."""
    shown, is_cut = fitting(call, ((_row(one), one.labels) for one in reversed(found)))
    return shown[::-1], is_cut


def _row(one: Message | Summary) -> Answer:
    if isinstance(one, Summary):
        return {"summary": True, "first": one.first, "last": one.last, "text": one.text, "at": moment(one.at)}
    return {
        "seq": one.seq, "branch": one.branch, "role": one.role, "text": one.text, "extra": one.extra, "at": moment(one.at)
    }  # fmt: skip
