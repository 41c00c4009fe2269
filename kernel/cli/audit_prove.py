"""`maniple audit prove` (acts)."""

import click

from kernel.cli import evidence, logbook, proofs
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.usage_errors import WholeNumber
from kernel.record.recovery import Lines
from wire.merkle import inclusion_proof, leaf_hash, root_of


@command()
@click.argument("seq", metavar="SEQ", type=WholeNumber(0))
def audit_prove(session: Session, seq: int) -> None:
    """Prove that one entry is in the log. The kernel need not run.

    Prints a C2SP tlog-proof: the entry (as its extra), its inclusion proof, and the newest checkpoint.

    Anyone with the log's verifier key can check it with `maniple audit verify-proof` or with other tools, and needs
    nothing else of the log.
    """
    proof = evidence.locate(session.home, key=None, folder=None)
    note, size, root = evidence.newest_checkpoint(proof)
    if seq >= size:
        logbook.line_at(session.log(), seq)  # raises if the log has no such entry
        raise Ended(
            f"no checkpoint covers entry {seq} yet: the newest covers {size}; "
            f"try again in a second: `maniple audit prove {seq}`"
        )
    leaves: list[bytes] = []
    entry = b""
    for line in Lines(proof.folder):
        if len(leaves) == seq:
            entry = line[:-1]
        leaves.append(leaf_hash(line[:-1]))
        if len(leaves) == size:
            break
    if root_of(leaves) != root:
        raise Ended("the log does not match its newest checkpoint: see `maniple audit verify`", Exit.UNVERIFIED)
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
