"""Replays a recorded run offline (pure): answers every request from its tape, and finds the first difference.

FastForward (wire/fast_forward.py) matches requests and sends messages, as for a run that resumes; but nothing follows the
tape, which is only read. The replay comes to the same end, or it differs: by a request that the recorded run did not make,
by one that only the recorded run made, or by another end. A run that was ended from outside, or is unfinished, is compared
as far as it got.

Used by the kernel for `maniple replay` (kernel/record/replaying.py), and by tests (runtime/replayed.py).
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wire import codec, headers
from wire.amounts import Cost
from wire.errors import CodecError, Diverged
from wire.fast_forward import ENDS, FastForward, known_of, number_of, scanning
from wire.headers import FromKernel, FromRun
from wire.tape import Asked, Ended, Heard, Placed, began, request_record

SHOWN_MOST: Final = 2_048
"""Largest body, in bytes, that is shown; of a larger one only its size is."""

Records = Callable[[], Iterator[Placed]]
"""Returns a tape's records from the first on, at each call."""


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that was sent to the run. said: its kind in lower case, such as `done`. count: messages so far.

    number, kind, on, resource, arguments: of the request that it belongs to, as recorded; 0 and "" if it belongs to none.
    value: the body, None if its size is above SHOWN_MOST. clock: the run's, microseconds since 1970.
    """

    count: int
    said: str
    clock: int
    size: int
    number: int = 0
    kind: str = ""
    on: str = ""
    resource: str = ""
    arguments: object = None
    why: str = ""
    value: object = None
    cost: Cost | None = None
    labels: tuple[str, ...] = ()


class Difference(Struct, frozen=True, kw_only=True):
    """The first difference between a run and its replay. recorded, now: what each did, None for nothing."""

    why: str
    recorded: object = None
    now: object = None


class Verdict(Struct, frozen=True, kw_only=True):
    """The result of a replay. end: how the recorded run ended, "" if its tape has no end. requests: how many were matched;
    messages: how many were sent to the replayed run. recorded: its Hand's name and version.
    """

    run: str
    recorded: str
    requests: int
    messages: int
    end: str
    difference: Difference | None = None


class Replay:
    """One replay. in_order: see wire/fast_forward.py. verdict: None until there is one.

    Call open() until it returns True. Then pass the process's messages to accept(), and send it what next_message() returns,
    until there is a verdict.
    """

    def __init__(self, records: Records, *, in_order: bool) -> None:
        """Raises TapeDamaged."""
        self._records, self._in_order = records, in_order
        self._end: tuple[headers.End, Ended] | None = None
        self.began = began(records())
        self._scan = scanning(self._until_end())
        self._fast_forward: FastForward
        self._asked: dict[int, Asked] = {}  # by the tape's numbers, those that have no end yet
        self._due: dict[int, Asked] = {}  # likewise, those that should be made
        self._theirs: dict[int, int] = {}
        self._ours: dict[int, int] = {}
        self._matched = self._sent = self._received = 0
        self._last_check: tuple[int, int, float] | None = None
        self._is_ready = False
        self.verdict: Verdict | None = None

    def open(self) -> bool:
        """Read the tape's next PIECE. Returns whether all of it is read. Raises TapeDamaged or CodecError."""
        if (contents := next(self._scan)) is None:
            return False
        self._fast_forward = FastForward(contents, self._heard(), in_order=self._in_order, ahead=0)
        return True

    def _heard(self) -> Iterator[Heard]:
        """Yield the messages on the tape, and remember the requests before each until they are matched."""
        for placed in self._until_end():
            if isinstance(placed.record, Asked):
                self._due[placed.record.number] = placed.record
            elif isinstance(placed.record, Heard):
                yield placed.record

    def _until_end(self) -> Iterator[Placed]:
        for placed in self._records():
            if isinstance(placed.record, Ended):
                header = codec.decode_from_kernel(placed.record.header)
                assert isinstance(header, ENDS)
                self._end = header, placed.record
                return
            yield placed

    # from the run ----------------------------------------------------------------------------------------------------

    def accept(self, header: FromRun, body: bytes) -> None:
        """Compare a message of the run with the tape."""
        self._received += 1
        match header:
            case headers.Ready():
                self._is_ready = True
            case headers.Call() | headers.Publish() | headers.Subscribe():
                self._match_request(header, body)
            case headers.Credit(number=number, chunks=chunks):
                self._fast_forward.credit(self._ours.get(number, number), chunks)
            case headers.Done() | headers.Failed() | headers.Cancelled():
                self._compare_end(header, body)
        self._end_if_cut_off()

    def _match_request(self, header: headers.Request, body: bytes) -> None:
        request = request_record(header, body)
        try:
            known = self._fast_forward.match(known_of(request))
        except Diverged:
            self._request_differs(self._find(self._fast_forward.unmatched[0].number), request)
            return
        if known is not None:
            self._matched += 1
            self._due.pop(known.number, None)
            self._asked[known.number] = replace(request, number=known.number)
            self._theirs[known.number], self._ours[header.number] = header.number, known.number
        elif self._has_own_end or self._fast_forward.unmatched:
            self._differs("it makes a request that the recorded run did not make", now=shown(request))

    def _compare_end(self, header: headers.Done | headers.Failed | headers.Cancelled, body: bytes) -> None:
        if unmet := self._fast_forward.unmatched:
            ending = {"end": end_text(header), "value": readable(body)}
            self._differs("it ends where it should ask for more", shown(self._find(unmet[0].number)), ending)
        elif self._end is None or not self._has_own_end:
            self._set_verdict()
        else:
            end, ended = self._end
            if (end_text(end), _cost(end), ended.body) == (end_text(header), _cost(header), body):
                self._set_verdict()
            else:
                then = {"end": end_text(end), "value": readable(ended.body)}
                now = {"end": end_text(header), "value": readable(body)}
                self._differs(f"it comes to another end{_first_difference(then, now)}", then, now)

    @property
    def _has_own_end(self) -> bool:
        """Whether the recorded run ended by itself: an end that the kernel gave has no number."""
        return self._end is not None and self._end[0].number != 0

    def _end_if_cut_off(self) -> None:
        """Set the verdict if the recorded run has no end of its own, and this one has come as far."""
        if (
            self.verdict is None
            and not self._has_own_end
            and not self._fast_forward.remaining
            and not self._fast_forward.unmatched
        ):
            self._set_verdict()

    # to the run ------------------------------------------------------------------------------------------------------

    def next_message(self) -> tuple[FromKernel, Heard, bytes] | None:
        """Return the next message for the run, if one may be sent now: its header, under the run's own number, its record,
        and its Step as a body of JSON text.
        """
        due = self._fast_forward.next_message(is_ready=self._is_ready) if self.verdict is None else None
        if due is None:
            return None
        header, heard = due
        self._sent += 1
        number = number_of(header)
        step = msgspec.json.encode(self._step(header, heard, self._asked.get(number)))
        if isinstance(header, ENDS):
            self._asked.pop(number, None)
        self._end_if_cut_off()
        theirs = self._theirs.get(number, number)
        return (header if theirs == number else replace(header, number=theirs)), heard, codec.encode_body(step)

    def _step(self, header: FromKernel, heard: Heard, asked: Asked | None) -> Step:
        cost = _cost(header) if isinstance(header, ENDS) else None
        about = {"on": asked.on, "resource": asked.resource, "kind": asked.kind} if asked is not None else {}
        if isinstance(header, headers.Call):
            about = {"kind": "work", "on": header.method}
        elif isinstance(header, headers.Event):
            about = {"kind": "event", "on": header.event}
        return Step(
            count=self._sent, said=type(header).__name__.lower(), clock=header.time, size=len(heard.body),
            number=number_of(header), arguments=readable(asked.body) if asked is not None else None,
            why=headers.why(header) if isinstance(header, ENDS) else getattr(header, "why", ""),
            value=None if heard.secret else readable(heard.body), cost=cost, labels=getattr(header, "labels", ()), **about,
        )  # fmt: skip

    # the verdict -----------------------------------------------------------------------------------------------------

    def check_stalled(self, cpu: float) -> None:
        """Check whether the run waits for a message that is not on its tape: whether since the last call it has neither used
        processor time nor sent or received a message. cpu: its seconds so far; -1.0 while it has reason to wait.
        """
        before, self._last_check = self._last_check, (self._received, self._sent, round(cpu, 1))
        if before == self._last_check and cpu >= 0:
            unmet = self._fast_forward.unmatched
            recorded = shown(self._find(unmet[0].number)) if unmet else None
            self._differs(f"it waits where it should {'ask' if unmet else 'end'}", recorded)

    def _set_verdict(self, difference: Difference | None = None) -> None:
        self.verdict = self.verdict or Verdict(
            run=self.began.run, recorded=f"{self.began.name} {self.began.version}", requests=self._matched,
            messages=self._sent, end=end_text(self._end[0]) if self._end is not None else "", difference=difference,
        )  # fmt: skip

    def _differs(self, why: str, recorded: object = None, now: object = None) -> None:
        self._set_verdict(Difference(why=why, recorded=recorded, now=now))

    def _request_differs(self, then: Asked, asked: Asked) -> None:
        recorded, now = shown(then), shown(asked)
        is_same = (then.kind, then.on, then.resource) == (asked.kind, asked.on, asked.resource)
        also = f"the same with other arguments{_first_difference(recorded, now)}" if is_same else "something else"
        self._differs(f"request {then.number} of the run is {also}", recorded, now)

    def _find(self, number: int) -> Asked:
        """Return a request on the tape, which must be there."""
        every = (one.record for one in self._records() if isinstance(one.record, Asked))
        return self._due.get(number) or next(one for one in every if one.number == number)


def shown(asked: Asked) -> dict[str, object]:
    """Return a request as it is shown to people."""
    return {
        "number": asked.number, "kind": asked.kind, "on": asked.on, "resource": asked.resource,
        "arguments": readable(asked.body, most=16 * SHOWN_MOST),
    }  # fmt: skip


def readable(body: bytes | None, *, most: int = SHOWN_MOST) -> object:
    """Return a body's value, bytes as text; None if the body is larger than `most`, malformed, or not expressible in JSON."""
    if body is None or len(body) > most:
        return None
    try:
        value = codec.decode_body(body)
        plain = value.decode() if isinstance(value, bytes) else value
        msgspec.json.encode(plain)
    except (CodecError, TypeError, ValueError, RecursionError):  # TypeError: a table with keys that are no strings
        return None
    return plain


def end_text(end: headers.End) -> str:
    """Return an end in words."""
    return f"{type(end).__name__.lower()} {headers.why(end)}".rstrip()


def _cost(end: headers.End) -> Cost | None:
    return None if isinstance(end, headers.Refused) else end.cost


def _first_difference(then: object, now: object) -> str:
    """Return the first place in which two values differ, as ` at .text: "a" became "b"`; "" if they are equal."""
    path = ""
    while then != now:
        if isinstance(then, dict) and isinstance(now, dict):
            key = next(one for one in [*then, *now] if then.get(one, _NOTHING) != now.get(one, _NOTHING))
            path, then, now = f"{path}.{key}", then.get(key, _NOTHING), now.get(key, _NOTHING)
        elif isinstance(then, list) and isinstance(now, list) and (both := min(len(then), len(now))):
            at = next((n for n in range(both) if then[n] != now[n]), -1)
            if at < 0:
                return f" at {path.removeprefix('.arguments')}: {len(then)} items became {len(now)}"
            path, then, now = f"{path}[{at}]", then[at], now[at]
        else:
            return f" at {path.removeprefix('.arguments') or 'the whole'}: {_words(then, now)}"
    return ""


_NOTHING: Final = msgspec.UNSET
_WORD_MOST: Final = 100


def _words(then: object, now: object) -> str:
    """Return two values as `one became other`; of long ones the part around the first difference."""
    texts = ["nothing" if one is _NOTHING else msgspec.json.encode(one).decode() for one in (then, now)]
    both = min(map(len, texts))
    parts = next((at for at in range(both) if texts[0][at] != texts[1][at]), both)
    start = max(0, parts - _WORD_MOST // 4) if max(map(len, texts)) > _WORD_MOST else 0
    cut = [
        ("…" * (start > 0)) + one[start : start + _WORD_MOST] + ("…" * (len(one) > start + _WORD_MOST)) for one in texts
    ]
    return " became ".join(cut)
