"""`maniple audit show` (acts)."""

from pathlib import Path

import click
import msgspec

from kernel.cli import answers, bodies, drawing, logbook, named_files
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.usage_errors import WholeNumber
from wire.entries import Entry


@command()
@click.argument("seq", metavar="SEQ", type=WholeNumber(0))
@click.option(
    "--body", metavar="FILE", type=named_files.PATH, help="Check that this file was its arguments, or its reply."
)
def audit_show(session: Session, seq: int, body: str | None) -> None:
    """Show one entry of the log, every field. The kernel need not run.

    A call is shown with its end, an end or an answer with its call. An operator's answer is shown with who signed it;
    ends with 5 if the signature is not valid.

    The log holds digests of bodies, not bodies. --body FILE checks whether a file is what such a digest was made of:
    the bytes as they travelled, or the same as JSON. Ends with 5 if it is not.
    """
    folder = session.log()
    entry = logbook.read(logbook.line_at(folder, seq))
    partner = _partner(folder, entry)
    if body is not None:
        which = bodies.match_body(
            session.home, body, entry if entry.kind != "end" or partner is None else partner, entry
        )
        if not which:
            more = f"`maniple audit show {seq}` shows more"
            raise Ended(f"{body} is not a body of entry {seq}: its digest is another; {more}", Exit.UNVERIFIED)
        session.result({"seq": seq, "body": which}, lambda: f"{body} is the {which} of entry {seq}.")
        return
    origin = logbook.public_key(session.home).name
    signer = answers.verify_answers(folder, origin)[seq] if entry.kind == "approval" else ""
    session.result(
        {
            "entry": msgspec.to_builtins(entry),
            "partner": msgspec.to_builtins(partner) if partner else None,
            "signer": signer,
        },
        lambda: "\n\n".join(
            [
                drawing.full(entry),
                *([f"The signature holds: it is {signer}'s."] if signer else []),
                *([drawing.full(partner)] if partner else []),
            ]
        ),
    )


def _partner(folder: Path, entry: Entry) -> Entry | None:
    """The `end` entry of a call; the `call` entry of an end or an approval."""
    if not entry.call or entry.kind not in ("call", "end", "approval"):
        return None
    other = "end" if entry.kind == "call" else "call"
    for found in logbook.entries(folder, needles=(b'"call":%d,' % entry.call,)):
        if found.call == entry.call and found.kind == other:
            return found
    return None
