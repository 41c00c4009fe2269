"""`maniple audit verify-proof` (acts)."""

import click

from kernel.cli import drawing, evidence, keyfile, logbook, named_files, proofs, streams
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from wire.entries import decode
from wire.errors import CodecError, NoteMalformed, ProofInvalid, SignatureInvalid


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@click.option("--key", metavar="KEY", help="The log's verifier key, or a file with it, instead of the home's log.pub.")
def audit_verify_proof(session: Session, file: str, key: str | None) -> None:
    """Check a proof that `maniple audit prove` printed. FILE may be - for stdin. With --key, no home is needed.

    Ends with 5 if the proof does not lead to the checkpoint, or another key signed that.
    """
    with streams.source(file) as opened:
        text = opened.read(1 << 20).decode("utf-8", "replace").replace("\r\n", "\n")
    public = keyfile.parse_public(key) if key else logbook.public_key(session.home)
    try:
        proof = proofs.parse(text)
        size = proofs.check(proof, public)
        entry = decode(proof.entry)
    except (NoteMalformed, SignatureInvalid, ProofInvalid, CodecError) as error:
        other = evidence.other_signers(text, public) if isinstance(error, SignatureInvalid) else ""
        mend = "have another from who made it: `maniple audit prove SEQ`"
        if other:
            mend = "give that log's verifier key with `--key KEY`"
        raise Ended(f"the proof does not verify: {other or error}; {mend}", Exit.UNVERIFIED) from None
    session.result(
        {"ok": True, "seq": proof.index, "size": size, "entry": proof.entry.decode()},
        lambda: (
            f"Entry {proof.index} is in the log of {size} entries that {public.name}+{public.id} signed:\n"
            f"{drawing.line(entry)}"
        ),
    )
