"""Fast-forwards a run through its tape (pure): matches its requests with the recorded ones, and answers them from the tape.

A run is deterministic: it takes one message at a time, and its clock and randomness come from its messages and seed. So a
new process that gets the recorded messages makes the recorded requests. Each is matched with one on the tape, and a
recorded message is sent as soon as the request that it answers was made again. New requests follow after the tape's end.

in_order: requests must come in the order of the tape, as those of a Hand in Python do; anything else is a divergence. A
program in another process may make them in another order: then each is matched by its content, duplicates by their count.
"""

from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator
from hashlib import blake2b
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from wire import codec, headers, limits
from wire.errors import Diverged, NotNow, TapeDamaged
from wire.headers import FromKernel, FromRun
from wire.labels import Labels, join
from wire.tape import Asked, Began, Ended, Heard, Placed, Spent

ENDS: Final = (headers.Done, headers.Failed, headers.Refused, headers.Cancelled)


AHEAD: Final = 32
SMALL: Final = 4096
"""Most answers that are sent before their requests are made, and most bytes of each: see FastForward.next_message()."""

BESIDE: Final = 160
"""Bytes of memory that a message takes besides its header and body."""

PIECE: Final = 32 * 1024
"""Bytes of a tape that are read at a time: some milliseconds, also if all its records are small."""


class Known(Struct, frozen=True, kw_only=True, gc=False):
    """A request on a tape. number: the run's; seq: of the request's entry in the log, if it was allowed.

    is_begun: the tape has a chunk of its reply, or credit for its upload; is_ended: the tape has its end.
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
        """Whether both requests ask for the same."""
        return (self.kind, self.on, self.resource, self.digest) == (other.kind, other.on, other.resource, other.digest)


class Contents(Struct, kw_only=True):
    """The result of a scan of a tape. known: its requests; heard: the number of its messages.

    needs: how many entries the log must have for the whole tape to count. is_delivered: the run was sent its work. spent:
    what it had used of its limits at the last note. labels: of its start and of every message. kept: the messages, all of
    them or none; size: bytes of memory that these take.
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
        """Map each request's number on the tape to the number that a new process gives it: 1, 3, 5… in their order."""
        return {known.number: 2 * n + 1 for n, known in enumerate(self.known)}


def known_of(asked: Asked, seq: int = 0) -> Known:
    """Return a recorded request in the form in which it is matched."""
    return Known(
        number=asked.number, kind=asked.kind, on=asked.on, resource=asked.resource, digest=asked.digest, seq=seq
    )  # fmt: skip


def scan(records: Iterable[Placed], room: int = 0) -> Contents:
    """Scan a whole tape at once, as scanning() does."""
    return next(contents for contents in scanning(records, room) if contents is not None)


def scanning(records: Iterable[Placed], room: int = 0) -> Iterator[Contents | None]:
    """Scan a whole tape: yield None after each PIECE, and then its contents, as often as they are asked for.

    room: bytes of memory for keeping its messages: if all fit, the tape need not be read again. Raises CodecError for a
    message that cannot be decoded.
    """
    known: dict[int, Known] = {}
    heard, needs, is_delivered, spent, labels = 0, 0, False, Spent(), Labels()
    kept, size = list[Heard](), 0
    for placed in in_pieces(records):
        if placed is None:
            yield None
            continue
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
    whole = Contents(
        known=list(known.values()), heard=heard, needs=needs, is_delivered=is_delivered, spent=spent, labels=labels,
        kept=kept, size=size,
    )  # fmt: skip
    while True:
        yield whole


def ending(records: Iterable[Placed]) -> Iterator[Ended | None]:
    """Find the end of a run's work on its tape: yield None after each PIECE, then the end. Raises TapeDamaged without one."""
    ended: Ended | None = None
    for placed in in_pieces(records):
        if placed is None:
            yield None
        elif isinstance(placed.record, Ended):
            ended = placed.record
    if ended is None:
        raise TapeDamaged(0, "it has no end of its run's work")
    yield ended


def in_pieces(records: Iterable[Placed]) -> Iterator[Placed | None]:
    """Yield a tape's records, with None after each PIECE."""
    piece = PIECE
    for placed in records:
        if placed.end > piece:
            piece = placed.end + PIECE
            yield None
        yield placed


def up_to(records: Iterable[Placed], heard: int) -> Iterator[Placed]:
    """Yield a tape's records up to its `heard`-th message, and the requests that follow that."""
    for placed in records:
        if isinstance(placed.record, Heard):
            if not heard:
                return
            heard -= 1
        yield placed


def number_of(header: FromKernel | FromRun) -> int:
    """Return the number of the request that a message concerns, 0 if none."""
    number = getattr(header, "number", 0)
    assert isinstance(number, int)
    return number


class FastForward:
    """One pass of one process through a tape.

    heard: the messages on the tape, in order. ahead: how many requests may be answered before the process makes them, which
    saves a round trip for each; a divergence is noticed a little later then. remaining: messages that were not sent yet.
    """

    def __init__(self, contents: Contents, heard: Iterator[Heard], *, in_order: bool, ahead: int = AHEAD) -> None:
        self._known, self._heard, self._in_order = deque(contents.known), heard, in_order
        self.remaining = contents.heard
        self._next: tuple[FromKernel, Heard] | None = None
        self._awaited = {known.number for known in contents.known}
        self._ahead_most = ahead if in_order else 0
        self._ahead: set[int] = set()  # requests that were answered and not made yet
        self._under_way: dict[int, int] = {}  # chunks that were sent and not credited yet, by number on the tape

    @property
    def unmatched(self) -> list[Known]:
        """The recorded requests that this process has not made yet, in order."""
        return list(self._known)

    def awaits(self, number: int) -> bool:
        """Whether a recorded request has not been made again yet."""
        return number in self._awaited

    def match(self, asked: Known) -> Known | None:
        """Return the recorded request that this one repeats, None for a new one. Raises Diverged if another was due."""
        if not self._known:
            return None
        if self._in_order:
            known = self._known[0]
            if not known.is_like(asked):
                also = "" if (known.on, known.resource) != (asked.on, asked.resource) else ", with other arguments"
                raise Diverged(f"it should ask for {known}, and asks for {asked}{also}")
        else:
            known = next((one for one in self._known if one.is_like(asked)), asked)
            if known is asked:
                return None
        self._known.remove(known)
        self._ahead.discard(known.number)
        self._awaited.discard(known.number)
        return known

    def next_message(self, *, is_ready: bool) -> tuple[FromKernel, Heard] | None:
        """Return the next recorded message if it may be sent now. is_ready: the Hand has started, so it can take its work.

        An answer usually waits until its request was made again. A process that makes its requests in order reads no message
        before it has made all requests that do not depend on it, so up to `ahead` small answers may be sent early.
        """
        if self._next is None and self.remaining:
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
        self._next, self.remaining = None, self.remaining - 1
        return header, record

    def credit(self, number: int, chunks: int) -> None:
        """Note that the process has consumed chunks of a call, or events (number 0). number: on the tape."""
        if number in self._under_way:
            self._under_way[number] -= chunks

    def under_way(self, number: int) -> int:
        """Return how many chunks of a call, or events (number 0), were sent and not consumed yet."""
        return max(0, self._under_way.get(number, 0))


DEFERRED_MOST: Final = (16 * 1024, 256 * 1024 * 1024)
"""Most messages that may be deferred, and most bytes of their bodies: twice what all calls of a Hand may have."""


class Deferred:
    """Messages of a process, under its own numbers, that are acted on after the fast-forward, with the recorded requests."""

    def __init__(self) -> None:
        self._messages: deque[tuple[FromRun, bytes, Known | None]] = deque()
        self._unmade: set[int] = set()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._messages)

    def put(self, header: FromRun, body: bytes, known: Known | None = None) -> None:
        """Defer a message. Raises NotNow beyond DEFERRED_MOST."""
        self._messages.append((header, body, known))
        if isinstance(header, headers.Request) and not (known and known.is_begun):
            self._unmade.add(number_of(header))
        self._size += len(body)
        if len(self._messages) > DEFERRED_MOST[0] or self._size > DEFERRED_MOST[1]:
            raise NotNow("it sends more and more, and does not read what is sent to it again")

    def concerns(self, number: int) -> bool:
        """Whether a message belongs to a deferred request that had not begun. (One that had begun will be interrupted.)"""
        return number in self._unmade

    def take(self) -> deque[tuple[FromRun, bytes, Known | None]]:
        """Remove and return all messages, in order."""
        messages, self._messages, self._unmade, self._size = self._messages, deque(), set(), 0
        return messages


class Numbers:
    """Both numbers of each request: the tape's, which the kernel uses (`ours`), and the present process's (`theirs`)."""

    def __init__(self, streams: "Streams") -> None:
        self._streams = streams
        self.theirs: dict[int, int] = {}
        self._ours: dict[int, int] = {}
        self._highest = 0  # of the tape's numbers

    def begin(self, contents: Contents, *, in_order: bool) -> None:
        """Start over for another process, which is first fast-forwarded through these contents."""
        self.theirs = contents.numbered() if in_order else {}
        self._ours = {number: known for known, number in self.theirs.items()}
        self._highest = max([self._highest, *(known.number for known in contents.known)])

    def new(self, header: headers.Request) -> headers.Request:
        """Return a new request under its number on the tape: its own, unless that is taken there."""
        theirs = header.number
        if theirs <= self._highest:
            header = replace(header, number=self._highest + 2)
        self.bind(header.number, theirs)
        return header

    def bind(self, ours: int, theirs: int) -> None:
        """Note both numbers of a request."""
        self.theirs[ours], self._ours[theirs] = theirs, ours
        self._highest = max(self._highest, ours)

    def ours(self, number: int) -> int:
        """Return the number on the tape of the process's request `number`; -number if it has its end, or was not made."""
        return self._ours.get(number, -number)

    def outgoing(self, header: FromKernel) -> FromKernel:
        """Return a message under the process's own number. An end also forgets that number and its streams."""
        number = number_of(header)
        theirs = self.theirs.get(number, number)
        if isinstance(header, ENDS) and number:
            self._ours.pop(self.theirs.pop(number, number), None)
            self._streams.end(number)
        return header if theirs == number else replace(header, number=theirs)


class Streams:
    """How much a run's processes have sent on its open streams: credit by a call's number, upload chunks by minus its number.

    Credit for events is stream 0. Streams stay open when a process dies. The next process repeats what the last one had sent,
    and the repetition must not be passed on again.
    """

    def __init__(self) -> None:
        self._sent: Counter[int] = Counter()
        self._again: Counter[int] = Counter()  # how much of it the present process has not repeated yet
        # running hashes of uploads, by stream and by whether it is the repetition: both must agree at its end
        self._sums: dict[tuple[int, int], bytes] = {}

    def repeated(self, stream: int, count: int, body: bytes = b"") -> int:
        """Return how many of `count` are a repetition. Raises Diverged at its end if an upload differs in any byte."""
        again = min(self._again[stream], count)
        self._again[stream] -= again
        self._sent[stream] += count - again
        if stream < 0:
            side = stream, again
            self._sums[side] = blake2b(self._sums.get(side, b"") + body, digest_size=16).digest()
            if again and not self._again[stream] and self._sums[side] != self._sums[stream, 0]:
                raise Diverged("it uploads something else than before")
        return again

    def fresh(self, header: FromRun, body: bytes) -> FromRun | None:
        """Return what is no repetition of a message about an open stream; None if all is. Raises Diverged as repeated()."""
        match header:
            case headers.Credit(number=number, chunks=chunks):
                new = chunks - self.repeated(number, chunks)
                return replace(header, chunks=new) if new else None
            case headers.Chunk(number=number):
                return None if self.repeated(-number, 1, body) else header
            case headers.Cancel(number=number):
                self.on_cancel(number)
        return header

    def is_behind(self, stream: int) -> bool:
        """Whether the process has not repeated all of a stream yet, so that it may have no room for more chunks.

        A few chunks do not count: those that a reader has consumed and may still owe credit for.
        """
        return self._again[stream] > (limits.OWED if stream else 0)

    def on_cancel(self, stream: int) -> None:
        """Expect no more repetition on a stream, whose call the process has cancelled."""
        if stream in self._again:
            self._again[stream] = 0

    def end(self, number: int) -> None:
        """Forget the streams of a call that has ended."""
        for stream in (number, -number):
            if stream in self._sent:  # most calls have no streams
                del self._sent[stream], self._again[stream]
                for again in (0, 1):
                    self._sums.pop((stream, again), None)

    def rewind(self, open_calls: Container[int]) -> None:
        """Start over for another process, which repeats the streams of these calls (0: events)."""
        self._sent = +Counter({stream: count for stream, count in self._sent.items() if abs(stream) in open_calls})
        self._again = self._sent.copy()
        self._sums = {side: value for side, value in self._sums.items() if side[0] in self._sent and not side[1]}
