"""Exit codes, and the errors that end a command with a sentence and a code (values).

main.py prints the sentence on stderr and exits with the code; nothing else in the command line ends the process.
"""

import os
import sys
from enum import IntEnum

from wire.errors import ManipleError


class Exit(IntEnum):
    """The exit codes, for scripts."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_KERNEL = 3
    REFUSED = 4
    UNVERIFIED = 5
    INTERRUPTED = 130
    """By Ctrl-C: 128 + SIGINT, as in shells."""


class Ended(ManipleError):
    """Ends the command. text: what happened, to what, and the next command to type; "" if all is printed already."""

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
    """A call did not end in Done. reason: the end's code for programs, such as `conflict`.

    grant: the grant that would allow a refused call; "" if none would.
    """

    def __init__(self, text: str, reason: str, code: Exit = Exit.FAILED, *, grant: str = "") -> None:
        super().__init__(text, code)
        self.reason = reason
        self.grant = grant


class RunNotDone(NotDone):
    """A run that was waited for did not succeed. Its text may have several lines, as its Hand wrote them."""


class NoProvider(NotDone):
    """Nothing provides a method. owner: the Hand whose name the method begins with."""

    def __init__(self, text: str, owner: str) -> None:
        super().__init__(text, "no provider")
        self.owner = owner


class NoHand(NotDone):
    """No Hand of that name is installed. also: what else of it is missing, appended to the sentence.

    main.py builds the sentence anew with sentence(), once it has looked for an installed Hand of similar name.
    """

    def __init__(self, name: str, also: str = "") -> None:
        self.name = name
        self._also = also
        super().__init__(self.sentence(""), "unknown hand")

    def sentence(self, meant: str, next_: str = "see `maniple hands`") -> str:
        """The error's text. meant: the suggestion that manifests.suggestions.did_you_mean returns, or ""."""
        return f"no Hand {self.name!r} is installed{meant}{self._also}: {next_}"


def need_linux() -> None:
    """Raises NotLinux on any other system."""
    if sys.platform != "linux":
        raise NotLinux
