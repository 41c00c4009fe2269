"""The Hand `report`: stores finished artefacts, each with a type and a title (acts; thin over artefact_shelf).

The kernel says whose an artefact is, by the namespace it delivers.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Final

from artefact_shelf import NO_ROOM, Artefact, ArtefactShelf, Draft, TooLarge, TooMany, id_of
from runtime import Call, Failure, Hand
from wire.entries import time_text

TITLE_MOST: Final = 300
LISTED_MOST: Final = 500
READ_SIZE: Final = 256 * 1024
PLAIN: Final = "text/markdown"
"""The type of a `text` if the caller gives none."""

BYTES: Final = "application/octet-stream"
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
"""A media type without parameters (RFC 6838 §4.2)."""


class Report(Hand):
    """Provides report.*."""

    async def start(self) -> None:
        """Opens the shelf."""
        self.shelf = ArtefactShelf(self.state)
        for note in self.shelf.notes:
            self.log.warning(note)
        self.coming: Counter[str] = Counter()  # bytes of drafts, by namespace

    async def stop(self) -> None:
        """Closes the shelf."""
        self.shelf.close()

    async def put(
        self, call: Call, title: str, type: str | None = None, text: str | None = None  # noqa: A002  (a param)
    ) -> dict[str, object]:  # fmt: skip
        """report.put: stores a text or a stream whole, or fails and stores nothing."""
        kind = type or (BYTES if text is None else PLAIN)
        if not title.strip() or len(title) > TITLE_MOST or "\0" in title or not _TYPE.fullmatch(kind):
            raise Failure(
                "arguments", f"title must have 1 to {TITLE_MOST} characters, and type must be one like text/markdown."
            )
        if (text is None) is not call.uploads:
            raise Failure("arguments", "give the artefact either as text or as a stream.")
        count, each = self.settings.of("count", int), self.settings.of("each", int)
        try:
            with self._draft(call.resource) as draft:
                if text is not None:
                    self._take(call, draft, text.encode())
                async for chunk in call.upload:
                    self._take(call, draft, chunk)
                labels = tuple(sorted(call.labels))
                one = self.shelf.put(call.resource, title, kind, draft, _now(), labels, count=count, each=each)
        except TooMany:
            raise Failure("too many", f"there are {count} artefacts here: remove one (the setting `count`).") from None
        except TooLarge:
            text = f"all artefacts here have at most {each} bytes: remove one (the setting `each`)."
            raise Failure("too large", text) from None
        except OSError as error:
            raise Failure("disk", f"it could not be kept: {error.strerror or error}.") from None
        except NO_ROOM as error:
            raise Failure("disk", f"it could not be kept: {error}.") from None
        return {"id": one.id, "size": one.size, "sha256": one.sha256}

    async def list(self, call: Call, most: int = 100) -> dict[str, object]:
        """report.list: the namespace's artefacts, latest first."""
        return self._listed(call, self.shelf.of(call.resource, _checked(most) + 1), most)

    async def all(self, call: Call, most: int = 100, begins: str = "") -> dict[str, object]:
        """report.all: the artefacts of all namespaces, each with its own. begins: only ids that begin with this."""
        listed = self._listed(call, self.shelf.every(_checked(most) + 1, begins), most)
        return {**listed, "problems": self.shelf.problems}

    async def read(self, call: Call, id: str) -> dict[str, object]:  # noqa: A002  (a param)
        """report.read: streams an artefact's bytes, and fails behind them if they are not those that were put."""
        one = self.shelf.find(call.resource, id)
        if one is None:
            raise Failure("not found", f"there is no artefact {id[:40]!r} here.")
        call.add_labels(*one.labels)
        path, digest = self.shelf.path(one), sha256()
        with suppress(OSError), path.open("rb") as file:
            while chunk := file.read(READ_SIZE):
                digest.update(chunk)
                await call.send(chunk)
        if id_of(one.space, one.title, one.type, digest.hexdigest()) != one.id:
            raise Failure("damaged", f"{one.id} is not as it was put: put it again, or restore {path} from a backup.")
        return one.as_reply()

    async def remove(self, call: Call, id: str) -> dict[str, object]:  # noqa: A002  (a param)
        """report.remove: removes an artefact and its bytes."""
        try:
            return {"removed": self.shelf.remove(call.resource, id)}
        except NO_ROOM as error:
            raise Failure("disk", f"it could not be removed: {error}.") from None

    @contextmanager
    def _draft(self, space: str) -> Iterator[Draft]:
        draft = Draft(self.shelf.folder)
        try:
            yield draft
        finally:
            self.coming[space] -= draft.size
            draft.drop()

    def _take(self, call: Call, draft: Draft, chunk: bytes) -> None:
        """Adds a chunk. Raises TooLarge beyond the room left plus `most`: a stored artefact that comes again adds nothing."""
        most = self.settings.of("most", int)
        if draft.size + len(chunk) > most:
            raise Failure("too large", f"an artefact has at most {most} bytes (the setting `most`).")
        left = max(self.settings.of("each", int) - self.shelf.size_of(call.resource), 0)
        if self.coming[call.resource] + len(chunk) > left + most:
            raise TooLarge
        draft.write(chunk)
        self.coming[call.resource] += len(chunk)

    def _listed(self, call: Call, found: Sequence[Artefact], most: int) -> dict[str, object]:
        for one in found[:most]:
            call.add_labels(*one.labels)
        rows = [{"namespace": one.space, **one.as_reply()} for one in found[:most]]
        return {"artifacts": rows, "more": len(found) > most}


def _checked(most: int) -> int:
    if not 1 <= most <= LISTED_MOST:
        raise Failure("arguments", f"most must be between 1 and {LISTED_MOST}.")
    return most


def _now() -> str:
    return time_text(time.time_ns() // 1_000)
