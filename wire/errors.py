"""The errors of the formats, and the base of every error Maniple raises (pure).

    ManipleError                  base of all: catch it only where a person is told
    ├── Unencodable (ValueError)  a value of our own cannot be written in the format
    ├── CodecError                bytes from elsewhere are not in the format
    ├── NoteMalformed             text is not a signed note, a key, a checkpoint or a seal
    ├── SignatureInvalid          well formed, but no trusted key vouches for it
    ├── NotNow                    a peer did what its state of the protocol does not list
    ├── Late                      a message concerns a call that is not open
    ├── Refusal                   a call is not allowed, and nobody saw it
    ├── ProofInvalid              a Merkle proof does not prove what it should
    ├── LogInvalid                a log is not what was once written and signed
    ├── TapeDamaged               a run's tape is not what was once written
    └── Diverged                  a run that goes through its tape asks for something else than it did

Each class says when you get this one and not its neighbour. A text never holds a secret.
"""


class ManipleError(Exception):
    """Base of every error raised on purpose."""


class Unencodable(ManipleError, ValueError):
    """Our own code asked to write a value that the format has no room for: a float, 2**53, an unknown entry kind.

    Bytes that came from elsewhere raise CodecError instead.
    """


class CodecError(ManipleError):
    """Bytes that came from elsewhere are not well formed, or a body cannot travel as bytes of the bus.

    A value that the log cannot hold raises Unencodable instead.
    """


class NoteMalformed(ManipleError):
    """A text is not a signed note, verifier key, checkpoint or seal; its signature was not even looked at."""


class SignatureInvalid(ManipleError):
    """A signature by a known key is wrong, or there is none by a key that is known."""


class ProofInvalid(ManipleError):
    """An inclusion or consistency proof does not lead to the given root, or cannot exist for the given sizes."""


class LogInvalid(ManipleError):
    """A log differs from what was written and signed.

    seq is the first bad entry: where the change is known only to lie within a range, it is the first of that range
    and why names the last. why is one clause for a person.
    """

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"entry {seq}: {why}")
        self.seq = seq
        self.why = why


class TapeDamaged(ManipleError):
    """A run's tape cannot be read from byte `at` on. A tape that can be read and does not fit raises Diverged."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(f"the tape cannot be read from byte {at} on: {why}")
        self.at = at
        self.why = why


class Diverged(ManipleError):
    """A run that is gone through again is not what it was: its code, or what it depends on beside its messages, has changed.

    The text names the first difference.
    """


class NotNow(ManipleError):
    """An event that the state it meets does not list. A peer that caused it broke the protocol, and is ended."""


class Late(ManipleError):
    """A message concerns a call that has ended, or that never was: it is nothing, unless there is a flood of it.

    One that an open call's state does not list raises NotNow instead, and ends its sender.
    """


class Refusal(ManipleError):
    """A call is not allowed, before anybody has seen it: a code for programs, why, and the grant that would allow it.

    A call that was allowed and did not succeed is no Refusal but ends in Failed. bare: why, without what a Hand said in its
    own words, where there are such: they may be of anything that it has seen, and no refusal carries labels.
    """

    def __init__(self, code: str, why: str, grant: str = "", *, bare: str = "") -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.grant = grant
        self.bare = bare or why
