"""The kernel's own methods, `kernel.*`: one file per kind, joined by the table below.

A method has a declaration, the same kind of row as in a Hand's `[provides]`, and an act. Given a Request, the act returns the
value of Done, raises Refusal or Failure, or returns None and answers later. Hands may be granted only those in
HAND_KERNEL_METHODS (manifests/grants.py); all others are the operator's, and no grant reaches them.
"""

from collections.abc import Mapping
from typing import Final

from kernel.methods import approvals, home, oneself, replay, runs, schedules, whole
from kernel.methods.request import Method, Request

__all__ = ["TABLE", "Method", "Request"]

TABLE: Final[Mapping[str, Method]] = {
    method.provided.method: method
    for file in (oneself, runs, schedules, replay, approvals, home, whole)
    for method in file.METHODS
}
