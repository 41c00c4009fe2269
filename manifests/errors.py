"""The errors of manifests (pure).

wire.errors.ManipleError
└── ManifestsError           base of everything this package raises
    ├── ManifestInvalid      a HAND.toml has problems; holds every one of them
    ├── SettingsInvalid      values given for a Hand's settings do not fit; holds every problem
    ├── ParamsInvalid        arguments of a call do not fit the method's declared params; holds every problem
    ├── ValueInvalid         one duration, size or version cannot be read
    ├── ResourceInvalid      a resource has no normal form, so no grant can ever cover it
    ├── PatternInvalid       a resource or method pattern in a grant is not well formed
    ├── SealMalformed        a seal's text is not a seal (its signature was not even looked at)
    ├── SealRefused          a seal is well formed, but this home does not let it start this Hand
    ├── TrustRefused         a change to the trust store was not made
    └── ChangeInvalid        a change to the home's rights, settings or keys that cannot be
        └── NoSuchHand       it is about a Hand that is not installed
"""

from typing import Final, Literal, NamedTuple

from wire.errors import ManipleError


class Problem(NamedTuple):
    """One thing wrong in a file: line and column count from 1, in characters; `instead` says what to write."""

    file: str
    line: int
    column: int
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}\n    {self.instead}"


class ManifestsError(ManipleError):
    """Base of everything this package raises; catch it only where the whole of a Hand is refused."""


class ManifestInvalid(ManifestsError):
    """A HAND.toml was read and has problems, sorted by line and column; never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems: Final = problems


class SettingsInvalid(ManifestsError):
    """Values for settings do not fit their declaration; each problem is one sentence with the mend."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems: Final = problems


class ParamsInvalid(ManifestsError):
    """Arguments do not fit a method's params; each problem is one sentence with the mend."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems: Final = problems


class ValueInvalid(ManifestsError):
    """A single value cannot be read; `instead` is what to write."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(f"{why}; {instead}")
        self.why: Final = why
        self.instead: Final = instead


class ResourceInvalid(ManifestsError):
    """A resource is refused before any grant is looked at; `why` is one clause for a person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why: Final = why


class PatternInvalid(ManifestsError):
    """A pattern cannot stand in a grant; `instead` is what to write."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(f"{why}; {instead}")
        self.why: Final = why
        self.instead: Final = instead


class SealMalformed(ManifestsError):
    """A text is not a seal in its one exact form; a tampered or hand-edited file, not a question of trust."""


Code = Literal[
    "unsigned",
    "malformed",
    "forged",
    "unknown key",
    "revoked",
    "expired",
    "not for this Hand",
    "mismatch",
    "downgrade",
    "wants more",
]


class SealRefused(ManifestsError):
    """A Hand must not start; `code` is for programs, `why` for a person, `mend` the next command to type."""

    def __init__(self, code: Code, why: str, mend: str) -> None:
        super().__init__(f"{why}; {mend}")
        self.code: Final = code
        self.why: Final = why
        self.mend: Final = mend


class TrustRefused(ManifestsError):
    """The trust store stays as it was; `mend` is what to do instead."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(f"{why}; {mend}")
        self.why: Final = why
        self.mend: Final = mend


class ChangeInvalid(ManifestsError):
    """What was asked cannot be: a malformed pattern, an unknown name. The text says what to write instead.

    code: of the failure that the call ends in.
    """

    code = "arguments"


class NoSuchHand(ChangeInvalid):
    """It is about a Hand that is not installed."""

    code = "unknown hand"

    def __init__(self, name: str) -> None:
        super().__init__(f"no Hand {name!r} is installed: see `maniple hands`")
