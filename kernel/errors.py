"""The kernel's own errors, below wire.errors.ManipleError.

Failure      an allowed call did not succeed: code and one sentence
HomeError    the home cannot be used: what is wrong with it, and the next command to type
└── LogDamaged   its log does not verify
TooSlow      a folder was not looked through in the time given for it
"""

from wire.errors import ManipleError


class Failure(ManipleError):
    """An allowed call of the kernel's own did not succeed. A call that is not allowed raises wire.errors.Refusal."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class TooSlow(ManipleError):
    """Looking took longer than was allowed, and was left: not an OSError, which tells that one cannot look at all."""


class HomeError(ManipleError):
    """The home is missing, damaged, foreign, in use or full."""


class LogDamaged(HomeError):
    """The log on disk is not what was once written and signed; nothing was changed."""

    def __init__(self, folder: object, why: str) -> None:
        super().__init__(f"the log in {folder} is damaged: {why}; look closer with `maniple audit verify`")
