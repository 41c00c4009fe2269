"""Fast-forwarding a run through its tape (pure): its requests are matched with the recorded ones, and answered by them.

A run is deterministic: it takes one message at a time, and its clock and randomness come from its messages and seed. So a
new process that gets the recorded messages makes the recorded requests. Each is matched with one on the tape, and each
recorded message is sent as soon as the request that it answers was made again. What is not on the tape comes after it.

in_order: requests must come in the order of the tape, as those of a Hand in Python do; anything else is a divergence. A
program in another process may make them in another order: each is then matched by its content, duplicates by their count.
"""

from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator
from hashlib import blake2b
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from wire import codec, headers, limits
from wire.errors import Diverged, NotNow
from wire.headers import FromKernel, FromRun
from wire.labels import Labels, join
from wire.tape import Asked, Began, Heard, Placed, Spent

ENDS: Final = (headers.Done, headers.Failed, headers.Refused, headers.Cancelled)


AHEAD: Final = 32
SMALL: Final = 4096
"""How many answers may be sent before their requests were made, and how many bytes each may have: see next_message()."""

BESIDE: Final = 160
"""Bytes of memory that a message takes besides its header and body."""


class Known(Struct, frozen=True, kw_only=True, gc=False):
    """A request on a tape. number: as the run numbered it; seq: of its entry in the log, if it was allowed.

    is_begun: the tape has a chunk of its reply, or credit for its upload; is_ended: it has its end.
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
    """What a scan of a tape finds. known: its requests; heard: how many messages it has.

    needs: how many entries the log must have, for all that is on the tape to count. is_delivered: the run was given its
    work. spent: what it had used of its limits, as last noted. labels: of what it was begun with and of every message.
    kept: the messages, all of them or none; size: bytes of memory that these take.
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
        """The number on the tape of each request → the number that a new process gives it: 1, 3, 5… in their order."""
        return {known.number: 2 * n + 1 for n, known in enumerate(self.known)}


def known_of(asked: Asked, seq: int = 0) -> Known:
    """A recorded request, in the form in which it is matched."""
    return Known(
        number=asked.number, kind=asked.kind, on=asked.on, resource=asked.resource, digest=asked.digest, seq=seq
    )  # fmt: skip


def scan(records: Iterable[Placed], room: int = 0) -> Contents:
    """Read a whole tape. room: bytes of memory in which its messages are kept, if all fit: then it is read only once.

    Raises CodecError for a message that cannot be decoded.
    """
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


def up_to(records: Iterable[Placed], heard: int) -> Iterator[Placed]:
    """A tape's records up to message number `heard`, and the requests that follow it."""
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


class FastForward:
    """One pass of one process through a tape.

    heard: the messages on the tape, in order. ahead: how many requests may be answered before the process makes them. That
    saves a round trip for each; a divergence is then noticed a little later. remaining: messages not sent yet.
    """

    def __init__(self, contents: Contents, heard: Iterator[Heard], *, in_order: bool, ahead: int = AHEAD) -> None:
        self._known, self._heard, self._in_order = deque(contents.known), heard, in_order
        self.remaining = contents.heard
        self._next: tuple[FromKernel, Heard] | None = None
        self._awaited = {known.number for known in contents.known}
        self._ahead_most = ahead if in_order else 0
        self._ahead: set[int] = set()  # requests answered before they were made
        self._under_way: dict[int, int] = {}  # chunks sent and not credited yet, by the number on the tape

    @property
    def unmatched(self) -> list[Known]:
        """The recorded requests that this process has not made yet, in order."""
        return list(self._known)

    def awaits(self, number: int) -> bool:
        """Whether a recorded request has not been made again yet."""
        return number in self._awaited

    def match(self, asked: Known) -> Known | None:
        """The recorded request that this one repeats; None for a new one. Raises Diverged when another one was due."""
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

    def next_message(self, *, is_ready: bool) -> tuple[FromKernel, Heard] | None:
        """The next recorded message, if it may be sent now. is_ready: the Hand has started, so that it takes its work.

        An answer usually waits until its request was made again. A process that makes its requests in order takes no message
        before it has made all that come without it: it may be sent up to `ahead` small answers early.
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
        """The process has consumed so many chunks of a call, or events (number 0). number: on the tape."""
        self._under_way[number] = self._under_way.get(number, 0) - chunks

    def under_way(self, number: int) -> int:
        """Chunks of a call, or events (number 0), that were sent and not consumed yet."""
        return max(0, self._under_way.get(number, 0))


DEFERRED_MOST: Final = (16 * 1024, 256 * 1024 * 1024)
"""Messages that may be deferred, and bytes of their bodies: twice what all calls of a Hand may keep."""


class Deferred:
    """What a process says during the fast-forward that can only be acted on after it: header, body, recorded request."""

    def __init__(self) -> None:
        self._said: deque[tuple[FromRun, bytes, Known | None]] = deque()
        self._unmade: set[int] = set()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._said)

    def put(self, header: FromRun, body: bytes, known: Known | None = None) -> None:
        """Defer one more. Raises NotNow beyond DEFERRED_MOST."""
        self._said.append((header, body, known))
        if not (known and known.is_begun):
            self._unmade.add(number_of(header))
        self._size += len(body)
        if len(self._said) > DEFERRED_MOST[0] or self._size > DEFERRED_MOST[1]:
            raise NotNow("it says ever more, and does not take what it is told again")

    def concerns(self, number: int) -> bool:
        """Whether a message belongs to a deferred request that had not begun. One that had begun only ends as interrupted."""
        return number in self._unmade

    def take(self) -> deque[tuple[FromRun, bytes, Known | None]]:
        """Take out everything, in order."""
        said, self._said, self._unmade, self._size = self._said, deque(), set(), 0
        return said


class Numbers:
    """Both numbers of each request: on the tape, which the kernel uses (`ours`), and in the present process (`theirs`)."""

    def __init__(self, streams: "Streams") -> None:
        self._streams = streams
        self.theirs: dict[int, int] = {}
        self._ours: dict[int, int] = {}
        self._highest = 0  # of the tape's numbers

    def begin(self, contents: Contents, *, in_order: bool) -> None:
        """Another process begins, and is first fast-forwarded through these contents."""
        self.theirs = contents.numbered() if in_order else {}
        self._ours = {number: known for known, number in self.theirs.items()}
        self._highest = max([self._highest, *(known.number for known in contents.known)])

    def new(self, header: headers.Request) -> headers.Request:
        """A request that is not on the tape, renumbered if its number is taken there."""
        theirs = header.number
        if theirs <= self._highest:
            header = replace(header, number=self._highest + 2)
        self.bind(header.number, theirs)
        return header

    def bind(self, ours: int, theirs: int) -> None:
        """Note both numbers of one request."""
        self.theirs[ours], self._ours[theirs] = theirs, ours
        self._highest = max(self._highest, ours)

    def ours(self, number: int) -> int:
        """The number on the tape of what the process calls `number`."""
        return self._ours.get(number, number)

    def outgoing(self, header: FromKernel) -> FromKernel:
        """A message under the process's own number. An end also forgets that number and its streams."""
        number = number_of(header)
        theirs = self.theirs.get(number, number)
        if isinstance(header, ENDS) and number:
            self._ours.pop(self.theirs.pop(number, number), None)
            self._streams.end(number)
        return header if theirs == number else replace(header, number=theirs)


class Streams:
    """How much a run's processes have sent on its open streams: credit by a call's number, upload chunks by minus its number.

    Credit for events is stream 0. Streams stay open when a process dies. The next process repeats what that one had sent, and
    the repetition must not reach anybody a second time.
    """

    def __init__(self) -> None:
        self._said: Counter[int] = Counter()
        self._again: Counter[int] = Counter()  # how much of it the present process has not repeated yet
        # running hashes of uploads, by stream and by whether it is the repetition: both must agree at its end
        self._sums: dict[tuple[int, int], bytes] = {}

    def repeated(self, stream: int, count: int, body: bytes = b"") -> int:
        """How many of `count` are a repetition. Raises Diverged at its end, if an upload was not repeated byte for byte."""
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
        """Whether the process has not repeated everything yet, so that it may have no room for more than it had before.

        A reader may owe credit for a few chunks that it has consumed: these do not count.
        """
        return self._again[stream] > (limits.OWED if stream else 0)

    def leave(self, stream: int) -> None:
        """The process has cancelled this stream."""
        if stream in self._again:
            self._again[stream] = 0

    def end(self, number: int) -> None:
        """A call has its end: forget its streams."""
        for stream in (number, -number):
            if stream in self._said:  # most calls stream nothing
                del self._said[stream], self._again[stream]
                for again in (0, 1):
                    self._sums.pop((stream, again), None)

    def rewind(self, still: Container[int]) -> None:
        """Another process begins. still: the numbers of the calls that are open."""
        self._said = +Counter({stream: count for stream, count in self._said.items() if abs(stream) in still})
        self._again = self._said.copy()
        self._sums = {side: value for side, value in self._sums.items() if side[0] in self._said and not side[1]}
