"""Entries of the log: their fields, their one encoding as a line of JSON, and the chain they are appended to (pure).

An entry is one line of canonical JSON (RFC 8785, wire/canonical.py); fields at their default are left out. Its leaf in
the Merkle tree is the hash of the line's bytes without the newline, its index there is seq, and the next entry names
that hash as prev. Bodies are not in the log, only digests under a key that can be erased with them.
Used by the kernel's log writer (Chain), by recovery and by verification (decode).
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, Required, TypedDict, Unpack

from msgspec import Meta, Struct
from msgspec.json import Decoder, Encoder

from wire import canonical
from wire.amounts import Cost, Number
from wire.errors import CodecError, Unencodable
from wire.merkle import Frontier

if TYPE_CHECKING:
    from hashlib import _Hash

KINDS: Final = {
    "kernel.start": "the kernel started; detail: digests of the code that runs",
    "kernel.stop": "the kernel stopped in order",
    "kernel.recovered": "the log was cut short by a crash, and was repaired; detail: what was repaired",
    "hand.install": "a Hand was installed; detail: version, seal, keys, if declared effects count, when its schedule began",
    "hand.remove": "a Hand was removed with its grants",
    "hand.ready": "a service answered that it is ready",
    "hand.state": "a Hand's state changed; verdict: wanted, unwanted, backing_off, quarantined or released",
    "run.start": "a process starts for a run; detail: whose, version and seal; fired: the key of the firing that began it",
    "run.confined": "the confinement that a run applied to itself before any code of its Hand",
    "run.left": "a run's process ended before its work; another will continue; waited: its calls that reached no provider",
    "label": "a lent scratch folder has new labels; on disk before anybody who works there receives what they mark",
    "run.end": "a run ended; verdict: how; detail: exit status and usage",
    "decision": "what happens to an unfinished run whose code was upgraded; verdict: asked, finish or restart",
    "call": "a call was allowed and goes to its provider (with an effect: once this is on disk), or it is held",
    "approval": "the operator's answer to a held call, signed; detail: the statement, its key and signature",
    "end": "a call's one end; verdict: done, failed, refused or cancelled; with reply, cost and labels",
    "refusal": "a call was refused before it reached a provider; why names the missing grant",
    "flood": "refusals beyond the limit, one entry for each principal, reason and second; detail: how many",
    "event": "an event was published",
    "grant": "a capability was granted; detail: to whom and which",
    "revoke": "a capability was revoked",
    "key.add": "a key was added to the trust store; detail: the verifier key and the most it may grant",
    "key.revoke": "a key was revoked or replaced",
    "root.add": "a folder got a name, so that file grants can refer to it",
    "root.remove": "a folder lost its name",
    "budget": "a budget was nearly or wholly used up, or set by the operator, or a charge corrected; verdict: which",
    "settings": "settings were changed; detail: which, and the file with the secret ones, never a secret",
    "pause": "a Hand was paused: its calls wait",
    "resume": "a paused Hand continues",
    "freeze": "the emergency stop: every run ended, no call but the operator's passes",
    "thaw": "the emergency stop was undone",
    "snapshot": "the kernel's state was saved; detail: its digest",
    "erase": "the tape of a run was erased, with the key of its digests; why: the reason",
    "note": "a text that a run or the operator wrote into the log",
}
"""Every kind of entry, and when it is written. Other kinds cannot be appended, but they can be read, so that an older Maniple
can verify a newer one's log."""

LINE_MAX: Final = 256 * 1024
"""Most bytes of a line, without its newline."""

NO_PREV: Final = "0" * 64
"""The `prev` of the first entry."""

_SECOND: Final = re.compile(
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][.]"
)


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What the log says of a body. digest: 64 hex digits, see body_digest(); size: in bytes."""

    digest: str
    size: Number


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """An entry. Its fields are in alphabetical order, as RFC 8785 requires.

    call: the kernel's number of the call, 0 for none. parent: the call it was made for. principal: who acted. run: the run
    concerned. resource: normalised, without a URL's query. verdict, why: the outcome and its reason. labels: of the content
    that was passed on. detail: what only this kind has, see KINDS; no floats, ASCII keys. time: see time_text(). prev: the
    hash of the entry before, NO_PREV for the first.
    """

    arguments: Body | None = None
    call: Number = 0
    cost: Cost | None = None
    detail: dict[str, object] = {}
    kind: Annotated[str, Meta(min_length=1)]
    labels: tuple[str, ...] = ()
    method: str = ""
    parent: Number = 0
    prev: str
    principal: Annotated[str, Meta(min_length=1)]
    reply: Body | None = None
    resource: str = ""
    run: str = ""
    seq: Number
    time: str
    verdict: str = ""
    why: str = ""


class Reported(TypedDict, total=False):
    """Fields of an entry without seq, prev, kind, time and principal."""

    arguments: Body | None
    call: int
    cost: Cost | None
    detail: dict[str, object]
    labels: tuple[str, ...]
    method: str
    parent: int
    reply: Body | None
    resource: str
    run: str
    verdict: str
    why: str


class Said(Reported):
    """Fields of an entry that the reporting code sets, besides its kind."""

    principal: Required[str]


class Fields(Said):
    """Fields of an entry that Chain.append() takes: all but seq and prev."""

    kind: str
    time: str


_encode: Final = Encoder(order="deterministic").encode
_decode: Final = Decoder(Entry).decode


def encode(entry: Entry) -> bytes:
    """Encode an entry as a line, without a newline. Raises Unencodable for anything that decode() would not accept."""
    if entry.kind not in KINDS:
        raise Unencodable(f"there is no entry kind {entry.kind!r}; add it to wire.entries.KINDS")
    if entry.detail:
        canonical.check(entry.detail)
    try:
        line = _encode(entry)
        again = _decode(line)
    except (*canonical.READ_ERRORS, TypeError, ValueError, OverflowError) as error:
        raise Unencodable(f"this is no entry: {error}") from error
    if again != entry or len(line) > LINE_MAX:
        raise Unencodable(f"this is no entry: a field has a wrong type, or the line is longer than {LINE_MAX} bytes")
    if wrong := _misspelled(again):
        raise Unencodable(f"this is no entry: {wrong}")
    return line


def decode(line: bytes) -> Entry:
    """Decode a line without its newline. Raises CodecError for any line that encode() would not have written."""
    if len(line) > LINE_MAX:
        raise CodecError(f"the line is longer than {LINE_MAX} bytes")
    try:
        entry = _decode(line)
        if entry.detail:
            canonical.check(entry.detail)
        again = _encode(entry)
    except canonical.READ_ERRORS as error:
        raise CodecError(f"the line is no entry: {error}") from error
    except Unencodable as error:
        raise CodecError(f"the line is no entry: {error}") from error
    if again != line:
        raise CodecError("the line is not canonical: the same entry is spelled in another way")
    if wrong := _misspelled(entry):
        raise CodecError(f"the line is no entry: {wrong}")
    return entry


def is_digest(text: str) -> bool:
    """Whether a text is 64 lower-case hex digits."""
    try:
        return len(text) == 64 and bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def _misspelled(entry: Entry) -> str:
    """Return which field is not a digest or a time where one is required; "" if all are right.

    Patterns in the decoder would take twice as long for this as the rest of a line does.
    """
    arguments, reply, time = entry.arguments, entry.reply, entry.time
    if not is_digest(entry.prev):
        return "prev is not 64 hex digits"
    if arguments is not None and not is_digest(arguments.digest):
        return "arguments.digest is not 64 hex digits"
    if reply is not None and not is_digest(reply.digest):
        return "reply.digest is not 64 hex digits"
    is_whole = len(time) == 27 and time.isascii() and time[20:26].isdigit() and time[26] == "Z"
    return "" if is_whole and _is_second(time[:20]) else f"{time!r} is not a time like 2026-11-21T00:45:10.123456Z"


@lru_cache(maxsize=16)
def _is_second(text: str) -> bool:
    return _SECOND.fullmatch(text) is not None


class Chain:
    """The end of a log, to which entries are appended. An entry that is refused leaves it unchanged.

    For a new log: Chain(). For an existing one: seq and prev as after its last entry, and the frontier over all its leaves.
    """

    __slots__ = ("_frontier", "_prev", "_seq", "last")

    last: Entry
    """The entry that was appended last."""

    def __init__(self, *, seq: int = 0, prev: str = NO_PREV, frontier: Frontier | None = None) -> None:
        self._frontier = Frontier() if frontier is None else frontier
        self._seq = seq
        self._prev = prev
        if self._frontier.size != seq or (seq == 0) != (prev == NO_PREV):
            raise Unencodable(f"a log of {seq} entries cannot end with {prev} and {self._frontier.size} leaves")

    @property
    def seq(self) -> int:
        """The next entry's seq, and so the number of entries."""
        return self._seq

    @property
    def prev(self) -> str:
        """The next entry's prev."""
        return self._prev

    @property
    def frontier(self) -> Frontier:
        """The tree over all entries so far; its root() and size are the next checkpoint's."""
        return self._frontier

    def append(self, **fields: Unpack[Fields]) -> bytes:
        """Append the next entry. Returns its line, without a newline. Raises Unencodable for invalid fields."""
        entry = Entry(seq=self._seq, prev=self._prev, **fields)
        line = encode(entry)
        leaf = sha256(b"\x00" + line).digest()
        self._frontier.append(leaf)
        self._prev = leaf.hex()
        self._seq += 1
        self.last = entry
        return line


def body_digest(key: bytes, body: bytes) -> Body:
    """Digest a body by HMAC-SHA-256 (RFC 2104) under the run's key: the plain hash of a short body could be guessed."""
    inner, outer = _pads(key)
    inside = inner.copy()
    inside.update(body)
    outside = outer.copy()
    outside.update(inside.digest())
    return Body(digest=outside.hexdigest(), size=len(body))


@lru_cache(maxsize=4096)
def _pads(key: bytes) -> tuple["_Hash", "_Hash"]:
    """Return the inner and outer hash of HMAC with the key absorbed, cached per key: half the time of hmac.digest()."""
    block = key if len(key) <= 64 else sha256(key).digest()
    pads = [bytes(byte ^ mask for byte in block.ljust(64, b"\0")) for mask in (0x36, 0x5C)]
    return sha256(pads[0]), sha256(pads[1])


def time_text(micros: int) -> str:
    """Format microseconds since 1970 as RFC 3339, in UTC, with microseconds. Raises Unencodable outside 1970 to 9999."""
    second, rest = divmod(micros, 1_000_000)
    return f"{_second_text(second)}.{rest:06d}Z"


@lru_cache(maxsize=16)
def _second_text(second: int) -> str:
    try:
        moment = datetime.fromtimestamp(second, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise Unencodable(f"{second} seconds since 1970 lie outside of the calendar") from error
    if second < 0:
        raise Unencodable("a time before 1970 is not written")
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def time_micros(text: str) -> int:
    """Parse what time_text() writes. Returns microseconds since 1970. Raises CodecError for any other text."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise CodecError(f"{text!r} is not a time like 2026-11-21T00:45:10.123456Z") from error
    since = moment - datetime.fromtimestamp(0, UTC)
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if micros < 0 or time_text(micros) != text:
        raise CodecError(f"{text!r} is not a time like 2026-11-21T00:45:10.123456Z")
    return micros
