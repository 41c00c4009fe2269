"""Loads the tape of a run from the home's files, and compares it with the signed log (acts).

A tape is authenticated with a key in the same home, so anybody who has the home can forge a tape, but not the log.
Therefore each body on the tape is compared with its digest in the log, and each call in the log must be on the tape.
"""

import hmac
import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from msgspec import Struct

from kernel.cli import bodies, logbook
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session
from kernel.record.journal import Journal
from wire import codec, headers
from wire.entries import Body, Entry, body_digest
from wire.errors import TapeDamaged
from wire.tape import Asked, Began, Heard, Placed, began, key_of, read
from wire.tape import Ended as End


class Recorded(Struct, frozen=True, kw_only=True):
    """A verified tape. secret: the key of its digests. has_ended: whether the run has ended, and so the tape is complete."""

    began: Began
    records: tuple[Placed, ...]
    secret: bytes
    has_ended: bool


def load(session: Session, run: str) -> Recorded:
    """Load and verify a run's tape. Raises Ended: it has none, or (verification failed) where the tape is damaged."""
    folder, home = session.log(), session.home
    entries = [one for one in logbook.entries(folder, needles=(os.fsencode(run),)) if one.run == run]
    start = next((one for one in entries if one.kind == "run.start"), None)
    if start is None:
        raise Ended(f"the log knows no run {run}: see `maniple runs`")
    code = f"{start.detail.get('name')} {start.detail.get('version')}"
    work = _work_entries(folder, start.call)
    path = Path(home, "journal", "runs", f"{run}.tape")
    if "asked" not in start.detail or not start.call:
        raise Ended(
            f"{run} of {code} has no tape: only runs of task Hands that `maniple start` or a Hand began have one"
        )
    placed: list[Placed] = []
    try:
        secret = Journal(Path(home, "journal")).secret(run)
        try:
            with open(path, "rb") as file:
                placed.extend(read(file.read, key_of(secret)))  # keeps what precedes the damage
        except TapeDamaged as damage:
            if "end" in work or damage.why != "it breaks off":  # else the run is still writing it
                raise
        except FileNotFoundError:
            raise TapeDamaged(0, "it was erased, or is not there") from None
        start_record = began(iter(placed))
        _compare_calls(placed, entries, secret)
        _compare_work(home, start_record, placed, start, work)
    except TapeDamaged as damage:
        near = _after_request(placed, damage.at)
        beside = f"`maniple audit search --run {run}` shows what the log has of it"
        raise Ended(f"{run} of {code} cannot be replayed: {damage}{near}; {beside}", Exit.UNVERIFIED) from None
    return Recorded(began=start_record, records=tuple(placed), secret=secret, has_ended="end" in work)


def _work_entries(folder: Path, call: int) -> dict[str, Entry]:
    """The entries `call` and `end` of the call that a run answers, by kind."""
    if not call:
        return {}
    found = logbook.entries(folder, needles=(b'"call":%d,' % call,))
    return {one.kind: one for one in found if one.call == call and one.kind in ("call", "end")}


def _after_request(placed: list[Placed], at: int) -> str:
    """A clause on the last request before this offset of the tape; "" if there is none."""
    asked = [one.record for one in placed if one.end <= at and isinstance(one.record, Asked)]
    return f", behind request {asked[-1].number} ({asked[-1].on})" if asked else ""


def _compare_calls(placed: list[Placed], entries: list[Entry], secret: bytes) -> None:
    """Compare calls and their ends with the log. Raises TapeDamaged at the first difference.

    Several records can wait for the same entry, as a refusal has no entry of its own; one of them must match it.
    """
    by_seq = {one.seq: one for one in entries if one.kind in ("call", "end") and one.method != "run"}
    starts = {id(one): start for one, start in zip(placed, [0, *(one.end for one in placed)], strict=False)}
    unseen = {seq: one for seq, one in by_seq.items() if one.kind == "call"}
    for needs, group in groupby(sorted(placed, key=lambda one: one.needs), key=lambda one: one.needs):
        entry = by_seq.get(needs - 1)
        records = [one for one in group if entry is not None and _entry_kind(one) == entry.kind]
        if entry is None or not records:
            continue
        unseen.pop(entry.seq, None)
        if not any(_matches_entry(one, entry, secret) for one in records):
            raise TapeDamaged(
                starts[id(records[-1])], f"this is not what entry {entry.seq} of the log has the digest of"
            )
    for seq, entry in unseen.items():
        if not any(isinstance(one.record, Asked) and _matches_entry(one, entry, secret) for one in placed):
            raise TapeDamaged(placed[-1].end, f"it lacks the call of entry {seq}, {entry.method}")


def _entry_kind(one: Placed) -> str:
    """The kind of entry that a record can correspond to; "" if none."""
    if isinstance(one.record, Asked):
        return "call"
    if isinstance(one.record, Heard):
        header = codec.decode_from_kernel(one.record.header)
        return "end" if isinstance(header, headers.Done | headers.Failed | headers.Refused | headers.Cancelled) else ""
    return ""


def _matches_entry(one: Placed, entry: Entry, secret: bytes) -> bool:
    record = one.record
    if isinstance(record, Asked):
        return record.on == entry.method and (record.body is None or _has_digest(secret, record.body, entry.arguments))
    if isinstance(record, Heard):
        verdict = type(codec.decode_from_kernel(record.header)).__name__.lower()
        return verdict == entry.verdict and (record.secret or _has_digest(secret, record.body, entry.reply))
    return False


def _has_digest(key: bytes, body: bytes, digest: Body | None) -> bool:
    return digest is not None and hmac.compare_digest(body_digest(key, body).digest, digest.digest)


def _compare_work(home: str, record: Began, placed: Iterable[Placed], start: Entry, work: dict[str, Entry]) -> None:
    """Compare the run's code, inputs and end with the log. Raises TapeDamaged at a difference."""
    detail = start.detail
    if (record.run, record.hand, record.name, record.version) != (
        start.run, detail.get("hand"), detail.get("name"), detail.get("version"),
    ):  # fmt: skip
        raise TapeDamaged(0, f"it is not of the run that entry {start.seq} of the log began")
    if "call" not in work:
        return
    if not _has_digest(bodies.digest_key(home, work["call"], work["call"]), record.inputs, work["call"].arguments):
        raise TapeDamaged(0, f"its inputs are not those that entry {work['call'].seq} of the log has the digest of")
    if "end" not in work:
        return
    last = next((one for one in placed if isinstance(one.record, End)), None)
    if last is None or not isinstance(last.record, End):
        raise TapeDamaged(list(placed)[-1].end, f"it lacks the end of its run, entry {work['end'].seq} of the log")
    if not _has_digest(bodies.digest_key(home, work["call"], work["end"]), last.record.body, work["end"].reply):
        raise TapeDamaged(
            last.end, f"the end before it is not what entry {work['end'].seq} of the log has the digest of"
        )
