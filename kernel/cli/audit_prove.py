"""`maniple audit prove` (acts)."""

import shlex

import click

from kernel.cli import evidence, logbook, named_files, proofs
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.usage_errors import WholeNumber
from kernel.record.recovery import Lines
from wire.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of


@command()
@click.argument("seq", metavar="[SEQ]", type=WholeNumber(0), required=False)
@click.option(
    "--since",
    metavar="FILE",
    type=named_files.PATH,
    help="Prove that the log continues this older checkpoint, kept elsewhere.",
)
def audit_prove(session: Session, seq: int | None, since: str | None) -> None:
    """Prove that entry SEQ is in the log, or that the log only grew since a checkpoint. The kernel need not run.

    Of an entry, prints a C2SP tlog-proof: the entry (as its extra), its inclusion proof, and the newest checkpoint.

    With --since, prints a consistency proof and the newest checkpoint, in the form that a C2SP tlog-witness takes
    (add-checkpoint). It shows nothing of any entry.

    Anyone with the log's verifier key can check either with `maniple audit verify-proof` or with other tools, and needs
    nothing else of the log.
    """
    proof = evidence.locate(session.home, key=None, folder=None)
    if since is not None and seq is None:
        _prove_growth(session, proof, since)
    elif seq is not None and since is None:
        _prove_entry(session, proof, seq)
    else:
        raise Ended("name the number of an entry, or an older checkpoint with --since", Exit.USAGE)


def _prove_entry(session: Session, proof: evidence.Evidence, seq: int) -> None:
    note, size, root = evidence.newest_checkpoint(proof)
    if seq >= size:
        logbook.line_at(session.log(), seq)  # raises if the log has no such entry
        raise Ended(
            f"no checkpoint covers entry {seq} yet: the newest covers {size}; "
            f"try again in a second: `maniple audit prove {seq}`"
        )
    entry, leaves = _read(proof, seq, size, root)
    made = proofs.Proof(entry=entry, index=seq, hashes=inclusion_proof(leaves, seq), checkpoint=note)
    session.result(
        {
            "seq": seq,
            "entry": entry.decode(),
            "size": size,
            "proof": [each.hex() for each in made.hashes],
            "checkpoint": note,
            "tlog_proof": proofs.format(made),
        },
        lambda: proofs.format(made).rstrip("\n"),
    )


def _prove_growth(session: Session, proof: evidence.Evidence, file: str) -> None:
    held = evidence.read_checkpoint(file, proof.key, "with --since, then `maniple audit prove` again")
    note, size, root = evidence.newest_checkpoint(proof)
    _, leaves = _read(proof, 0, size, root)
    if held.size > size or root_of(leaves[: held.size]) != held.root:
        look = f"`maniple audit verify --checkpoint {shlex.quote(file)}` says where it differs"
        raise Ended(f"the log does not continue {file}: {look}", Exit.UNVERIFIED)
    made = proofs.Growth(old=held.size, hashes=consistency_proof(leaves, held.size), checkpoint=note)
    session.result(
        {
            "since": held.size,
            "size": size,
            "proof": [each.hex() for each in made.hashes],
            "checkpoint": note,
            "add_checkpoint": proofs.format_growth(made),
        },
        lambda: proofs.format_growth(made).rstrip("\n"),
    )


def _read(proof: evidence.Evidence, seq: int, size: int, root: bytes) -> tuple[bytes, list[bytes]]:
    """Read an entry's line and all leaf hashes that a checkpoint covers. Raises Ended if they are not what it signed."""
    leaves: list[bytes] = []
    entry = b""
    for line in Lines(proof.folder):
        if len(leaves) == size:
            break
        if len(leaves) == seq:
            entry = line[:-1]
        leaves.append(leaf_hash(line[:-1]))
    if root_of(leaves) != root:
        raise Ended("the log does not match its newest checkpoint: see `maniple audit verify`", Exit.UNVERIFIED)
    return entry, leaves
