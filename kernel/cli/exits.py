"""How a command ends (values): the exit codes, and the one error that carries a sentence and its code to the edge.

main.py prints the sentence on stderr and ends with the code; nothing else in the command line ends the process.
"""

import os
import sys
from enum import IntEnum

from wire.errors import ManipleError


class Exit(IntEnum):
    """What a script can tell apart."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_KERNEL = 3
    REFUSED = 4
    UNVERIFIED = 5
    INTERRUPTED = 130
    """By Ctrl-C: 128 + SIGINT, as shells count."""


class Ended(ManipleError):
    """The command ends here. text: what happened, to what, and the next command to type; "" when all was said."""

    def __init__(self, text: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.code = code


class NotLinux(Ended):
    """Maniple does not run on this system."""

    def __init__(self) -> None:
        super().__init__(f"Maniple runs on Linux only, and this is {os.uname().sysname}: `maniple doctor` tells more")


class NoKernel(Ended):
    """No kernel serves this home."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Exit.NO_KERNEL)


class NotDone(Ended):
    """A call was made and did not end in Done. reason: the end's code for programs, such as `conflict`.

    grant: what would allow a call that was refused, "" where nothing would.
    """

    def __init__(self, text: str, reason: str, code: Exit = Exit.FAILED, *, grant: str = "") -> None:
        super().__init__(text, code)
        self.reason = reason
        self.grant = grant


class NoHand(NotDone):
    """No Hand of that name is installed. also: what is not there of it either.

    What is said is made late: main.py knows which name is meant, if one is close.
    """

    def __init__(self, name: str, also: str = "") -> None:
        self.name = name
        self._also = also
        super().__init__(self.told(""), "unknown hand")

    def told(self, meant: str) -> str:
        """The sentence. meant: as of manifests.suggestions.did_you_mean."""
        return f"no Hand {self.name!r} is installed{meant}{self._also}: see `maniple hands`"


def need_linux() -> None:
    """Raises NotLinux on any other system."""
    if sys.platform != "linux":
        raise NotLinux
