"""The kernel's own errors, below wire.errors.ManipleError.

Failure      an allowed call did not succeed: code and one sentence
HomeError    the home cannot be used: what is wrong with it, and the next command to type
└── LogDamaged   its log does not verify
TooSlow      a folder could not be measured in the time allowed
"""

from wire.errors import ManipleError


class Failure(ManipleError):
    """An allowed call of a kernel method did not succeed. For a call that is not allowed, see wire.errors.Refusal."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class TooSlow(ManipleError):
    """Measuring a folder took longer than allowed, and was given up. Not an OSError: that says it cannot be read at all."""


class HomeError(ManipleError):
    """The home is missing, damaged, foreign, in use or full."""


class LogDamaged(HomeError):
    """The log on disk differs from what was written and signed. The kernel has changed nothing."""

    def __init__(self, folder: object, why: str) -> None:
        super().__init__(f"the log in {folder} is damaged: {why}; look closer with `maniple audit verify`")
