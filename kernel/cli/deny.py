"""`maniple deny` (acts)."""

import click

from kernel.cli import answering, named_files
from kernel.cli.frame import Session, command


@command()
@click.argument("held", metavar="ID")
@click.option("--why", metavar="TEXT", default="", help="A reason, which the Hand is told too.")
@click.option("--key", metavar="FILE", type=named_files.PATH, help="Sign with this key, instead of the home's own.")
def deny(session: Session, held: str, why: str, key: str | None) -> None:
    """Deny a call that waits, and those that ask for the same. The Hand is told that it is refused, and why.

    The answer is signed with your sealing key, and the log keeps it.
    """
    number = answering.parse_number(held)
    with session.client() as client:
        signer = answering.sealing_key(session, key)
        given = answering.answer(client, signer, answering.calls_like(client, number), "denied", why=why)
    session.result(
        {"answers": given}, lambda: "\n".join(f"Call {one.call} is denied: entry {one.entry}." for one in given)
    )
