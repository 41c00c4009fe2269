"""HAND.seal: a signed note over a Hand's name, version and the SHA-256 of every file in its folder (pure).

This module decides whether a text is a seal and who signed it; trust.py decides whether that key may seal the Hand.
The text of the note has exactly this form:

    maniple.dev/hand-seal/v1
    monitoring
    1.2.0
    <SHA-256 in 64 hex digits>  HAND.toml
    <SHA-256 in 64 hex digits>  main.py

Files are sorted by the code points of their paths; HAND.seal itself is never listed, HAND.toml always is. A path is
relative, its parts separated by "/", and has only one spelling, so a seal cannot name a file outside the folder or one
file twice. Follows C2SP signed-note (wire/signing.py). Files are read and hashed elsewhere.
"""

import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from manifests.capabilities.spelling import is_nfc, oddity
from manifests.errors import SealMalformed
from manifests.names import is_hand_name
from manifests.versions import is_version
from wire.errors import NoteMalformed
from wire.signing import NOTE_TYPES, SigningKey, VerifyKey, open_note, sign_note

SEAL_FILE: Final = "HAND.seal"
MANIFEST_FILE: Final = "HAND.toml"
TYPE_LINE: Final = NOTE_TYPES["hand-seal"]
LINK: Final = "link"
"""Takes the place of a digest in `compare` if a path is a link, or anything else but a plain file."""

LONGEST: Final = 256 * 1024
MOST_FILES: Final = 1_000
LONGEST_PATH: Final = 512
_FILE_LINE: Final = r"([0-9a-f]{64})  (.+)"


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An opened seal. files: path → SHA-256 in hex; by: the ids of those known keys that signed it."""

    name: str
    version: str
    files: dict[str, str]
    by: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file that differs from the seal."""

    path: str
    change: Literal["changed", "added", "removed", "linked"]

    def __str__(self) -> str:
        return {
            "changed": f"{self.path} was changed after sealing",
            "added": f"{self.path} was added after sealing",
            "removed": f"{self.path} was removed after sealing",
            "linked": f"{self.path} is a link, or not a plain file",
        }[self.change]


def seal(name: str, version: str, digests: Mapping[str, str], key: SigningKey) -> str:
    """Return the text of HAND.seal. digests: path → SHA-256 in hex. Raises SealMalformed if open_seal would refuse it."""
    for path in digests:  # first, since a line break in a path would make two lines of it
        if why := path_complaint(path):
            raise SealMalformed(f"the seal lists the path {path!r}: {why}")
    text = _written(name, version, digests)
    _read(text)
    signed = sign_note(text, key)
    _check_length(signed)
    return signed


def open_seal(text: str, keys: Iterable[VerifyKey]) -> Seal:
    """Return the seal of a text that at least one of the keys signed.

    Raises SealMalformed if the text is not a seal in its one form; wire.errors.SignatureInvalid if the signature of a
    known key is wrong, or no known key signed it.
    """
    _check_length(text)
    try:
        opened = open_note(text, keys)
    except NoteMalformed as error:
        raise SealMalformed(f"the seal is not a signed note: {error}") from None
    read = _read(opened.text)
    return msgspec.structs.replace(read, by=tuple(key.id for key in opened.by))


def signers(text: str) -> tuple[tuple[str, str], ...]:
    """Return name and id of every key that a seal claims as signer. Verifies nothing: for messages."""
    claimed = []
    for line in text[:LONGEST].rpartition("\n\n")[2].splitlines()[:100]:
        name, _, blob = line.removeprefix("\u2014 ").partition(" ")
        try:
            claimed.append((name, binascii.a2b_base64(blob)[:4].hex()))
        except ValueError:
            continue
    return tuple(claimed)


def compare(sealed: Seal, found: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return the differences between the sealed files and those found in the folder, sorted by path.

    found: path → SHA-256 in hex, or LINK. HAND.seal is skipped, unless it is a link, or the installer added its digest to
    the sealed files.
    """
    differences: list[Difference] = []
    for path in sorted({*sealed.files, *found}):
        digest = found.get(path)
        if digest == LINK:
            differences.append(Difference(path=path, change="linked"))
        elif path == SEAL_FILE and path not in sealed.files:
            continue
        elif digest is None:
            differences.append(Difference(path=path, change="removed"))
        elif path not in sealed.files:
            differences.append(Difference(path=path, change="added"))
        elif digest != sealed.files[path]:
            differences.append(Difference(path=path, change="changed"))
    return tuple(differences)


def lists(text: str, found: Mapping[str, str]) -> bool:
    """Whether a seal lists exactly these files, by path and SHA-256. Checks neither its form nor its signatures."""
    return text.partition("\n\n")[0].split("\n")[3:] == _lines(found)


def path_complaint(path: str) -> str:
    """Return why a path may not be listed in a seal, or ""."""
    if odd := oddity(path):
        return odd
    if not path or len(path.encode()) > LONGEST_PATH:
        return "it is empty or too long"
    if path.startswith("/") or "\\" in path:
        return "it is absolute or holds a backslash"
    if any(part in ("", ".", "..") or part != part.strip(" ") for part in path.split("/")):
        return 'a part of it is empty, "." or "..", or begins or ends with a space'
    if not is_nfc(path):
        return "it is not in Unicode's composed form (NFC)"
    return "a seal cannot seal itself" if path == SEAL_FILE else ""


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        raise SealMalformed(
            f"the seal is too long: with so many files, and such long paths, it has {len(text)} characters"
        )


def _written(name: str, version: str, digests: Mapping[str, str]) -> str:
    return "\n".join([TYPE_LINE, name, version, *_lines(digests)]) + "\n"


def _lines(digests: Mapping[str, str]) -> list[str]:
    return [f"{digests[path]}  {path}" for path in sorted(digests)]


def _read(text: str) -> Seal:
    """Parse a note's text. Raises SealMalformed unless writing the result gives the same text again."""
    type_line, *rest = text.removesuffix("\n").split("\n")
    if type_line != TYPE_LINE:
        raise SealMalformed(f'the note is not a seal: its first line is not "{TYPE_LINE}"')
    if len(rest) < 2 or not is_hand_name(rest[0]) or not is_version(rest[1]):
        raise SealMalformed("the seal does not begin with the name and version of a Hand")
    if len(rest) - 2 > MOST_FILES:
        raise SealMalformed(f"the seal lists more than {MOST_FILES} files")
    files: dict[str, str] = {}
    for line in rest[2:]:
        match = re.fullmatch(_FILE_LINE, line)
        if match is None:
            raise SealMalformed("a line of the seal is not a digest, two spaces and a path")
        if why := path_complaint(match[2]):
            raise SealMalformed(f"the seal lists the path {match[2]!r}: {why}")
        files[match[2]] = match[1]
    if MANIFEST_FILE not in files:
        raise SealMalformed(f"the seal does not list {MANIFEST_FILE}")
    if _written(rest[0], rest[1], files) != text:
        raise SealMalformed("the seal's files are not sorted, or one is listed twice")
    return Seal(name=rest[0], version=rest[1], files=files)
