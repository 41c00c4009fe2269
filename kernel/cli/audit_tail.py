"""`maniple audit tail` (acts)."""

import time

import click

from kernel.cli import drawing, logbook
from kernel.cli.frame import Session, command, write, write_json
from kernel.cli.logs import POLL_S
from kernel.cli.usage_errors import WholeNumber


@command()
@click.option("-f", "--follow", is_flag=True, help="Keep printing new entries, until Ctrl-C.")
@click.option("-n", "--lines", metavar="N", type=WholeNumber(0), default=20, help="How many; default 20.")
def audit_tail(session: Session, follow: bool, lines: int) -> None:
    """Show the last entries of the log. The kernel need not run.

    With --json each line is the entry exactly as it stands in the log: the SHA-256 of a zero byte and the line is its
    leaf in the tree.
    """
    folder = session.log()
    most = logbook.covered(folder)
    last, place = logbook.last_lines(folder, lines)
    for line in last:
        _show(line, json=session.json)
    if lines:
        logbook.check_end(folder, most, last[-1] if last else b"")
    while follow:
        found_new = False
        for line in logbook.more_lines(folder, place):
            found_new = True
            _show(line, json=session.json)
        if not found_new:
            time.sleep(POLL_S)


def _show(line: bytes, *, json: bool) -> None:
    if json:
        write_json(line.decode(), exact=True)
    else:
        write(drawing.line(logbook.read(line)) + "\n")
