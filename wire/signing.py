"""Ed25519 keys, C2SP signed notes, and signatures of bytes in namespaces (pure).

There are two kinds of signature, and neither can be passed off as the other:
- a *note* (C2SP signed-note) signs readable text as it is, for what strangers verify with their own tools. Its first line
  is its type: the seal's is in NOTE_TYPES, a checkpoint's is its log's origin;
- sign() signs bytes under a name from NAMESPACES, put before them as a line; a note never starts with such a line.
Key names, key ids and verifier keys ("name+id+base64") are those of c2sp.org/signed-note, signature type 0x01.
Randomness comes in as the seed; a SigningKey gives its secret away only as signatures.
"""

import binascii
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Self

from msgspec import Struct
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from wire.errors import NoteMalformed, SignatureInvalid, Unencodable

NAMESPACES: Final = {
    "approval": "the operator's answer to one call that waits for it",
    "snapshot": "the kernel's state at one entry of the log, from which it starts again",
}
"""Namespaces of sign(): the name that goes into the signed bytes, and what is signed under it."""

NOTE_TYPES: Final = {
    "hand-seal": "maniple.dev/hand-seal/v1",
}
"""First lines of the types of notes. No log may have one of them as its origin."""

SEED_SIZE: Final = 32
PUBLIC_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
SIGNATURES_MAX: Final = 100
"""Most signature lines in a note; the specification asks for at least 16."""

_ED25519: Final = b"\x01"
_ID_SIZE: Final = 4
_DASH: Final = "\u2014 "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAMESPACE_LINE: Final = re.compile(r"maniple/[^\n]*/v1\n")


class VerifyKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public key and the name of its signatures. Raises NoteMalformed for a name or length that no key has."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != PUBLIC_SIZE:
            raise NoteMalformed(f"an Ed25519 public key is {PUBLIC_SIZE} bytes, this one has {len(self.public)}")

    @property
    def id(self) -> str:
        """Eight hex digits of a hash of name and key: enough to tell keys apart, not to trust one."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_SIZE].hex()

    def text(self) -> str:
        """Return the verifier key, name+id+base64, for a trust store or a stranger."""
        return f"{self.name}+{self.id}+{_base64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a verifier key. Raises NoteMalformed for another spelling, type or id."""
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise NoteMalformed("a verifier key is name+id+base64")
        content = _from_base64(parts[2])
        if content[:1] != _ED25519:
            raise NoteMalformed("the verifier key is not an Ed25519 key")
        key = cls(name=parts[0], public=content[1:])
        if key.text() != text:
            raise NoteMalformed("the verifier key's id does not belong to its name and key: it was altered or cut")
        return key


class SigningKey:
    """A key that can sign, under a name. Its repr shows only the public half."""

    __slots__ = ("_secret", "verify_key")

    def __init__(self, name: str, seed: bytes) -> None:
        """seed: 32 secret random bytes; the same seed gives the same key."""
        if len(seed) != SEED_SIZE:
            raise Unencodable(f"a signing key is made of {SEED_SIZE} bytes, not {len(seed)}")
        public, self._secret = crypto_sign_seed_keypair(seed)
        self.verify_key = VerifyKey(name=name, public=public)

    @property
    def name(self) -> str:
        """The name that its signatures carry."""
        return self.verify_key.name

    def __repr__(self) -> str:
        return f"SigningKey({self.verify_key.text()!r})"

    def _sign(self, message: bytes) -> bytes:
        return bytes(crypto_sign(message, self._secret)[:SIGNATURE_SIZE])


class Opened(Struct, frozen=True, kw_only=True):
    """A note whose signatures were verified. text: ends in a newline; by: the known keys that signed it."""

    text: str
    by: tuple[VerifyKey, ...]


def sign(namespace: str, key: SigningKey, payload: bytes) -> bytes:
    """Sign a payload in one of NAMESPACES. Returns 64 bytes. Raises Unencodable for an unknown namespace."""
    return key._sign(_spaced(namespace, payload))


def verify(namespace: str, key: VerifyKey, payload: bytes, signature: bytes) -> None:
    """Raise SignatureInvalid unless sign() made this signature, with this key, of this payload, in this namespace."""
    if not _is_signed(key, _spaced(namespace, payload), signature):
        raise SignatureInvalid(f"this is not a signature of a {namespace} by {key.name}+{key.id}")


def sign_note(text: str, *keys: SigningKey) -> str:
    """Sign a text, which ends in a newline, as a note. It has one signature line per key, in their order."""
    message = _check_text(text)
    names = {(key.name, key.verify_key.id) for key in keys}
    if not keys or len(names) != len(keys):
        raise NoteMalformed("a note is signed by at least one key, and by each only once")
    lines = [text, "\n"]
    for key in keys:
        blob = bytes.fromhex(key.verify_key.id) + key._sign(message)
        lines.append(f"{_DASH}{key.name} {_base64(blob)}\n")
    return "".join(lines)


def open_note(note: str | bytes, keys: Iterable[VerifyKey]) -> Opened:
    """Verify a note that at least one of these keys signed, and return its text.

    Signatures by other keys are ignored, as the specification demands. Raises NoteMalformed for what is not a note, or has
    two signatures by one known key; SignatureInvalid if a known key's signature is wrong, or no known key signed it.
    """
    known = _by_name(keys)
    text, lines = _take_apart(note)
    message = _check_text(text)
    by: list[VerifyKey] = []
    for line in lines:
        name, key_id, signature = _signature_line(line)
        key = known.get((name, key_id))
        if key is None:
            continue
        if key in by:
            raise NoteMalformed(f"{name}+{key_id} signed the note twice")
        if not _is_signed(key, message, signature):
            raise SignatureInvalid(f"the signature by {name}+{key_id} is wrong: the text or the signature was altered")
        by.append(key)
    if not by:
        raise SignatureInvalid("no known key signed the note")
    return Opened(text=text, by=tuple(by))


def _by_name(keys: Iterable[VerifyKey]) -> dict[tuple[str, str], VerifyKey]:
    known: dict[tuple[str, str], VerifyKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.id), key) != key:
            raise SignatureInvalid(f"two different known keys are called {key.name}+{key.id}")
    return known


def _take_apart(note: str | bytes) -> tuple[str, list[str]]:
    """Split a note into its text and its signature lines."""
    if isinstance(note, bytes):
        try:
            note = note.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NoteMalformed("a note is UTF-8 text") from error
    text, blank, signatures = note.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise NoteMalformed("a note is text, an empty line, and signature lines that end in a newline")
    lines = signatures[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteMalformed(f"a note has at most {SIGNATURES_MAX} signatures")
    return text + "\n", lines


def _signature_line(line: str) -> tuple[str, str, bytes]:
    """Parse a signature line into key name, key id and signature."""
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise NoteMalformed("a signature line is a dash, a key name and base64")
    _check_name(parts[0])
    blob = _from_base64(parts[1])
    if len(blob) <= _ID_SIZE:
        raise NoteMalformed("a signature line has no room for a signature")
    return parts[0], blob[:_ID_SIZE].hex(), blob[_ID_SIZE:]


def _check_text(text: str) -> bytes:
    """Encode a note's text. Raises NoteMalformed if it cannot be one."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteMalformed("a note's text ends in a newline and holds no other control characters")
    if _NAMESPACE_LINE.match(text):
        raise NoteMalformed("a note's text must not start like the bytes that sign() signs")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NoteMalformed("a note is UTF-8 text") from error


def _check_name(name: str) -> None:
    if not name or "+" in name or _CONTROL.search(name) or any(letter.isspace() for letter in name):
        raise NoteMalformed(f"a key name is not empty and holds neither spaces nor '+', unlike {name!r}")


def _spaced(namespace: str, payload: bytes) -> bytes:
    if namespace not in NAMESPACES:
        raise Unencodable(f"{namespace!r} is not a namespace of signatures; there are: {', '.join(sorted(NAMESPACES))}")
    return b"maniple/" + namespace.encode() + b"/v1\n" + payload


def _is_signed(key: VerifyKey, message: bytes, signature: bytes) -> bool:
    """Whether libsodium accepts a signature. It also refuses keys of small order and non-canonical signatures."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    try:
        crypto_sign_open(signature + message, key.public)
    except BadSignatureError:
        return False
    return True


def _base64(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode("ascii")


def _from_base64(text: str) -> bytes:
    """Decode standard base64 with padding. Raises NoteMalformed unless encoding gives the same text."""
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise NoteMalformed("not base64") from error
    if _base64(content) != text:
        raise NoteMalformed("base64 in a second spelling")
    return content
