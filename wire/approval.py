"""The operator's signed answer to a held call (pure): one statement about exactly one call.

The signature covers the statement's canonical JSON in the namespace `approval` of wire/signing.py. All of it is in the log
too: with the log and the public key anybody can check who approved what. Written by `maniple approve` and `deny`; verified
by the kernel before it acts on it, and later by `maniple audit verify`.
"""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct

from wire import canonical, signing
from wire.amounts import Number
from wire.entries import Body, is_digest
from wire.errors import CodecError, SignatureInvalid
from wire.signing import SIGNATURE_SIZE, SigningKey, VerifyKey

Text = Annotated[str, Meta(max_length=4096)]


class RuleSaid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standing rule: until `until` (microseconds since 1970), such calls on resources that match need no approval."""

    pattern: Text
    until: Number


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The call and the answer. origin: of the log; hand, seal: the asking Hand's, as installed then; resource: as in the log.

    arguments: their digest in the log. verdict: approved, denied, or edited: denied, and called with other arguments
    instead, whose digest under the same key is `instead`. time: microseconds since 1970. why: for the asking Hand.
    """

    origin: Text
    call: Number
    hand: Text
    seal: Text
    method: Text
    resource: Text
    arguments: Body
    verdict: Annotated[str, Meta(pattern="^(approved|denied|edited)$")]
    time: Number
    why: Text = ""
    rule: RuleSaid | None = None
    instead: Body | None = None

    def to_bytes(self) -> bytes:
        """Return the bytes that are signed."""
        return canonical.encode(self)


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement with the key that signed it, by id, and its signature in hex: the detail of an entry `approval`."""

    statement: Statement
    key: Text
    signature: Annotated[str, Meta(pattern=f"^[0-9a-f]{{{2 * SIGNATURE_SIZE}}}$")]

    @classmethod
    def signed(cls, statement: Statement, key: SigningKey) -> Self:
        """Sign a statement with this key."""
        signature = signing.sign("approval", key, statement.to_bytes())
        return cls(statement=statement, key=key.verify_key.id, signature=signature.hex())

    @classmethod
    def read(cls, fields: Mapping[str, object]) -> Self:
        """Read an answer from a call's arguments, or from an entry's detail with more fields. Raises CodecError."""
        try:
            answer = msgspec.convert({name: fields[name] for name in cls.__struct_fields__ if name in fields}, cls)
        except msgspec.ValidationError as error:
            raise CodecError(f"this is no answer to a held call: {error}") from None
        if not all(is_digest(body.digest) for body in (answer.statement.arguments, answer.statement.instead) if body):
            raise CodecError("this is no answer to a held call: a digest is not 64 hex digits")
        return answer

    def to_detail(self) -> dict[str, object]:
        """Return the answer as plain values, for an entry's detail or a call's arguments."""
        plain: dict[str, object] = msgspec.to_builtins(self)
        return plain

    def verify(self, key: VerifyKey) -> None:
        """Raise SignatureInvalid unless this key signed this very statement."""
        if key.id != self.key:
            raise SignatureInvalid(f"it is signed by {self.key}, not by {key.id}")
        signing.verify("approval", key, self.statement.to_bytes(), bytes.fromhex(self.signature))
