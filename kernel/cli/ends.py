"""Turns an end of a call other than Done into an error with a sentence and an exit code (pure)."""

import re
from typing import Final

from kernel.cli.exits import Exit, NoHand, NoProvider, NotDone
from wire import headers

_LOOK: Final = {
    "deadline": ": `maniple runs {hand}` shows if {hand} starts and why not",
    **dict.fromkeys(("raised", "returns", "poison", "ended"), ": `maniple logs {hand}` shows more"),
}
"""What to type next where the provider itself did not do as it should, by the code of the failure."""

_ABSENT: Final = ("no provider", "unknown run", "gone")
"""Codes of refusals that mean that something named does not exist, not that it is forbidden."""


def to_error(
    end: headers.Failed | headers.Refused | headers.Cancelled, method: str = "", resource: str = ""
) -> NotDone:
    """The error to raise for an end. method, resource: those of the call."""
    match end:
        case headers.Refused(code="no provider", why=why) if repr(method) in why:  # else its provider lacks another
            return NoProvider(why, method.partition(".")[0])
        case headers.Refused(code=reason, why=why) if reason in _ABSENT:
            return NotDone(why, reason)
        case headers.Refused(code="resource" as reason) if method.startswith("kernel.") and (
            problem := _name_problem(resource)
        ):
            listed = "roots" if method.startswith("kernel.root-") else "hands"
            return NotDone(f"{resource!r} is not a name: {problem}; see `maniple {listed}`", reason, Exit.USAGE)
        case headers.Refused(code="resource" as reason, why=why) if method.startswith("files."):
            return NotDone(f"refused: {why}; see `maniple roots`", reason, Exit.REFUSED)
        case headers.Refused(code=reason, why=why, grant=grant):
            mend = f"; a grant that would allow it: {grant}" if grant else ""
            return NotDone(f"refused: {why}{mend}", reason, Exit.REFUSED, grant=grant)
        case headers.Failed(code="unknown hand") if method.startswith("kernel.") and _is_a_hand(resource):
            return NoHand(resource)
        case headers.Failed(code=reason, text=text):
            is_own = method.startswith("kernel.")
            is_told = re.search(rf"\b{re.escape(reason)}\b", text) or reason == "arguments" or is_own
            look = _LOOK.get(reason, "") if "." in method and not is_own else ""
            told = text if is_told else f"{text} ({reason})"
            return NotDone(told + look.format(hand=method.partition(".")[0]), reason)
        case headers.Cancelled(why=why):
            return NotDone(f"cancelled: {why}", "cancelled")


def _is_a_hand(resource: str) -> bool:
    """Whether the resource of a kernel method can name a Hand; that of `kernel.replay` is a run."""
    return bool(resource) and not resource.startswith("r-")


def _name_problem(resource: str) -> str:
    """Why this text cannot be the name of a Hand or a root; "" if it can."""
    from manifests.capabilities import name  # imported late: most calls end in Done, and `ps` must be quick
    from manifests.errors import ResourceInvalid

    try:
        name.normalise(resource)
    except ResourceInvalid as error:
        return str(error)
    return ""
