"""The result of one check of this machine, and how one is tried without harm to this process (acts: it forks)."""

import os
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

State = Literal["ok", "missing", "weak"]


class Finding(Struct, frozen=True, kw_only=True):
    """The result of one check. needed: Maniple does not run without it. why: its purpose. mend: how to get it."""

    what: str
    state: State
    found: str
    needed: bool
    why: str
    mend: str = ""


def attempted(what: str, failure: str, works: str, *, needed: bool, why: str, mend: str) -> Finding:
    """The finding for an attempt. failure: its error text, "" if it succeeded; works: what to report then."""
    state: State = "missing" if failure else "ok"
    return Finding(what=what, state=state, found=failure or works, needed=needed, why=why, mend=mend)


def in_child(attempt: Callable[[], object]) -> str:
    """Try something in a forked process. Returns the text of the OSError that it raised, "" if none."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            attempt()
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "" if code == 0 else os.strerror(code) if 0 < code < 200 else "the attempt died"
