"""`maniple doctor` (acts)."""

from typing import Final

from kernel.cli import machine, screen
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command

SHOWN: Final = {
    "ok": ("ok", "green"),
    "weak": ("weak", "yellow"),
    "missing": ("missing", "red"),
}


@command()
def doctor(session: Session) -> None:
    """What this machine can enforce, what is missing, why that matters, and how to mend it.

    Each thing is tried, not guessed from a version. Neither home nor kernel is needed. Ends with 1 when something is
    missing that this version does not run without.

    A layer that is missing is left out of every run, and shown as lacking wherever a run is shown; a Hand, or the home,
    that requires it (`require` in HAND.toml's [confinement] or in home.toml) does not start. What confines a run now:
    `maniple ps --json`, `maniple show HAND`.
    """
    findings = machine.look(session.home)
    lacking = machine.lacking(findings)
    session.result({"ok": not lacking, "findings": findings}, lambda: session.hinted("\n".join(map(_drawn, findings))))
    if lacking:
        raise Ended(f"this machine lacks {lacking}: mend that first, then `maniple doctor` again")


def _drawn(one: machine.Finding) -> str:
    word, colour = SHOWN[one.state]
    line = f"{screen.coloured(word.ljust(7), colour)}  {one.what}: {one.found}"
    if one.state == "ok":
        return line
    needed = "needed: " if one.needed else ""
    mend = f"\n         mend: {one.mend}" if one.mend else ""
    return f"{line}\n         {needed}{one.why}{mend}"
