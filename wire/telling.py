"""Going through a run's tape again (pure): what it asks is matched with what it asked, what it heard is told in order.

A process that is told what the one before it was told asks for the same, since it takes one message at a time and has
no other clock or chance. So the requests on the tape are met one by one and each message is told when the request that
it belongs to has been made again. What is not on the tape comes after it.

in_order: the requests must come in the tape's own order, as those of a Hand in Python do. Those of a program in another
process may come in another one: there each is matched by what it is, and by how often it came before.
"""

from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator
from hashlib import blake2b
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from wire import codec, headers, limits
from wire.errors import Diverged, NotNow
from wire.headers import FromKernel, FromRun
from wire.labels import Labels, join
from wire.tape import Asked, Began, Heard, Placed, Spent

ENDS: Final = (headers.Done, headers.Failed, headers.Refused, headers.Cancelled)
Request: TypeAlias = headers.Call | headers.Publish | headers.Subscribe


AHEAD: Final = 32
SMALL: Final = 4096
"""Messages that may be told before their request has come, each of so many bytes at most: see Telling.due."""

BESIDE: Final = 160
"""Bytes of memory that a message takes beside its own."""


class Known(Struct, frozen=True, kw_only=True, gc=False):
    """A request on a tape. number: the run's; seq: of its entry in the log, if it was allowed.

    is_begun: the tape has something of it, a chunk or credit for one; is_ended: it has its end.
    """

    number: int
    kind: str
    on: str
    resource: str
    digest: bytes
    seq: int
    is_begun: bool = False
    is_ended: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.on}" + (f" on {self.resource!r}" if self.resource else "")

    def is_like(self, other: "Known") -> bool:
        """Whether both ask for the same."""
        return (self.kind, self.on, self.resource, self.digest) == (other.kind, other.on, other.resource, other.digest)


class Contents(Struct, kw_only=True):
    """What a first look at a tape finds. heard: messages on it; needs: entries of the log that vouch for all of it.

    is_delivered: the run was given its work. spent: what it had used when that was last put down. labels: of what it was
    begun with and of all that it was told. kept: its messages, all of them or none, which take `size` bytes of memory.
    """

    known: list[Known]
    heard: int
    needs: int
    is_delivered: bool
    spent: Spent = Spent()
    labels: Labels = frozenset()
    kept: list[Heard] = []
    size: int = 0

    def numbered(self) -> dict[int, int]:
        """What a process that asks in the same order calls each request, as its loop numbers them."""
        return {known.number: 2 * n + 1 for n, known in enumerate(self.known)}


def known_of(asked: Asked, seq: int = 0) -> Known:
    """A request as it is matched."""
    return Known(
        number=asked.number, kind=asked.kind, on=asked.on, resource=asked.resource, digest=asked.digest, seq=seq
    )  # fmt: skip


def look_at(records: Iterable[Placed], room: int = 0) -> Contents:
    """What is on a tape. room: bytes of memory in which its messages are kept if they fit, so that it is read once."""
    known: dict[int, Known] = {}
    heard, needs, is_delivered, spent, labels = 0, 0, False, Spent(), Labels()
    kept, size = list[Heard](), 0
    for placed in records:
        needs = max(needs, placed.needs)
        if isinstance(placed.record, Began):
            labels = join(labels, placed.record.labels)
        elif isinstance(placed.record, Asked):
            known[placed.record.number] = known_of(placed.record, placed.needs - 1)
        elif isinstance(placed.record, Spent):
            spent = placed.record
        elif isinstance(placed.record, Heard):
            heard += 1
            size += BESIDE + len(placed.record.header) + len(placed.record.body)
            if size <= room:
                kept.append(placed.record)
            header = codec.decode_from_kernel(placed.record.header)
            is_delivered = is_delivered or isinstance(header, headers.Call)
            if marks := getattr(header, "labels", ()):
                labels = join(labels, marks)
            number = number_of(header)
            if number in known and not (known[number].is_begun and isinstance(header, headers.Chunk)):
                is_ended = isinstance(header, ENDS)
                known[number] = replace(known[number], is_begun=not is_ended, is_ended=is_ended)
    if len(kept) < heard:
        kept, size = [], 0
    return Contents(
        known=list(known.values()), heard=heard, needs=needs, is_delivered=is_delivered, spent=spent, labels=labels,
        kept=kept, size=size,
    )  # fmt: skip


def first(records: Iterable[Placed], heard: int) -> Iterator[Placed]:
    """A tape's records up to its first so many messages, and the requests behind them."""
    for placed in records:
        if isinstance(placed.record, Heard):
            if not heard:
                return
            heard -= 1
        yield placed


def number_of(header: FromKernel | FromRun) -> int:
    """The number of the request that a message concerns; 0 when it concerns none."""
    number = getattr(header, "number", 0)
    assert isinstance(number, int)
    return number


class Telling:
    """One going-through. heard: the messages on the tape. ahead: how many requests the run may be told the end of before
    they come, which spares it the way there and back; what differs is then found a little later.
    """

    def __init__(self, contents: Contents, heard: Iterator[Heard], *, in_order: bool, ahead: int = AHEAD) -> None:
        self._known, self._heard, self._in_order = deque(contents.known), heard, in_order
        self.left = contents.heard
        self._next: tuple[FromKernel, Heard] | None = None
        self._awaited = {known.number for known in contents.known}
        self._ahead_most = ahead if in_order else 0
        self._ahead: set[int] = set()  # requests that have not come, of which the run is told
        self._under_way: dict[int, int] = {}  # chunks told and not given credit for, by the number on the tape

    @property
    def unmet(self) -> list[Known]:
        """The requests that have not been made again."""
        return list(self._known)

    def awaits(self, number: int) -> bool:
        """Whether a request on the tape has not been made again yet."""
        return number in self._awaited

    def ask(self, asked: Known) -> Known | None:
        """The request on the tape that this one is, None for a new one. Raises Diverged."""
        if not self._known:
            return None
        if self._in_order:
            known = self._known[0]
            if not known.is_like(asked):
                also = "" if (known.on, known.resource) != (asked.on, asked.resource) else ", with other arguments"
                raise Diverged(f"it was to ask for {known}, and asks for {asked}{also}")
        else:
            known = next((one for one in self._known if one.is_like(asked)), asked)
            if known is asked:
                return None
        self._known.remove(known)
        self._ahead.discard(known.number)
        self._awaited.discard(known.number)
        return known

    def due(self, *, is_ready: bool) -> tuple[FromKernel, Heard] | None:
        """The next message, if it may be told now. is_ready: the Hand has started, and takes its work.

        One that asks in order takes a message only when it has asked for all that it does without: so it may be sent some
        before their requests have come, and neither side waits for the other.
        """
        if self._next is None and self.left:
            record = next(self._heard)
            self._next = codec.decode_from_kernel(record.header), record
        if self._next is None:
            return None
        header, record = self._next
        number = number_of(header)
        if isinstance(header, headers.Call):
            if not is_ready:
                return None
        elif isinstance(header, headers.Event) or (
            isinstance(header, headers.Chunk) and headers.is_made_by_run(number)
        ):
            window = limits.EVENT_WINDOW if number == 0 else limits.WINDOW + limits.OWED
            if (number and number in self._awaited) or self._under_way.get(number, 0) >= window:
                return None
            self._under_way[number] = self._under_way.get(number, 0) + 1
        elif headers.is_made_by_run(number) and number in self._awaited:
            if len(self._ahead) >= self._ahead_most or len(record.body) > SMALL:
                return None
            self._ahead.add(number)
        self._next, self.left = None, self.left - 1
        return header, record

    def credit(self, number: int, chunks: int) -> None:
        """The run has dealt with so many of a call's chunks, or of its events (0). number: on the tape."""
        self._under_way[number] = self._under_way.get(number, 0) - chunks

    def under_way(self, number: int) -> int:
        """Chunks of a call, or events (0), that the run has not dealt with."""
        return max(0, self._under_way.get(number, 0))


WAITING_MOST: Final = (16 * 1024, 256 * 1024 * 1024)
"""Messages that a run may say before it was told all, and bytes of their bodies: twice what all calls of a Hand have kept."""


class Waiting:
    """What a run says that waits until it was told all that is on its tape, in order: header, body, what it asked for."""

    def __init__(self) -> None:
        self._said: deque[tuple[FromRun, bytes, Known | None]] = deque()
        self._yet: set[int] = set()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._said)

    def put(self, header: FromRun, body: bytes, known: Known | None = None) -> None:
        """Let one more wait. Raises NotNow when that is more than may."""
        self._said.append((header, body, known))
        if not (known and known.is_begun):
            self._yet.add(number_of(header))
        self._size += len(body)
        if len(self._said) > WAITING_MOST[0] or self._size > WAITING_MOST[1]:
            raise NotNow("it says ever more, and does not take what it is told again")

    def concerns(self, number: int) -> bool:
        """Whether a request waits that is yet to be made; of one that had begun nobody hears more than that it broke off."""
        return number in self._yet

    def take(self) -> deque[tuple[FromRun, bytes, Known | None]]:
        """All of it, which waits no longer."""
        said, self._said, self._yet, self._size = self._said, deque(), set(), 0
        return said


class Numbers:
    """Both numbers of each request: the tape's, which the kernel knows, and that of the process at the other end."""

    def __init__(self, streams: "Streams") -> None:
        self._streams = streams
        self.theirs: dict[int, int] = {}
        self._ours: dict[int, int] = {}
        self._highest = 0  # of the tape's numbers

    def begin(self, contents: Contents, *, in_order: bool) -> None:
        """Another process begins, which is first told what is on the tape."""
        self.theirs = contents.numbered() if in_order else {}
        self._ours = {number: known for known, number in self.theirs.items()}
        self._highest = max([self._highest, *(known.number for known in contents.known)])

    def new(self, header: Request) -> Request:
        """A request that is not on the tape, under a number that no other has there."""
        theirs = header.number
        if theirs <= self._highest:
            header = replace(header, number=self._highest + 2)
        self.bind(header.number, theirs)
        return header

    def bind(self, ours: int, theirs: int) -> None:
        """What the tape calls a request, and what its process does."""
        self.theirs[ours], self._ours[theirs] = theirs, ours
        self._highest = max(self._highest, ours)

    def ours(self, number: int) -> int:
        """What the tape calls what the process speaks of."""
        return self._ours.get(number, number)

    def told(self, header: FromKernel) -> FromKernel:
        """A message as the process is told it; one that is an end is the last of its number, and of its streams."""
        number = number_of(header)
        theirs = self.theirs.get(number, number)
        if isinstance(header, ENDS) and number:
            self._ours.pop(self.theirs.pop(number, number), None)
            self._streams.end(number)
        return header if theirs == number else replace(header, number=theirs)


class Streams:
    """What a run's processes have sent for its open streams: credit by a call's number, chunks of uploads by -number.

    Events are stream 0. The streams stay open when a process dies. The next one says again what that had said, which nobody
    is to hear twice.
    """

    def __init__(self) -> None:
        self._said: Counter[int] = Counter()
        self._again: Counter[int] = Counter()  # how much of it the present process has not said yet
        self._sums: dict[
            tuple[int, int], bytes
        ] = {}  # hashes over uploads: of all that was sent, of what is said again

    def repeated(self, stream: int, count: int, body: bytes = b"") -> int:
        """How much of this was said before. Raises Diverged at the end of what was, if an upload is of something else."""
        again = min(self._again[stream], count)
        self._again[stream] -= again
        self._said[stream] += count - again
        if stream < 0:
            side = stream, again
            self._sums[side] = blake2b(self._sums.get(side, b"") + body, digest_size=16).digest()
            if again and not self._again[stream] and self._sums[side] != self._sums[stream, 0]:
                raise Diverged("it uploads something else than it did")
        return again

    def is_behind(self, stream: int) -> bool:
        """Whether the process has not said all again: it may have no room for more than it was told before.

        Of a stream's pieces it may have dealt with some more, and owe credit for them.
        """
        return self._again[stream] > (limits.OWED if stream else 0)

    def leave(self, stream: int) -> None:
        """The process wants no more of it."""
        if stream in self._again:
            self._again[stream] = 0

    def end(self, number: int) -> None:
        """A call is over, and what it streamed is forgotten."""
        for stream in (number, -number):
            if stream in self._said:  # most calls stream nothing
                del self._said[stream], self._again[stream]
                for again in (0, 1):
                    self._sums.pop((stream, again), None)

    def rewind(self, still: Container[int]) -> None:
        """Another process begins. still: the calls that are open."""
        self._said = +Counter({stream: count for stream, count in self._said.items() if abs(stream) in still})
        self._again = self._said.copy()
        self._sums = {side: value for side, value in self._sums.items() if side[0] in self._said and not side[1]}
