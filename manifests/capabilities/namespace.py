"""Kind `namespace`: the memory that a call acts on (pure).

    own                               the calling Hand's
    shared/NAME                       a space of that name, for every Hand that is granted it
    session/AGENT/CHANNEL/CHAT/USER   one conversation: a separate part of the calling Hand's memory
    own/ID, own/ID/session/…          that of the Hand with this id: what providers get, and only the operator may name

Grants are checked on the namespace as the caller wrote it. The provider gets the result of `bound`, which contains the
caller's immutable id. So a provider never determines its caller, and a new Hand under a removed Hand's name gets a memory
of its own.

Normal form: NAME is 1 to 64 lower-case letters, digits and single `-` between them. Each part of a session's key is 1 to
128 characters: A-Z a-z 0-9 . _ @ + ~ - and escapes such as `%C3` for the bytes of all other characters, in UTF-8 and NFC;
not dots alone. `part` spells one; `-` takes the place of a part that a conversation lacks. Escapes of characters that
need none are decoded, others get capital hex digits. Case-sensitive.

Patterns: `own`, `shared/*`, `session/**`, `session/helpdesk/*/*/ada`: `*` within a part, `**` for any number of parts of
a key. `*` or `**` alone covers all but `own/…`, which no pattern covers.
"""

import re
from typing import Final

from manifests.capabilities.glob import fault, fits_all
from manifests.capabilities.spelling import is_nfc, oddity
from manifests.errors import PatternInvalid, ResourceInvalid
from wire.ids import OPERATOR

EXAMPLES: tuple[str, ...] = ("own", "shared/*", "session/**")
SPACES: Final = frozenset({"own", "shared", "session"})
NONE: Final = "-"
"""Takes the place of a part of a session's key that the conversation lacks, such as a chat."""

PART_MAX: Final = 128
_KEY: Final = 4
_SHARED: Final = r"(?a)[a-z0-9]+(?:-[a-z0-9]+)*"
_WHOSE: Final = r"(?a)h-[0-9a-hjkmnp-tv-z]{16}|" + OPERATOR
_PART: Final = r"(?a)(?:[A-Za-z0-9._@+~-]|%[0-9A-Fa-f]{2})+"
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+~-")
_FORMS: Final = "own, shared/NAME or session/AGENT/CHANNEL/CHAT/USER"
_EXAMPLE: Final = 'write "own", "shared/NAME" or "session/**"'


def normalise(text: str) -> str:
    """Return the normal form of a namespace. Raises ResourceInvalid with the reason if it has none."""
    match text.split("/"):
        case ["own"]:
            return text
        case ["shared", name]:
            return f"shared/{_name(name)}"
        case ["session", *key]:
            return f"session/{_key(key)}"
        case ["own", whose]:
            return f"own/{_whose(whose)}"
        case ["own", whose, "session", *key]:
            return f"own/{_whose(whose)}/session/{_key(key)}"
    raise ResourceInvalid(f"a namespace is {_FORMS}")


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid if the pattern can match no namespace that a Hand may name."""
    space, *parts = pattern.split("/")
    if pattern == "own":
        return
    if space == "own":
        raise PatternInvalid(f'"{pattern}": the memory of a Hand by its id is the operator\'s alone', 'write "own"')
    if why := fault(tuple(parts)):
        raise PatternInvalid(f'"{pattern}" is not a namespace pattern: {why}', _EXAMPLE)
    if space == "shared" and len(parts) == 1 and "**" not in parts:
        is_good = bool(re.fullmatch(r"(?a)[a-z0-9*-]{1,64}", parts[0]))
    elif space == "session" and parts:
        is_good = (len(parts) == _KEY if "**" not in parts else len(parts) <= _KEY) and all(map(_may_match, parts))
    else:
        is_good = False
    if not is_good:
        raise PatternInvalid(f'"{pattern}" is not a pattern of {_FORMS}', _EXAMPLE)


def covers(pattern: str, resource: str) -> bool:
    """Whether the pattern covers the namespace, which is in normal form. Never raises."""
    return fits_all(tuple(pattern.split("/")), tuple(resource.split("/")))


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers all that `narrow` covers. Never raises. Sound; complete except for `**` next to `*`."""
    return fits_all(tuple(wide.split("/")), tuple(narrow.split("/")))


def is_by_id(resource: str) -> bool:
    """Whether a namespace names a Hand's memory by id, which only the operator may do and no pattern covers."""
    return resource.startswith("own/")


def bound(resource: str, hand: str) -> str:
    """Return the namespace as its provider gets it: with the caller's id. hand: that id, "" for the operator."""
    whose = f"own/{hand or OPERATOR}"
    if resource == "own":
        return whose
    return f"{whose}/{resource}" if resource.startswith("session/") else resource


def session(agent: str, channel: str, chat: str, user: str) -> str:
    """Return the namespace of a conversation. Raises ResourceInvalid if a part of its key cannot be spelled."""
    return "session/" + "/".join(map(part, (agent, channel, chat, user)))


def part(text: str) -> str:
    """Spell a text as a part of a session's key: in NFC, escaped where necessary; `-` for ""."""
    if not text:
        return NONE
    if not text.isascii():
        import unicodedata

        text = unicodedata.normalize("NFC", text)
    return _spelled(text)


def _name(name: str) -> str:
    if len(name) > 64 or not re.fullmatch(_SHARED, name):
        raise ResourceInvalid("a shared space's name is 1 to 64 small letters, digits and single - between them")
    return name


def _whose(whose: str) -> str:
    if not re.fullmatch(_WHOSE, whose):
        raise ResourceInvalid("it does not name a Hand by its id, as `maniple show HAND` tells it")
    return whose


def _key(parts: list[str]) -> str:
    if len(parts) != _KEY:
        raise ResourceInvalid("a session's key has four parts: AGENT/CHANNEL/CHAT/USER, with - for one that it has not")
    return "/".join(map(_normal_part, parts))


def _normal_part(written: str) -> str:
    if not re.fullmatch(_PART, written):
        raise ResourceInvalid(
            "a part of its key is letters, digits, . _ @ + ~ - and escapes such as %20 for all others"
        )
    if "%" not in written:
        return _spelled(written)
    raw = re.sub(r"%(..)", lambda match: chr(int(match[1], 16)), written).encode("latin-1")
    try:
        return _spelled(raw.decode())
    except UnicodeDecodeError:
        raise ResourceInvalid("the escapes in a part of its key are not UTF-8") from None


def _spelled(text: str) -> str:
    if odd := oddity(text):
        raise ResourceInvalid(odd)
    if not is_nfc(text):
        raise ResourceInvalid("a part of its key is not in Unicode's composed form (NFC)")
    if not text.strip("."):
        raise ResourceInvalid("a part of its key is nothing but dots")
    spelled = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode())
    if len(spelled) > PART_MAX:
        raise ResourceInvalid(f"a part of its key is longer than {PART_MAX} characters")
    return spelled


def _may_match(part: str) -> bool:
    """Whether a part of a pattern could match a part of a key in normal form."""
    plain = part.replace("*", "")
    if not part or len(part) > PART_MAX or (plain and not re.fullmatch(_PART, plain)):
        return False
    return all(escape.isupper() or escape.isdigit() for escape in re.findall(r"%(..)", plain))
