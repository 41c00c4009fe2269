"""The bus protocol's headers (pure): all that the kernel reads of a message; it never opens a body.

A message is two frames, `[header, body]`, both msgpack. A header is an array whose first element names its type; unknown
types, wrong types and extra elements are malformed, and malformed bytes end the peer that sent them. A header has no
"from": the kernel knows the sender by the connection's CURVE key.

Calls are numbered like HTTP/2's streams (RFC 9113 §5.1.1): a run numbers the calls, publications and subscriptions it
makes 1, 3, 5…; the kernel numbers the calls it delivers 2, 4, 6… from one counter for the whole home, and these even
numbers are the ones in the log. So a number tells its direction, and the two sides never collide.

`time` is the kernel's clock, in microseconds since the epoch, in everything the kernel sends; runs leave it 0.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from wire import limits
from wire.amounts import Cost, Number, Used

Method = Annotated[str, Meta(max_length=limits.METHOD_MAX)]
Resource = Annotated[str, Meta(max_length=limits.RESOURCE_MAX)]
Label = Annotated[str, Meta(min_length=1, max_length=limits.LABEL_MAX, pattern=r"\A[^\x00-\x1f\x7f-\x9f]*\Z")]
"""Without control characters, since labels are kept one per line with files and artefacts (labels.plain)."""

Code = Annotated[str, Meta(min_length=1, max_length=limits.LABEL_MAX)]
Labels = Annotated[tuple[Label, ...], Meta(max_length=limits.LABELS_MAX)]
Why = Annotated[str, Meta(max_length=limits.WHY_MAX)]
Milliseconds = Annotated[int, Meta(ge=0, le=limits.DEADLINE_MAX)]


class Header(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of all headers: immutable, an array on the wire, without fields that its type does not list.

    Tapes hold them for months: a new field stands last and has a default, so that earlier arrays can still be read.
    """


# life --------------------------------------------------------------------------------------------------------------


class Hello(Header, frozen=True, tag="hello"):
    """Sent by a run first, when its link is up. Answered with the kernel's Hello. Needs a key the kernel launched.

    A second Hello, a Hello with another run's key or anything before Hello ends the peer. is_written: the operator wants the
    answer when all that the kernel has done so far is on disk.
    """

    version: Number
    time: Number = 0
    is_written: bool = False


class Ready(Header, frozen=True, tag="ready"):
    """Sent by a run when its Hand has started. Answered with the calls that wait for it."""


class Stop(Header, frozen=True, tag="stop"):
    """Sent by the kernel when the run is to end. Answered with Bye and the process's exit, within `grace` milliseconds."""

    why: Why
    grace: Milliseconds
    time: Number = 0


class Still(Header, frozen=True, tag="still"):
    """Sent by the kernel to a run that seems only to have waited for some time. Answered with Resting, if so."""

    time: Number = 0


class Resting(Header, frozen=True, tag="resting"):
    """Sent by a run that only waits: another process can resume it later. Answered with the end of its process, or not."""


class Bye(Header, frozen=True, tag="bye"):
    """Sent by a run last, when it leaves by itself. Answered with nothing: its key is retired."""

    why: Why = ""


# calls -------------------------------------------------------------------------------------------------------------


class Call(Header, frozen=True, tag="call"):
    """Sent by a caller, and by the kernel to the provider. Answered with exactly one end. Needs a grant.

    method, resource: the provider gets the resource in its normal form, and only here.
    deadline: milliseconds from now; 0 means the kernel's default; never later than the parent's.
    parent: the even number of the call that the caller is answering while it makes this one; 0 for none.
    most: the most this call may cost. left: without that, what budgets leave for it, as its provider is told.
    upload: chunks from the caller follow, until one that is `last`.
    ask: why a run wants the operator to approve this call, whatever its grant says; never sent to the provider.
    """

    number: Number
    method: Method
    resource: Resource = ""
    deadline: Milliseconds = 0
    parent: Number = 0
    most: Cost | None = None
    upload: bool = False
    labels: Labels = ()
    time: Number = 0
    ask: Why = ""
    left: Cost | None = None


class Chunk(Header, frozen=True, tag="chunk"):
    """Sent by the provider (a piece of the reply) or by the caller (a piece of its upload). Needs credit.

    An empty chunk is a chunk. `last` is for uploads only: a reply's stream ends with its call's end.
    """

    number: Number
    labels: Labels = ()
    last: bool = False
    time: Number = 0


class Credit(Header, frozen=True, tag="credit"):
    """Sent by the receiver of chunks: this many more may follow. Number 0 is credit for events."""

    number: Number
    chunks: Annotated[int, Meta(ge=1, le=limits.EVENT_WINDOW)]
    time: Number = 0


class Cancel(Header, frozen=True, tag="cancel"):
    """Sent by a caller, and by the kernel to the provider. Answered with the call's one end, Cancelled or another."""

    number: Number
    why: Why = ""
    time: Number = 0


class Done(Header, frozen=True, tag="done"):
    """Sent by the provider: the call succeeded, and the body is its value. An end.

    labels: of the reply, beyond those the kernel adds. cost: of the call. used: what a WASM Hand's guest used, or which model
    was asked; here and in the other ends.
    """

    number: Number
    labels: Labels = ()
    cost: Cost | None = None
    time: Number = 0
    used: Used | None = None


class Failed(Header, frozen=True, tag="failed"):
    """Sent by the provider, or by the kernel for it: the call did not succeed. An end. The body may hold details.

    code: short text for programs, such as `conflict`. text: one sentence for people.
    """

    number: Number
    code: Code
    text: Why
    labels: Labels = ()
    cost: Cost | None = None
    time: Number = 0
    used: Used | None = None


class Refused(Header, frozen=True, tag="refused"):
    """Sent by the kernel only: the call was not allowed, and no provider saw it. An end.

    grant: the line of HAND.toml that would allow it, or "" if no grant can.
    """

    number: Number
    code: Code
    why: Why
    grant: str = ""
    time: Number = 0


class Cancelled(Header, frozen=True, tag="cancelled"):
    """Sent by the provider or the kernel: the call was cancelled before it succeeded. An end."""

    number: Number
    why: Why = ""
    labels: Labels = ()
    cost: Cost | None = None
    time: Number = 0
    used: Used | None = None


# events ------------------------------------------------------------------------------------------------------------


class Subscribe(Header, frozen=True, tag="subscribe"):
    """Sent by a run that wants to receive an event, `publisher.name`. Answered with Done or Refused. Needs `subscribes`.

    parent: the even number of the call that the run is answering while it asks, as for Call; 0 for none.
    """

    number: Number
    event: Method
    parent: Number = 0


class Publish(Header, frozen=True, tag="publish"):
    """Sent by a run; the body is the event's. Answered with Done or Refused. Needs `publishes`.

    event: the name without the publisher, which the kernel puts before it. parent: the even number of the call for which the
    run publishes it, as for Call; 0 for none.
    """

    number: Number
    event: Method
    labels: Labels = ()
    parent: Number = 0


class Event(Header, frozen=True, tag="event"):
    """Sent by the kernel to each subscriber. Answered with Credit for number 0, once it is handled.

    event: `publisher.name`. missed: how many events before this one were dropped because the subscriber had no credit. depth:
    how many scheduled runs led to it, each started by an event of the one before; 0 if no event started one.
    """

    event: Method
    labels: Labels = ()
    missed: Number = 0
    time: Number = 0
    depth: Number = 0


End: TypeAlias = Done | Failed | Refused | Cancelled
Request: TypeAlias = Call | Publish | Subscribe
FromRun: TypeAlias = (
    Hello | Ready | Resting | Bye | Call | Chunk | Credit | Cancel | Done | Failed | Cancelled | Subscribe | Publish
)
FromKernel: TypeAlias = (
    Hello | Still | Stop | Call | Chunk | Credit | Cancel | Done | Failed | Refused | Cancelled | Event
)


def is_made_by_run(number: int) -> bool:
    """Whether a call's number was given by a run: odd. The kernel's are even."""
    return number & 1 == 1


def why(end: End) -> str:
    """Return an end's reason in words, "" for Done."""
    match end:
        case Failed(code=code, text=text):
            return f"{code}: {text}"
        case Refused(why=reason) | Cancelled(why=reason):
            return reason
    return ""
