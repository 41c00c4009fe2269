"""Checks a file against the digest of a body in an entry (acts). The key is in the journal, until it is erased there."""

import hmac
import os

import msgspec

from kernel.cli import named_files
from kernel.cli.exits import Ended
from wire import codec, limits
from wire.canonical import READ_ERRORS
from wire.entries import Entry, body_digest
from wire.errors import CodecError
from wire.ids import OPERATOR


class _Key(msgspec.Struct, frozen=True):
    run: str
    key: str


def match_body(home: str, file: str, call: Entry, entry: Entry) -> str:
    """Which body of the entry the file is: `arguments` or `reply`, "" if neither.

    call: the entry of the call, whose caller's key makes both digests. Raises Ended if that key is gone.
    """
    key = digest_key(home, call, entry)
    with named_files.open_to_read(file) as opened:
        raw = opened.read(limits.BODY_MAX * 4)
    for name, digest in (("arguments", entry.arguments), ("reply", entry.reply)):
        if digest is None:
            continue
        for body in _candidates(raw):
            if hmac.compare_digest(body_digest(key, body).digest, digest.digest):
                return name
    return ""


def _candidates(raw: bytes) -> list[bytes]:
    """The bytes as they are, and, if they are JSON, encoded as a body."""
    try:
        return [raw, codec.encode_body(msgspec.json.decode(raw))]
    except (CodecError, *READ_ERRORS):
        return [raw]


def digest_key(home: str, call: Entry, entry: Entry) -> bytes:
    """The key of the digests in a call's entry: of the run that called, or the operator's, new at each start.

    An older Maniple had the operator's for the end of a run whose starter had ended, and named no run there.
    """
    is_operators = call.principal == OPERATOR or (entry.kind == "end" and not entry.run)
    path = os.path.join(home, "journal", "keys", "000000.jsonl")
    found = ""
    with open(path, "rb") as file:
        for line in file:
            try:
                row = msgspec.json.decode(line, type=_Key)
            except READ_ERRORS:
                continue  # an empty line, a damaged one, or one that a crash cut short
            if is_operators:
                name, _, since = row.run.partition(" ")  # the log's size at that start; of an older Maniple, the time
                if name == OPERATOR and (int(since) <= entry.seq if since.isdecimal() else since <= entry.time):
                    found = row.key
            elif row.run == call.principal:
                found = row.key
    try:
        key = bytes.fromhex(found)
    except ValueError:
        key = b""
    if not key.strip(b"\0"):
        why = f"the key of entry {call.seq}'s digests is not in {path}: it was erased with the bodies"
        raise Ended(f"{why}; `maniple audit show {call.seq}` shows what the log has of it")
    return key
