"""Where a log that is to be verified lies, and by which keys (acts): a home, or what `audit export` wrote."""

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
    """A log's folder, and the key that must have signed its checkpoints."""

    folder: Path
    key: VerifyKey


_NEWEST: Final = (
    "restore that file from a backup (an older checkpoint of this log will do, such as the last in `checkpoints` "
    "beside it), then `maniple audit verify`"
)
_OLDER: Final = (
    "restore that file from a backup, or move it away: older checkpoints only narrow down where a change lies; "
    "then `maniple audit verify`"
)


def find(home: str, *, key: str | None, folder: str | None) -> Evidence:
    """The evidence of a home, or in a folder that was exported. Raises Ended when it is not there."""
    if folder is None:
        return Evidence(folder=logbook.folder_of(home), key=keyfile.public(key) if key else logbook.public_key(home))
    if os.path.isfile(folder):
        unpack = f"tar -xf {shlex.quote(folder)}"
        raise Ended(
            f"{folder} is not a folder: if it is packed, `{unpack}`, then `maniple audit verify --from maniple-log`"
        )
    if not named_files.is_folder(os.path.join(folder, "entries")):
        raise Ended(f"{folder} is not a log that `maniple audit export DIR` wrote: it has no folder entries")
    told = key or os.path.join(folder, "log.pub")
    return Evidence(folder=Path(folder), key=keyfile.public(told))


def held(path: str, key: VerifyKey) -> Checkpoint:
    """A checkpoint that was kept in a file. Raises Ended, which names the file: for what cannot be read (failed), and
    for what is no checkpoint of this log, signed by its key (verification failed).
    """
    mend = "name a copy of log/checkpoint with --checkpoint, then `maniple audit verify` again"
    try:
        with named_files.opened(path) as file:
            note = file.read(64 * 1024).decode(errors="replace")
    except OSError as error:
        raise Ended(f"the checkpoint {path} cannot be read: {error.strerror}; {mend}") from None
    try:
        return open_checkpoint(note, [key], key.name)
    except (NoteMalformed, SignatureInvalid) as error:
        raise Ended(f"{path} is not a checkpoint of this log: {error}; {mend}", Exit.UNVERIFIED) from None


def verified(evidence: Evidence, held: list[Checkpoint], tick: Callable[[int], None] | None = None) -> Verified:
    """The whole log against its checkpoints and those held elsewhere. Raises Ended (verification failed)."""
    own = _own(evidence)
    try:
        lines = Lines(evidence.folder)
        found = verify_lines(_counted(lines, tick) if tick else lines, checkpoints=own, held=held)
        if not own:
            raise LogInvalid(0, "no checkpoint covers it, nor any other entry")
    except LogInvalid as error:
        raise Ended(
            f"the log in {evidence.folder} does not verify: {error}; keep it as it is, and restore a copy that does, "
            "then `maniple audit verify`",
            Exit.UNVERIFIED,
        ) from None
    return found


def _own(evidence: Evidence) -> list[Checkpoint]:
    """The log's own checkpoints, the newest first. Raises Ended (verification failed), which names the file.

    A start needs the newest, so it must not be missing where others are left.
    """
    path, origin = evidence.folder / "checkpoint", evidence.key.name
    newest = read_notes(evidence.folder, origin, history=False)
    older = read_notes(evidence.folder, origin)[len(newest) :]
    if not newest and older:
        raise _spoiled(path, "is not there", _NEWEST)
    own = []
    for note in newest:
        try:
            own.append(open_checkpoint(note, [evidence.key], origin))
        except (NoteMalformed, SignatureInvalid) as error:
            if stranger := signed_elsewhere(note, evidence.key):
                other = "give that log's verifier key with `--key KEY`; or, if it is this log's, "
                raise _spoiled(path, f"is damaged, or another log's: {stranger}", other + _NEWEST) from None
            raise _spoiled(path, f"is damaged: {error}", _NEWEST) from None
    return own + _older(evidence, older)


def signed_elsewhere(note: str, key: VerifyKey) -> str:
    """By whose keys a note says it is signed, in words; "" when this key is among them."""
    claimed = signers(note)
    if (key.name, key.id) in claimed:
        return ""
    by = " and ".join(f"{name}+{key_id}" for name, key_id in claimed[:3]) or "nobody"
    return f"it is signed by {by}, not by {key.name}+{key.id}"


def _older(evidence: Evidence, notes: list[str]) -> list[Checkpoint]:
    """Those of `checkpoints`, in which nothing else may stand but what a crash has left of one."""
    path, origin = evidence.folder / "checkpoints", evidence.key.name
    text = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    found, end = [], 0
    for note in [*notes, None]:
        begin = len(text) if note is None else text.find(note, end)
        line = text.count("\n", 0, begin) + 1
        if not _is_torn(text[end:begin], origin):
            raise _spoiled(path, f"is damaged before its line {line}: what stands there is no checkpoint", _OLDER)
        if note is not None:
            try:
                found.append(open_checkpoint(note, [evidence.key], origin))
            except (NoteMalformed, SignatureInvalid) as error:
                raise _spoiled(path, f"is damaged, the checkpoint at its line {line}: {error}", _OLDER) from None
            end = begin + len(note)
    return found


def _is_torn(piece: str, origin: str) -> bool:
    """Whether it may be a checkpoint's beginning, and zeros where room was allocated and nothing came; or nothing at all."""
    begun = piece.removeprefix("\n").removesuffix("\n").rstrip("\0")
    if begun.endswith("\n\n\ufffd"):  # cut within the dash, which takes three bytes
        begun = begun[:-1]
    shape = rf"{re.escape(origin)}\n[0-9]+\n[A-Za-z0-9+/]{{43}}=\n\n— {re.escape(origin)} [A-Za-z0-9+/=]{{92}}\n"
    wholes = (f"{origin}\n{'1' * digits}\n{'A' * 43}=\n\n— {origin} {'A' * 92}\n" for digits in range(1, 20))
    return any(re.fullmatch(shape, begun + whole[len(begun) :]) for whole in wholes)


def _spoiled(path: Path, what: str, mend: str) -> Ended:
    return Ended(f"the log in {path.parent} does not verify: {path} {what}; {mend}", Exit.UNVERIFIED)


def newest(evidence: Evidence) -> tuple[str, int, bytes]:
    """The newest checkpoint: its note, size and root. Raises Ended (verification failed)."""
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


def _counted(lines: Lines, tick: Callable[[int], None]) -> Iterator[bytes]:
    for count, line in enumerate(lines):
        if count % 20_000 == 0:
            tick(count)
        yield line
