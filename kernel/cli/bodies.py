"""Whether a file is the body that an entry has a digest of (acts), by the key in the journal, until that is erased."""

import hmac
import os

import msgspec

from kernel.cli import named_files
from kernel.cli.exits import Ended
from wire import codec, limits
from wire.entries import Entry, body_digest
from wire.errors import CodecError
from wire.ids import OPERATOR


class _Key(msgspec.Struct, frozen=True):
    run: str
    key: str


def check(home: str, file: str, call: Entry, entry: Entry) -> str:
    """`arguments` or `reply` when the file is that body of the entry, "" when it is neither.

    call: the entry that has the caller, whose key the digests of both are made with. Raises Ended when there is no key.
    """
    key = key_of(home, call, entry.time)
    with named_files.opened(file) as opened:
        raw = opened.read(limits.BODY_MAX * 4)
    for name, digest in (("arguments", entry.arguments), ("reply", entry.reply)):
        if digest is None:
            continue
        for body in _readings(raw):
            if hmac.compare_digest(body_digest(key, body).digest, digest.digest):
                return name
    return ""


def _readings(raw: bytes) -> list[bytes]:
    """The bytes themselves, and what they are as a body when they are JSON."""
    try:
        return [raw, codec.encode_body(msgspec.json.decode(raw))]
    except (msgspec.DecodeError, CodecError, UnicodeError, RecursionError):
        return [raw]


def key_of(home: str, call: Entry, time: str) -> bytes:
    """The digest key of a call's caller at a time: a run's own, or the operator's since the kernel's last start before."""
    path = os.path.join(home, "journal", "keys", "000000.jsonl")
    found = ""
    with open(path, "rb") as file:
        for line in file:
            try:
                row = msgspec.json.decode(line, type=_Key)
            except msgspec.DecodeError:
                continue  # an empty line, or one that a crash cut short
            if call.principal == OPERATOR:
                name, _, since = row.run.partition(" ")
                if name == OPERATOR and since <= time:
                    found = row.key
            elif row.run == call.principal:
                found = row.key
    try:
        key = bytes.fromhex(found)
    except ValueError:
        key = b""
    if not key.strip(b"\0"):
        gone = f"the key of entry {call.seq}'s digests is not in {path}: it was erased with the bodies"
        raise Ended(f"{gone}; `maniple audit show {call.seq}` shows what the log has of it")
    return key
