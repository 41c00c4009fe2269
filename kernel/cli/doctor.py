"""`maniple doctor` (acts)."""

from typing import Final

from kernel.cli import machine, screen
from kernel.cli.exits import Ended
from kernel.cli.findings import Finding
from kernel.cli.frame import Session, command

SHOWN: Final = {
    "ok": ("ok", "green"),
    "weak": ("weak", "yellow"),
    "missing": ("missing", "red"),
}


@command()
def doctor(session: Session) -> None:
    """Show what this machine can enforce, what is missing, why it matters, and how to fix it.

    Everything is tried, not guessed from a version. Neither a home nor a kernel is needed. Ends with 1 if something is
    missing that Maniple cannot run without.

    Runs do without a missing layer, which is listed as lacking wherever they are shown. A Hand does not start if the
    layer is required: by `require` in [confinement] of its HAND.toml, or in home.toml. What confines a run now:
    `maniple ps --json`, `maniple show HAND`.
    """
    findings = machine.inspect(session.home)
    lacking = machine.lacking(findings)
    session.result({"ok": not lacking, "findings": findings}, lambda: session.hinted("\n".join(map(_drawn, findings))))
    if lacking:
        raise Ended(f"this machine lacks {lacking}: fix that first, then `maniple doctor` again")


def _drawn(one: Finding) -> str:
    word, colour = SHOWN[one.state]
    line = f"{screen.coloured(word.ljust(7), colour)}  {one.what}: {one.found}"
    if one.state == "ok":
        return line
    needed = "needed: " if one.needed else ""
    mend = f"\n         fix: {one.mend}" if one.mend else ""
    return f"{line}\n         {needed}{one.why}{mend}"
