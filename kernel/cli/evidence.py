"""Locates and verifies a log (acts): that of a home, or one that `audit export` wrote."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from kernel.cli import keyfile, logbook, named_files
from kernel.cli.exits import Ended, Exit
from kernel.record.recovery import Lines, read_notes
from manifests.seal import signers
from wire.checkpoint import Checkpoint, open_checkpoint
from wire.errors import LogInvalid, NoteMalformed, SignatureInvalid
from wire.signing import VerifyKey
from wire.verify import Verified, verify_lines


class Evidence(Struct, frozen=True, kw_only=True):
    """A log's folder, and the key with which its checkpoints must be signed."""

    folder: Path
    key: VerifyKey


_MEND_NEWEST: Final = (
    "restore that file from a backup (an older checkpoint of this log will do, such as the last in `checkpoints` "
    "beside it), then `maniple audit verify`"
)
_MEND_OLDER: Final = (
    "restore that file from a backup, or move it away: older checkpoints only narrow down where a change lies; "
    "then `maniple audit verify`"
)


def locate(home: str, *, key: str | None, folder: str | None) -> Evidence:
    """The log of a home, or of an exported folder. key: a verifier key or its file, instead of log.pub. Raises Ended."""
    if folder is None:
        return Evidence(
            folder=logbook.folder_of(home), key=keyfile.parse_public(key) if key else logbook.public_key(home)
        )
    if os.path.isfile(folder):
        unpack = f"tar -xf {shlex.quote(folder)}"
        raise Ended(
            f"{folder} is not a folder: if it is packed, `{unpack}`, then `maniple audit verify --from maniple-log`"
        )
    if not named_files.is_folder(os.path.join(folder, "entries")):
        raise Ended(f"{folder} is not a log that `maniple audit export DIR` wrote: it has no folder entries")
    key_text = key or os.path.join(folder, "log.pub")
    return Evidence(folder=Path(folder), key=keyfile.parse_public(key_text))


def read_checkpoint(
    path: str, key: VerifyKey, how: str = "with --checkpoint, then `maniple audit verify` again"
) -> Checkpoint:
    """Read a checkpoint that was kept elsewhere. Raises Ended, which names the file: (failed) if it cannot be read,
    (verification failed) if it is not a checkpoint of this log signed by its key. how: to name another.
    """
    mend = f"name a copy of log/checkpoint {how}"
    try:
        with named_files.open_to_read(path) as file:
            note = file.read(64 * 1024).decode(errors="replace")
    except OSError as error:
        raise Ended(f"the checkpoint {path} cannot be read: {error.strerror}; {mend}") from None
    try:
        return open_checkpoint(note, [key], key.name)
    except (NoteMalformed, SignatureInvalid) as error:
        raise Ended(f"{path} is not a checkpoint of this log: {error}; {mend}", Exit.UNVERIFIED) from None


def verify(evidence: Evidence, held: list[Checkpoint], tick: Callable[[int], None] | None = None) -> Verified:
    """Verify the whole log against its own checkpoints and those held elsewhere. Raises Ended (verification failed).

    tick: called with the count of entries verified so far, every 20,000.
    """
    own = _read_own(evidence)
    try:
        lines = Lines(evidence.folder)
        found = verify_lines(_ticking(lines, tick) if tick else lines, checkpoints=own, held=held)
        if not own:
            raise LogInvalid(0, "no checkpoint covers it, nor any other entry")
    except LogInvalid as error:
        raise Ended(
            f"the log in {evidence.folder} does not verify: {error}; keep it as it is, and restore a copy that does, "
            "then `maniple audit verify`",
            Exit.UNVERIFIED,
        ) from None
    return found


def _read_own(evidence: Evidence) -> list[Checkpoint]:
    """Read the log's own checkpoints, newest first. Raises Ended (verification failed), which names the file.

    The newest, in the file `checkpoint`, is needed at a start: it must not be missing if older ones exist.
    """
    path, origin = evidence.folder / "checkpoint", evidence.key.name
    newest = read_notes(evidence.folder, origin, history=False)
    older = read_notes(evidence.folder, origin)[len(newest) :]
    if not newest and older:
        raise _damaged(path, "is not there", _MEND_NEWEST)
    own = []
    for note in newest:
        try:
            own.append(open_checkpoint(note, [evidence.key], origin))
        except (NoteMalformed, SignatureInvalid) as error:
            if stranger := other_signers(note, evidence.key):
                other = "give that log's verifier key with `--key KEY`; or, if it is this log's, "
                raise _damaged(path, f"is damaged, or another log's: {stranger}", other + _MEND_NEWEST) from None
            raise _damaged(path, f"is damaged: {error}", _MEND_NEWEST) from None
    return own + _open_older(evidence, older)


def other_signers(note: str, key: VerifyKey) -> str:
    """A clause on the keys that a note claims to be signed by; "" if this key is among them."""
    claimed = signers(note)
    if (key.name, key.id) in claimed:
        return ""
    by = " and ".join(f"{name}+{key_id}" for name, key_id in claimed[:3]) or "nobody"
    return f"it is signed by {by}, not by {key.name}+{key.id}"


def _open_older(evidence: Evidence, notes: list[str]) -> list[Checkpoint]:
    """Open the notes in the file `checkpoints`, which may hold nothing else except a checkpoint that a crash cut short."""
    path, origin = evidence.folder / "checkpoints", evidence.key.name
    text = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    found, end = [], 0
    for note in [*notes, None]:
        begin = len(text) if note is None else text.find(note, end)
        line = text.count("\n", 0, begin) + 1
        if not _is_torn(text[end:begin], origin):
            raise _damaged(path, f"is damaged before its line {line}: what stands there is no checkpoint", _MEND_OLDER)
        if note is not None:
            try:
                found.append(open_checkpoint(note, [evidence.key], origin))
            except (NoteMalformed, SignatureInvalid) as error:
                raise _damaged(path, f"is damaged, the checkpoint at its line {line}: {error}", _MEND_OLDER) from None
            end = begin + len(note)
    return found


def _is_torn(piece: str, origin: str) -> bool:
    """Whether a piece of text is empty, or the beginning of a checkpoint, maybe with the zeros of unwritten blocks."""
    begin = piece.removeprefix("\n").removesuffix("\n").rstrip("\0")
    if begin.endswith("\n\n\ufffd"):  # cut within the three bytes of the dash
        begin = begin[:-1]
    shape = rf"{re.escape(origin)}\n[0-9]+\n[A-Za-z0-9+/]{{43}}=\n\n— {re.escape(origin)} [A-Za-z0-9+/=]{{92}}\n"
    samples = (f"{origin}\n{'1' * digits}\n{'A' * 43}=\n\n— {origin} {'A' * 92}\n" for digits in range(1, 20))
    return any(re.fullmatch(shape, begin + sample[len(begin) :]) for sample in samples)


def _damaged(path: Path, what: str, mend: str) -> Ended:
    return Ended(f"the log in {path.parent} does not verify: {path} {what}; {mend}", Exit.UNVERIFIED)


def newest_checkpoint(evidence: Evidence) -> tuple[str, int, bytes]:
    """Read the newest checkpoint: its note, tree size and root hash. Raises Ended (verification failed)."""
    notes = read_notes(evidence.folder, evidence.key.name, history=False)
    try:
        if not notes:
            raise NoteMalformed("there is no checkpoint")
        checkpoint = open_checkpoint(notes[0], [evidence.key], evidence.key.name)
    except (NoteMalformed, SignatureInvalid) as error:
        raise Ended(
            f"the checkpoint in {evidence.folder} does not verify: {error}; `maniple audit verify` tells what to do",
            Exit.UNVERIFIED,
        ) from None
    return notes[0], checkpoint.size, checkpoint.root


def _ticking(lines: Lines, tick: Callable[[int], None]) -> Iterator[bytes]:
    for count, line in enumerate(lines):
        if count % 20_000 == 0:
            tick(count)
        yield line
