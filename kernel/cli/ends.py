"""How an end of a call that is not Done is told: the sentence that a person reads, and the exit code (pure)."""

from typing import Final

from kernel.cli.exits import Exit, NoHand, NotDone
from wire import headers

_NOT_THERE: Final = ("no provider", "unknown run")
"""Refusals of what is named and is not there: nobody forbids it."""


def not_done(
    said: headers.Failed | headers.Refused | headers.Cancelled, method: str = "", resource: str = ""
) -> NotDone:
    """What to raise for it. method, resource: of the call that it ends."""
    match said:
        case headers.Refused(code=reason, why=why) if reason in _NOT_THERE:
            return NotDone(why, reason)
        case headers.Refused(code="resource" as reason) if method.startswith("kernel.") and (rule := _rule(resource)):
            listed = "roots" if method.startswith("kernel.root-") else "hands"
            return NotDone(f"{resource!r} is not a name: {rule}; see `maniple {listed}`", reason, Exit.USAGE)
        case headers.Refused(code="resource" as reason, why=why) if method.startswith("files."):
            return NotDone(f"refused: {why}; see `maniple roots`", reason, Exit.REFUSED)
        case headers.Refused(code=reason, why=why, grant=grant):
            mend = f"; a grant that would allow it: {grant}" if grant else ""
            return NotDone(f"refused: {why}{mend}", reason, Exit.REFUSED, grant=grant)
        case headers.Failed(code="unknown hand") if method.startswith("kernel.") and _is_a_hand(resource):
            return NoHand(resource)
        case headers.Failed(code=reason, text=text):
            is_told = reason in text or reason == "arguments" or method.startswith("kernel.")
            return NotDone(text if is_told else f"{text} ({reason})", reason)
        case headers.Cancelled(why=why):
            return NotDone(f"cancelled: {why}", "cancelled")


def _is_a_hand(resource: str) -> bool:
    """Whether it is a Hand that a method of the kernel's is about; `kernel.replay` is about a run."""
    return bool(resource) and not resource.startswith("r-")


def _rule(resource: str) -> str:
    """Why this cannot be a Hand's or a root's name, whatever there is; "" when it can."""
    from manifests.capabilities import name  # only here: most calls end in Done, and `ps` is to be quick
    from manifests.errors import ResourceInvalid

    try:
        name.normalise(resource)
    except ResourceInvalid as error:
        return str(error)
    return ""
