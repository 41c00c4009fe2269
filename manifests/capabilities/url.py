"""Kind `url`: an http or https URL, parsed once, by the strict parser below (pure).

`urllib.parse` is not used: it accepts what other parsers read differently (userinfo, backslashes, control characters,
odd ports), and it costs start-up time.

Normal form (RFC 3986 §6, and the WHATWG URL standard where clients follow it): scheme and host lower-case, see host.py;
a default port dropped; escapes of unreserved characters decoded, all others in capitals; other characters escaped as
UTF-8; then `.` and `..` resolved; the fragment dropped, since it is never sent. The query stays as written, except that
non-ASCII characters are escaped. So `%2e%2e` is `..` and is resolved, and `%2f` becomes `%2F` and separates nothing. A
`*` in the path becomes `%2A`.
Refused: other schemes, userinfo, backslashes, spaces and control characters (escaped ones in the path as well),
malformed, overlong and doubly escaped dots and slashes, and `..` in forms that only a careless server resolves (`..%2f`,
`..;`).

Patterns: `scheme://host[:port]/path[?query]`, with wildcards as in host.py and glob.py, and `*` for any port or any
part of a query. `https://*.example.org/**` covers neither https://example.org/ nor http://a.example.org/. A pattern
without a query covers any query; one without a path is refused. `*` or `**` alone covers every URL, IP addresses
included.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from manifests.capabilities import host
from manifests.capabilities.glob import fault, fits, fits_all
from manifests.capabilities.spelling import is_too_long, oddity
from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("https://*.example.org/**", "https://api.example.org:8443/v1/*", "*")
DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_SAFE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()+,;=:@")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PLAIN: Final = r"(?a)[A-Za-z0-9\-._~!$&'()+,;=:@/]*"
_ESCAPE: Final = r"(?a)%([0-9A-Fa-f]{2})?"
_CONTROL: Final = r"%(?:[01][0-9A-F]|7F)"
_DOUBLE: Final = r"%25(?:2[EeFf]|5[Cc]|00)"
_OVERLONG: Final = r"%C[01]%[89AB]|%E0%[89]|%F0%8"
_PORT: Final = r"(?a)[0-9]{1,8}"


class Parts(NamedTuple):
    """The parts of a URL or URL pattern; `query` is None if there is no question mark."""

    scheme: str
    host: str
    port: str
    path: str
    query: str | None

    def __str__(self) -> str:
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}" + ("" if self.query is None else f"?{self.query}")


class Pattern(NamedTuple):
    """A parsed pattern, with host and path split for glob.py."""

    scheme: str
    host: tuple[str, ...]
    port: str
    path: tuple[str, ...]
    query: str | None


def normalise(text: str) -> str:
    """Return the URL's normal form. Raises ResourceInvalid with the reason if it has none."""
    parts = _split(text)
    port = normal_port(parts.port)
    whole = str(
        parts._replace(
            host=host.normalise(parts.host), port=port, path=_path(parts.path, wild=False), query=_query(parts.query)
        )
    )
    if is_too_long(whole):
        raise ResourceInvalid("it is longer than 1 KiB in its normal form")
    return whole


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid unless the pattern is in normal form; its `instead` shows that form."""
    try:
        parts = _split(pattern)
        if "*" not in parts.host:
            parts = parts._replace(host=host.normalise(parts.host))
        port = parts.port if parts.port == "*" else normal_port(parts.port)
        parts = parts._replace(port=port, path=_path(parts.path, wild=True), query=_query(parts.query))
    except ResourceInvalid as error:
        instead = 'write one like "https://*.example.org/**"'
        raise PatternInvalid(f'"{pattern}" is not a URL pattern: {error.why}', instead) from None
    host.check_pattern(parts.host)
    if why := fault(tuple(parts.path.split("/"))):
        raise PatternInvalid(f'"{pattern}" is not a URL pattern: {why}', 'write one like "https://*.example.org/**"')
    if str(parts) != pattern:
        raise PatternInvalid(f'"{pattern}" is not written in full', f'write "{parts}"')


def covers(pattern: str, resource: str) -> bool:
    """Whether the pattern covers the URL, which is in normal form. Never raises."""
    wide, parts = _compiled(pattern), _taken_apart(resource)
    return (
        wide is not None
        and wide.scheme == parts.scheme
        and wide.port in ("*", parts.port)
        and host.covers(wide.host, parts.host)
        and fits_all(wide.path, tuple(parts.path.split("/")))
        and (wide.query is None or (parts.query is not None and fits(wide.query, parts.query)))
    )


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers all that `narrow` covers. Never raises."""
    return covers(wide, narrow)


@lru_cache(maxsize=1024)
def normal_port(text: str) -> str:
    """Return a port from 1 to 65535 without leading zeros. Raises ResourceInvalid for anything else."""
    if not re.fullmatch(_PORT, text) or not 1 <= int(text) <= 65535:
        raise ResourceInvalid("its port is not a number from 1 to 65535")
    return str(int(text))


def origin(resource: str) -> str:
    """Return `scheme://host[:port]` of a URL in normal form."""
    return "/".join(resource.split("/", 3)[:3]).partition("?")[0]


def split_port(authority: str) -> tuple[str, str]:
    """Split `host:port` or `[host]:port`; port is "" if missing. Raises ResourceInvalid for anything ambiguous."""
    if authority.startswith("["):
        inside, bracket, after = authority.partition("]")
        if after and not after.startswith(":"):
            raise ResourceInvalid("something stands between its host and its port")
        return inside + bracket, after[1:]
    name, _, port = authority.partition(":")
    if ":" in port:
        raise ResourceInvalid("its host has more than one colon; an IPv6 address stands in brackets")
    return name, port


def _split(text: str) -> Parts:
    """Split a URL into its parts as written, with the default port filled in and the fragment dropped."""
    if odd := oddity(text):
        raise ResourceInvalid(odd)
    if is_too_long(text):
        raise ResourceInvalid("it is longer than 1 KiB")
    if " " in text:
        raise ResourceInvalid("it holds a space; in a path it is written %20")
    scheme, colon, rest = text.partition("#")[0].partition("://")
    scheme = scheme.lower()
    if not colon or scheme not in DEFAULT_PORTS:
        raise ResourceInvalid("it does not begin with http:// or https://")
    before, question, query = rest.partition("?")
    if "\\" in before:
        raise ResourceInvalid("it holds a backslash")
    authority, slash, path = before.partition("/")
    if "@" in authority:
        raise ResourceInvalid("it holds a user name or password before an @")
    name, port = split_port(authority)
    return Parts(scheme, name, port or DEFAULT_PORTS[scheme], slash + path or "/", query if question else None)


def _path(path: str, *, wild: bool) -> str:
    if not re.fullmatch(_PLAIN, path):
        path = "/".join(_segment(segment, wild=wild) for segment in path.split("/"))
    for segment in path.split("/"):
        if segment.startswith(("..;", "..%3B")) or (
            "%2F" in segment and not {".", ".."}.isdisjoint(segment.split("%2F"))
        ):
            raise ResourceInvalid('it hides a ".." that some servers would see')
    return _resolve(path) if "/." in path else path


def _segment(segment: str, *, wild: bool) -> str:
    kept = _SAFE | {"%", "*"} if wild else _SAFE | {"%"}
    text = re.sub(_ESCAPE, _unescape, segment)
    if re.search(_CONTROL, text):
        raise ResourceInvalid("its path holds an escaped control character")
    if "%5C" in text:
        raise ResourceInvalid("its path holds an escaped backslash")
    if re.search(_DOUBLE, text):
        raise ResourceInvalid("its path holds a doubly escaped dot or slash")
    if re.search(_OVERLONG, text):
        raise ResourceInvalid("its path holds an overlong escape")
    return "".join(char if char in kept else "".join(f"%{byte:02X}" for byte in char.encode()) for char in text)


def _unescape(match: "re.Match[str]") -> str:
    if match[1] is None:
        raise ResourceInvalid("it holds a % that is not an escape")
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0].upper()


def _resolve(path: str) -> str:
    """Remove dot segments, as RFC 3986 §5.2.4 says."""
    *folders, last = path.split("/")[1:]
    kept: list[str] = []
    for segment in (*folders, "" if last == "." else last):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last == "..":
        kept.append("")
    return "/" + "/".join(kept)


def _query(query: str | None) -> str | None:
    if query is None or query.isascii():
        return query
    return "".join(char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode()) for char in query)


@lru_cache(maxsize=2048)
def _compiled(pattern: str) -> Pattern | None:
    """Parse a pattern. None for one that check_pattern refuses: it covers nothing."""
    try:
        check_pattern(pattern)
        parts = _split(pattern)
    except (PatternInvalid, ResourceInvalid):
        return None
    return Pattern(parts.scheme, host.tokens(parts.host), parts.port, tuple(parts.path.split("/")), parts.query)


def _taken_apart(resource: str) -> Parts:
    """Split a URL or pattern in normal form into its parts, without checking it again. Never raises."""
    scheme, _, rest = resource.partition("://")
    before, question, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    name, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = authority, DEFAULT_PORTS.get(scheme, "")
    return Parts(scheme, name, port, slash + path, query if question else None)
