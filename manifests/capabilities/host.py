"""Host names and IP addresses in the normal form in which grants compare them (pure).

Separate because URLs and addresses share it. Normal forms: a name is lower-case ASCII without a dot at its end, other
scripts as punycode (UTS 46, by the `idna` library), so that a look-alike is visibly another name. An IPv4 address is
four decimal numbers, whichever spelling was given (octal, hexadecimal, one number; RFC 3986 §7.4 and the WHATWG URL
standard). An IPv6 address is as in RFC 5952, in brackets; one that maps an IPv4 address becomes that IPv4 address, since
the system would connect there. Refused: percent-escapes, zones (`%eth0`), and all else that two parsers could read
differently.

Patterns: `*` is any number of characters within one label, `**` as the first label is one or more labels.
`*.example.org` covers a.example.org, but neither example.org nor a.b.example.org; `**.example.org` covers the last. `**`
alone is every *named* host. A wildcard never covers an IP address: only the address itself or `["*"]` does. So the last
label may not be or become a number (`example.*`): hosts that end in a number are addresses.
"""

import re
from functools import lru_cache
from typing import Final

from manifests.capabilities.glob import fits_all
from manifests.errors import PatternInvalid, ResourceInvalid

_LABEL: Final = r"(?a)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NUMBER: Final = r"(?a)0[xX][0-9a-fA-F]*|[0-9]+"
_IPV4: Final = r"(?a)[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+"
LONGEST_NAME: Final = 253
LONGEST_GIVEN: Final = 512
MOST_REMEMBERED: Final = 1024
"""The most hosts in the cache of normal forms: many calls go to the same few hosts."""


@lru_cache(maxsize=MOST_REMEMBERED)
def normalise(text: str) -> str:
    """Return the host's normal form. Raises ResourceInvalid with the reason. `text` has passed spelling.oddity."""
    if not text:
        raise ResourceInvalid("it names no host")
    if len(text) > LONGEST_GIVEN:
        raise ResourceInvalid("its host name is too long")
    if text.startswith("["):
        return _ipv6(text)
    if "%" in text:
        raise ResourceInvalid("its host holds a percent-escape")
    name = text.lower() if text.isascii() else _to_ascii(text)
    name = name[:-1] if name.endswith(".") else name
    labels = name.split(".")
    if re.fullmatch(_NUMBER, labels[-1]):
        return _ipv4(labels)
    if len(name) > LONGEST_NAME:
        raise ResourceInvalid("its host name is too long")
    for label in labels:
        if not re.fullmatch(_LABEL, label):
            raise ResourceInvalid(
                f'"{label}" cannot be a part of a host name' if label else "its host name has an empty part"
            )
    if "xn--" in name:
        _check_punycode(name)
    return name


@lru_cache(maxsize=MOST_REMEMBERED)
def is_ip(host: str) -> bool:
    """Whether a host in normal form is an IP address."""
    return host.startswith("[") or re.fullmatch(_IPV4, host) is not None


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid unless the pattern can match a host. One without a wildcard must be in normal form already."""
    if pattern == "**":
        return
    if pattern == "*":
        raise PatternInvalid('"*" as a host is a name without a dot', 'write "**" for every named host')
    labels = pattern.split(".")
    if any("**" in label for label in labels[1:]) or ("**" in labels[0] and labels[0] != "**"):
        raise PatternInvalid(f'"**" in "{pattern}" is not its first label', 'write it like "**.example.org"')
    try:
        plain = normalise(pattern.replace("**", "x").replace("*", "x"))
    except ResourceInvalid as error:
        raise PatternInvalid(f'"{pattern}" is not a host: {error.why}', 'write one like "*.example.org"') from None
    numbers = ["*" in pattern and re.fullmatch(_NUMBER, label.replace("*", "1")) for label in labels]
    if all(numbers):
        raise PatternInvalid(f'"{pattern}" is a range of IP addresses', "write each address in full")
    if numbers[-1]:
        raise PatternInvalid(
            f'the last part of "{pattern}" could be a number, as in IP addresses', 'write it out, as in "*.example.org"'
        )
    if plain != pattern.replace("**", "x").replace("*", "x"):
        raise PatternInvalid(
            f'"{pattern}" is not in lower-case ASCII', 'write it like "*.example.org", other scripts as xn--...'
        )


def tokens(pattern: str) -> tuple[str, ...]:
    """Split a host or host pattern into labels for glob.fits_all; `**` becomes `*`, `**`, for one or more labels."""
    if is_ip(pattern):
        return (pattern,)
    labels = pattern.split(".")
    return ("*", *labels) if labels[0] == "**" else tuple(labels)


def covers(pattern: tuple[str, ...], host: str) -> bool:
    """Whether the tokens of a pattern cover a host (or include another pattern) that is in normal form."""
    if is_ip(host):
        return pattern == (host,)
    return fits_all(pattern, tokens(host))


def _ipv4(labels: list[str]) -> str:
    """Four decimal numbers from one to four numbers in any base, as inet_aton reads them."""
    if len(labels) > 4 or not all(re.fullmatch(_NUMBER, label) for label in labels):
        raise ResourceInvalid("its host ends in a number but is not an IPv4 address")
    try:
        *high, low = [_number(label) for label in labels]
    except ValueError:
        raise ResourceInvalid("its host is not an IPv4 address") from None
    if any(part > 255 for part in high) or low >= 256 ** (4 - len(high)):
        raise ResourceInvalid("its host is not an IPv4 address: a number is too large")
    total = low + sum(part << (8 * (3 - place)) for place, part in enumerate(high))
    return ".".join(str(total >> shift & 255) for shift in (24, 16, 8, 0))


def _number(label: str) -> int:
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if len(label) > 1 and label.startswith("0") else int(label)


def _ipv6(text: str) -> str:
    from ipaddress import AddressValueError, IPv6Address

    if not text.endswith("]"):
        raise ResourceInvalid("its host has a bracket without its pair")
    if "%" in text:
        raise ResourceInvalid("its IPv6 address has a zone")
    try:
        address = IPv6Address(text[1:-1])
    except AddressValueError:
        raise ResourceInvalid("its host is not an IPv6 address") from None
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"[{address.compressed}]"


def _to_ascii(text: str) -> str:
    import idna

    try:
        return idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise ResourceInvalid("its host name is not one that IDNA 2008 allows") from None


def _check_punycode(name: str) -> None:
    """Raise ResourceInvalid unless each xn-- label is the punycode of the text that it decodes to."""
    import idna

    for label in name.split("."):
        if not label.startswith("xn--"):
            continue
        try:
            if idna.alabel(idna.ulabel(label)).decode("ascii") != label:
                raise ResourceInvalid(f'"{label}" is not proper punycode')
        except (idna.IDNAError, UnicodeError):
            raise ResourceInvalid(f'"{label}" is not proper punycode') from None
