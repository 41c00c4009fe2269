"""The errors of the formats, and the base of every error Maniple raises (pure).

    ManipleError                  base of all: catch it only where a person gets the message
    ├── Unencodable (ValueError)  a value of our own cannot be written in the format
    ├── CodecError                bytes from elsewhere are not in the format
    ├── NoteMalformed             text is not a signed note, a key, a checkpoint or a seal
    ├── SignatureInvalid          well formed, but no trusted key vouches for it
    ├── NotNow                    a peer did what the protocol does not allow in its state
    ├── Late                      a message concerns a call that is not open
    ├── Refusal                   a call is not allowed, and no provider saw it
    ├── ProofInvalid              a Merkle proof does not prove what it should
    ├── LogInvalid                a log differs from what was written and signed
    ├── TapeDamaged               a run's tape differs from what was written
    └── Diverged                  a run that repeats its tape makes another request than before

Each class says when it is raised, and which is raised instead. No message holds a secret.
"""


class ManipleError(Exception):
    """Base of every error raised on purpose."""


class Unencodable(ManipleError, ValueError):
    """Maniple's own code tried to write a value that the format cannot express: a float, 2**53, an unknown kind of entry.

    For bytes from elsewhere, see CodecError.
    """


class CodecError(ManipleError):
    """Bytes from elsewhere are not well formed, or a value cannot be encoded as a body of the bus.

    For a value that the log cannot hold, see Unencodable.
    """


class NoteMalformed(ManipleError):
    """A text is not a signed note, verifier key, checkpoint or seal. No signature was checked."""


class SignatureInvalid(ManipleError):
    """A signature by a known key is wrong, or there is none by a known key."""


class ProofInvalid(ManipleError):
    """An inclusion or consistency proof does not lead to the given root, or cannot exist for the given sizes."""


class LogInvalid(ManipleError):
    """A log differs from what was written and signed.

    seq: the first bad entry. If the change is only known to lie within a range, the first entry of the range, and why names
    the last. why: one clause for a person.
    """

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"entry {seq}: {why}")
        self.seq = seq
        self.why = why


class TapeDamaged(ManipleError):
    """A run's tape cannot be read from byte `at` on. For a run that does not repeat its tape, see Diverged."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(f"the tape cannot be read from byte {at} on: {why}")
        self.at = at
        self.why = why


class Diverged(ManipleError):
    """A run that is repeated makes another request than before: its code, or something else that it depends on besides its
    messages, has changed. The message names the first difference.
    """


class NotNow(ManipleError):
    """An event that the present state does not list. The peer that caused it broke the protocol, and is ended."""


class Late(ManipleError):
    """A message concerns a call that has ended, or never existed. It is ignored, unless there is a flood of such messages.

    For a message that an open call's state does not allow, see NotNow.
    """


class Refusal(ManipleError):
    """A call is not allowed, and no provider has seen it. code: for programs; grant: the row that would allow it.

    A call that was allowed and did not succeed ends in Failed instead. bare: why without a Hand's own words, if it has any:
    these may repeat anything that the Hand has seen, and refusals carry no labels.
    """

    def __init__(self, code: str, why: str, grant: str = "", *, bare: str = "") -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.grant = grant
        self.bare = bare or why
