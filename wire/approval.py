"""The operator's answer to a held call, as it is signed (pure): one statement about exactly one call.

The signature covers the statement's canonical JSON in the namespace `approval` of wire/signing.py. Everything in it is also
in the log: whoever has that and the public key can check who said yes to what. Written by `maniple approve` and `deny`,
checked by the kernel before it acts on it, and by `maniple audit verify` for ever after.
"""

from collections.abc import Mapping
from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct

from wire import canonical, signing
from wire.entries import Body, Number, is_digest
from wire.errors import CodecError, SignatureInvalid
from wire.signing import SIGNATURE_SIZE, SigningKey, VerifyKey

Text = Annotated[str, Meta(max_length=4096)]


class RuleSaid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That the like need not be asked again: on these resources, until then (microseconds since 1970)."""

    pattern: Text
    until: Number


class Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is answered, and how. origin: of the log; hand, seal: who asked, as installed then; resource: as in the log.

    arguments: their digest in the log. verdict: approved, denied, or edited: denied, and called with other arguments
    instead, whose digest under the same key is `instead`. time: microseconds since 1970. why: for whoever asked.
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
        """What is signed."""
        return canonical.encode(self)


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement with the key that signed it, by id, and its signature in hex: the detail of an entry `approval`."""

    statement: Statement
    key: Text
    signature: Annotated[str, Meta(pattern=f"^[0-9a-f]{{{2 * SIGNATURE_SIZE}}}$")]

    @classmethod
    def signed(cls, statement: Statement, key: SigningKey) -> Self:
        """The answer that this key gives."""
        signature = signing.sign("approval", key, statement.to_bytes())
        return cls(statement=statement, key=key.verify_key.id, signature=signature.hex())

    @classmethod
    def read(cls, told: Mapping[str, object]) -> Self:
        """An answer as it came, or stands in the log with more beside it. Raises CodecError for what is none."""
        try:
            answer = msgspec.convert({name: told[name] for name in cls.__struct_fields__ if name in told}, cls)
        except msgspec.ValidationError as error:
            raise CodecError(f"this is no answer to a held call: {error}") from None
        if not all(is_digest(body.digest) for body in (answer.statement.arguments, answer.statement.instead) if body):
            raise CodecError("this is no answer to a held call: a digest is not 64 hex digits")
        return answer

    def to_detail(self) -> dict[str, object]:
        """As an entry and a call's arguments have it."""
        plain: dict[str, object] = msgspec.to_builtins(self)
        return plain

    def verify(self, key: VerifyKey) -> None:
        """Raises SignatureInvalid unless this key signed this very statement."""
        if key.id != self.key:
            raise SignatureInvalid(f"it is signed by {self.key}, not by {key.id}")
        signing.verify("approval", key, self.statement.to_bytes(), bytes.fromhex(self.signature))
