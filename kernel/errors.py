"""The kernel's own errors.

    wire.errors.ManipleError
    ├── NotNow       an event that the state does not list: the peer broke the protocol, and is ended
    ├── Refusal      a call is not allowed: nobody sees it; code, why and the grant that would allow it go back
    ├── Failure      a call did not succeed: code and one sentence
    └── HomeError    the home cannot be used: what is wrong with it, and the next command to type
"""

from wire.errors import ManipleError


class NotNow(ManipleError):
    """You get this one when a peer does what the protocol does not allow at that moment."""


class Refusal(ManipleError):
    """You get this one when a call is not allowed, before anybody has seen it."""

    def __init__(self, code: str, why: str, grant: str = "") -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.grant = grant


class Failure(ManipleError):
    """You get this one when an allowed call cannot be done. value: details for programs."""

    def __init__(self, code: str, text: str, value: object = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.value = value


class HomeError(ManipleError):
    """You get this one when the home is missing, damaged, foreign, in use or full."""
