"""`maniple audit verify` (acts)."""

import sys

import click
from msgspec import Struct

from kernel.cli import answers, evidence, named_files, screen
from kernel.cli.frame import Session, command
from wire.checkpoint import Checkpoint
from wire.verify import Verified


class Result(Struct, frozen=True, kw_only=True):
    """What `audit verify --json` prints for a valid log."""

    ok: bool
    entries: int
    signed: int
    checkpoints: int
    key: str
    answers: int = 0

    def signer(self) -> str:
        """The key's name and id, without its bytes."""
        name, key_id, _ = self.key.split("+", 2)
        return f"{name}+{key_id}"


@command()
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=named_files.PATH,
    multiple=True,
    help="Also check against an older checkpoint, kept elsewhere.",
)
@click.option("--key", metavar="KEY", help="The log's verifier key, or a file with it, instead of the home's log.pub.")
@click.option(
    "--from",
    "folder",
    metavar="DIR",
    type=named_files.PATH,
    help="Check a log that `audit export` wrote, instead of the home's.",
)
def audit_verify(session: Session, checkpoint: tuple[str, ...], key: str | None, folder: str | None) -> None:
    """Check every entry of the log, from the first: its form, its place, its hash chain, and the signed checkpoints.

    Each answer to a held call is checked too: it must be signed for that very call, by a key that the log trusted then.

    Only public keys are needed, and the kernel need not run. If you keep a copy of a checkpoint (the file
    log/checkpoint), --checkpoint shows whether what the log's own key signed later continues it.

    Ends with 5 if anything is wrong, and names the first bad entry.
    """
    proof = evidence.locate(session.home, key=key, folder=folder)
    held = [evidence.read_checkpoint(path, proof.key) for path in checkpoint]
    found = _verify_with_progress(proof, held)
    signed = answers.verify_answers(proof.folder, proof.key.name)
    result = Result(
        ok=True, entries=found.size, signed=found.signed, checkpoints=found.checkpoints, key=proof.key.text(),
        answers=len(signed),
    )  # fmt: skip
    session.result(result, lambda: summary(result))


def _verify_with_progress(proof: evidence.Evidence, held: list[Checkpoint]) -> Verified:
    """Verify the whole log; on a terminal, show the count of entries in a line that is erased at the end."""
    if not screen.is_terminal(sys.stderr):
        return evidence.verify(proof, held)
    try:
        return evidence.verify(proof, held, _progress)
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def _progress(count: int) -> None:
    sys.stderr.write(f"\r\033[K{count} entries")
    sys.stderr.flush()


def summary(held: Result) -> str:
    """One or two sentences on a valid log."""
    newer = held.entries - held.signed
    those = "the last one is" if newer == 1 else f"the last {newer} are"
    rest = f"; {those} newer than the newest checkpoint" if newer else ""
    signed = f" Signed answers of the operator: {held.answers}, all valid." if held.answers else ""
    return (
        f"The log is valid: {held.entries} entries, {held.signed} of them covered by "
        f"{screen.count(held.checkpoints, 'checkpoint')} signed by {held.signer()}{rest}.{signed}"
    )
