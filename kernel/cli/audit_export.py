"""`maniple audit export` (acts)."""

import errno
import os
import shlex
import tarfile
import tempfile
from itertools import islice
from typing import Final

import click

from kernel.cli import evidence, named_files
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.record.recovery import Lines, read_notes
from wire.merkle import Frontier, leaf_hash

README: Final = """This is the log of a Maniple kernel, for whoever is to check it.

entries/000000.jsonl   every entry, a line of canonical JSON (RFC 8785) each; line N is leaf N of an RFC 6962 tree
checkpoint             the newest signed tree head (C2SP tlog-checkpoint), over the first {size} entries
checkpoints            older ones
log.pub                the key that signed them, as a verifier key: compare it with one you got in another way

Check it with   maniple audit verify --from DIR --key KEY
"""

_TAR: Final = (".tar", ".tar.gz", ".tgz")
_OTHER_ARCHIVES: Final = (".zip", ".gz", ".bz2", ".xz", ".zst", ".7z")
"""Ends of names that stand for formats which this does not write; a folder of that name would mislead."""


@command()
@click.argument("to", metavar="TO", type=named_files.PATH)
def audit_export(session: Session, to: str) -> None:
    """Export the log for somebody who is to check it: entries, checkpoints and the public key, nothing secret.

    TO is a new folder, or a new file that ends in .tar or .tar.gz, which holds the folder maniple-log. It holds exactly
    what the newest checkpoint covers. To check it: `maniple audit verify --from DIR`.
    """
    if to.endswith(_OTHER_ARCHIVES) and not to.endswith(_TAR):
        raise Ended(f"{to} is neither a folder's name nor ends in .tar or .tar.gz", Exit.USAGE)
    if os.path.lexists(to):
        raise named_files.already_exists(to)
    proof = evidence.locate(session.home, key=None, folder=None)
    older = read_notes(proof.folder, proof.key.name)  # read before the newest, so that none is of a longer log
    note, size, root = evidence.newest_checkpoint(proof)
    is_tar = to.endswith(_TAR)
    parent = os.path.dirname(os.path.abspath(to))
    if not named_files.is_folder(parent):
        raise Ended(f"there is no folder {parent}: make it first, then `maniple audit export {shlex.quote(to)}`")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as scratch:
        folder = os.path.join(scratch, "log")
        os.makedirs(os.path.join(folder, "entries"))
        if _write_entries(proof, size, os.path.join(folder, "entries", "000000.jsonl")) != root:
            raise Ended(
                f"{to} was not written: the log does not match its newest checkpoint; `maniple audit verify` says where",
                Exit.UNVERIFIED,
            )
        for name, text in (
            ("checkpoint", note),
            ("checkpoints", "".join(f"\n{each}" for each in older if each != note)),
            ("log.pub", proof.key.text() + "\n"),
            ("README.txt", README.format(size=size)),
        ):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        if is_tar:
            archive_path = os.path.join(scratch, "whole")
            with tarfile.open(archive_path, "w:gz" if to.endswith("gz") else "w") as archive:
                archive.add(folder, arcname="maniple-log")
            os.rename(archive_path, to)
        else:
            os.rename(folder, to)
    session.result({"to": to, "entries": size, "key": proof.key.text()}, lambda: f"{to} holds {size} entries.")


def _write_entries(proof: evidence.Evidence, size: int, path: str) -> bytes:
    """Write the lines that the checkpoint covers; returns the root of the Merkle tree over them."""
    tree = Frontier()
    with open(path, "wb") as file:
        for line in islice(Lines(proof.folder), size):
            file.write(line)
            tree.append(leaf_hash(line[:-1]))
    return tree.root()
