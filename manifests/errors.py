"""The errors of manifests (pure).

wire.errors.ManipleError
└── ManifestsError           base of everything this package raises
    ├── ManifestInvalid      a HAND.toml has problems; holds every one of them
    ├── SettingsInvalid      values for a Hand's settings do not fit their declaration; holds every problem
    ├── ParamsInvalid        arguments of a call do not fit the method's declared params; holds every problem
    ├── ValueInvalid         one duration, size or other single value is malformed
    ├── ResourceInvalid      a resource has no normal form, so no grant can ever cover it
    ├── PatternInvalid       a resource or method pattern in a grant is malformed
    ├── SealMalformed        a text is not a seal (its signature was not checked)
    ├── SealRefused          a seal is well formed, but this home does not let it start this Hand
    ├── TrustRefused         a change to the trust store is not allowed
    └── ChangeInvalid        a change to the home's rights, settings or keys is malformed
        └── NoSuchHand       a change names a Hand that is not installed
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
    """Base of everything this package raises; catch it only where a Hand as a whole is refused."""


class ManifestInvalid(ManifestsError):
    """A HAND.toml has problems. problems: sorted by line and column; never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems: Final = problems


class SettingsInvalid(ManifestsError):
    """Values for settings do not fit their declaration; each problem is one sentence that says what to give instead."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems: Final = problems


class ParamsInvalid(ManifestsError):
    """Arguments do not fit a method's params; each problem is one sentence that says what to give instead."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems: Final = problems


class ValueInvalid(ManifestsError):
    """A single value is malformed; `instead` says what to write."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(f"{why}; {instead}")
        self.why: Final = why
        self.instead: Final = instead


class ResourceInvalid(ManifestsError):
    """A resource is malformed and is refused before any grant is checked; `why` is one clause for a person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why: Final = why


class PatternInvalid(ManifestsError):
    """A pattern is malformed and cannot be granted; `instead` says what to write."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(f"{why}; {instead}")
        self.why: Final = why
        self.instead: Final = instead


class SealMalformed(ManifestsError):
    """A text is not a seal in its one exact form: the file was damaged or edited. Trust in keys plays no part."""


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
    """A requested change is malformed, such as a bad pattern or an unknown name. The text says what to write instead.

    code: the code of Failed with which the call ends.
    """

    code = "arguments"


class NoSuchHand(ChangeInvalid):
    """A change names a Hand that is not installed."""

    code = "unknown hand"

    def __init__(self, name: str) -> None:
        super().__init__(f"no Hand {name!r} is installed: see `maniple hands`")
