"""Where a log that is to be verified lies, and by which keys (acts): a home, or what `audit export` wrote."""

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from kernel.cli import keyfile, logbook
from kernel.cli.exits import Ended, Exit
from kernel.record.recovery import Lines, read_notes
from wire.checkpoint import Checkpoint, open_checkpoint, open_checkpoints
from wire.errors import LogInvalid, NoteMalformed, SignatureInvalid
from wire.signing import VerifyKey
from wire.verify import Verified, verify_lines


class Evidence(Struct, frozen=True, kw_only=True):
    """A log's folder, and the key that must have signed its checkpoints."""

    folder: Path
    key: VerifyKey


def find(home: str, *, key: str | None, folder: str | None) -> Evidence:
    """The evidence of a home, or in a folder that was exported. Raises Ended when it is not there."""
    if folder is None:
        return Evidence(folder=logbook.folder_of(home), key=keyfile.public(key) if key else logbook.public_key(home))
    if os.path.isfile(folder):
        unpack = f"tar -xf {shlex.quote(folder)}"
        raise Ended(
            f"{folder} is no folder: if it is packed, `{unpack}`, then `maniple audit verify --from maniple-log`"
        )
    if not os.path.isdir(os.path.join(folder, "entries")):
        raise Ended(f"{folder} holds no exported log: it has no folder `entries`")
    told = key or os.path.join(folder, "log.pub")
    return Evidence(folder=Path(folder), key=keyfile.public(told))


def held(path: str, key: VerifyKey) -> Checkpoint:
    """A checkpoint that was kept in a file. Raises Ended, which names the file: for what cannot be read (failed), and
    for what is no checkpoint of this log, signed by its key (verification failed).
    """
    mend = "name a copy of log/checkpoint with --checkpoint, then `maniple audit verify` again"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            note = file.read(64 * 1024)
    except OSError as error:
        raise Ended(f"the checkpoint {path} cannot be read: {error.strerror}; {mend}") from None
    try:
        return open_checkpoint(note, [key], key.name)
    except (NoteMalformed, SignatureInvalid) as error:
        raise Ended(f"{path} is no checkpoint of this log: {error}; {mend}", Exit.UNVERIFIED) from None


def verified(evidence: Evidence, held: list[Checkpoint], tick: Callable[[int], None] | None = None) -> Verified:
    """The whole log against its checkpoints and those held elsewhere. Raises Ended (verification failed)."""
    origin = evidence.key.name
    try:
        notes = read_notes(evidence.folder, origin)
        own = list(open_checkpoints(notes, [evidence.key], origin))
        lines = Lines(evidence.folder)
        found = verify_lines(_counted(lines, tick) if tick else lines, checkpoints=own, held=held)
        if not notes:
            raise LogInvalid(0, "no checkpoint vouches for it, nor for any other")
    except LogInvalid as error:
        raise Ended(
            f"the log in {evidence.folder} does not verify: {error}; keep it as it is, and restore a copy that does",
            Exit.UNVERIFIED,
        ) from None
    except (NoteMalformed, SignatureInvalid) as error:
        raise Ended(f"the log in {evidence.folder} does not verify: {error}", Exit.UNVERIFIED) from None
    return found


def newest(evidence: Evidence) -> tuple[str, int, bytes]:
    """The newest checkpoint: its note, size and root. Raises Ended (verification failed)."""
    notes = read_notes(evidence.folder, evidence.key.name, history=False)
    try:
        if not notes:
            raise NoteMalformed("there is no checkpoint")
        checkpoint = open_checkpoint(notes[0], [evidence.key], evidence.key.name)
    except (NoteMalformed, SignatureInvalid) as error:
        raise Ended(f"the checkpoint in {evidence.folder} does not verify: {error}", Exit.UNVERIFIED) from None
    return notes[0], checkpoint.size, checkpoint.root


def _counted(lines: Lines, tick: Callable[[int], None]) -> Iterator[bytes]:
    for count, line in enumerate(lines):
        if count % 20_000 == 0:
            tick(count)
        yield line
