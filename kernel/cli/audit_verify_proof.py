"""`maniple audit verify-proof` (acts)."""

import click

from kernel.cli import drawing, evidence, keyfile, logbook, named_files, proofs, streams
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from wire.entries import decode
from wire.errors import CodecError, NoteMalformed, ProofInvalid, SignatureInvalid
from wire.signing import VerifyKey


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@click.option("--key", metavar="KEY", help="The log's verifier key, or a file with it, instead of the home's log.pub.")
@click.option("--since", metavar="FILE", type=named_files.PATH, help="The older checkpoint that the proof begins at.")
def audit_verify_proof(session: Session, file: str, key: str | None, since: str | None) -> None:
    """Check a proof that `maniple audit prove` printed. FILE may be - for stdin. With --key, no home is needed.

    A proof of growth wants the checkpoint that it begins at (--since), as you kept it.

    Ends with 5 if the proof does not lead to the checkpoint, or another key signed that.
    """
    with streams.source(file) as opened:
        text = opened.read(1 << 20).decode("utf-8", "replace").replace("\r\n", "\n")
    if text.startswith(proofs.OLD) != (since is not None):
        what = "an entry, which needs no --since" if since else "growth: name the checkpoint it begins at with --since"
        raise Ended(f"{file} is a proof of {what}", Exit.USAGE)
    public = keyfile.parse_public(key) if key else logbook.public_key(session.home)
    try:
        if since is None:
            _check_entry(session, text, public)
        else:
            _check_growth(session, text, since, public)
    except (NoteMalformed, SignatureInvalid, ProofInvalid, CodecError) as error:
        other = evidence.other_signers(text, public) if isinstance(error, SignatureInvalid) else ""
        mend = f"have another from who made it: `maniple audit prove {'--since FILE' if since else 'SEQ'}`"
        if other:
            mend = "give that log's verifier key with `--key KEY`"
        raise Ended(f"the proof does not verify: {other or error}; {mend}", Exit.UNVERIFIED) from None


def _check_entry(session: Session, text: str, public: VerifyKey) -> None:
    proof = proofs.parse(text)
    size = proofs.check(proof, public)
    entry = decode(proof.entry)
    session.result(
        {"ok": True, "seq": proof.index, "size": size, "entry": proof.entry.decode()},
        lambda: (
            f"Entry {proof.index} is in the log of {size} entries that {public.name}+{public.id} signed:\n"
            f"{drawing.line(entry)}"
        ),
    )


def _check_growth(session: Session, text: str, since: str, public: VerifyKey) -> None:
    held = evidence.read_checkpoint(since, public, "with --since, then `maniple audit verify-proof` again")
    growth = proofs.parse_growth(text)
    size = proofs.check_growth(growth, held, public)
    session.result(
        {"ok": True, "since": held.size, "size": size},
        lambda: (
            f"The log of {size} entries that {public.name}+{public.id} signed continues the one of {held.size}: "
            "nothing in it was changed or taken out."
        ),
    )
