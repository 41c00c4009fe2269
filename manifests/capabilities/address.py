"""Kind `address`: the destination of a TCP connection, as `host:port` (pure).

The host is normalised as in host.py, so every spelling of an IP address is one address; an IPv6 address stands in
brackets: `[::1]:443`. The port is a number from 1 to 65535 and has no default.

Patterns: a host pattern as in host.py and a port or `*`: `feeds.example.org:443`, `**.example.org:*`. No wildcard in
the host covers an IP address. `*` or `**` alone covers every address.
"""

from functools import lru_cache

from manifests.capabilities import host
from manifests.capabilities.spelling import is_too_long, oddity
from manifests.capabilities.url import normal_port, split_port
from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("feeds.example.org:443", "*.example.org:*", "*")


def normalise(text: str) -> str:
    """Return the normal form of `host:port`. Raises ResourceInvalid with the reason if it has none."""
    name, port = _split(text)
    return f"{host.normalise(name)}:{normal_port(port)}"


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid unless the pattern is in normal form; its `instead` shows that form."""
    try:
        name, port = _split(pattern)
        name = name if "*" in name else host.normalise(name)
        port = port if port == "*" else normal_port(port)
    except ResourceInvalid as error:
        raise PatternInvalid(
            f'"{pattern}" is not an address pattern: {error.why}', 'write one like "*.example.org:443"'
        ) from None
    host.check_pattern(name)
    if f"{name}:{port}" != pattern:
        raise PatternInvalid(f'"{pattern}" is another spelling of "{name}:{port}"', f'write "{name}:{port}"')


def covers(pattern: str, resource: str) -> bool:
    """Whether the pattern covers the address, which is in normal form. Never raises."""
    wide = _compiled(pattern)
    name, _, port = resource.rpartition(":")
    return wide is not None and wide[1] in ("*", port) and host.covers(wide[0], name)


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers all that `narrow` covers. Never raises."""
    return covers(wide, narrow)


def _split(text: str) -> tuple[str, str]:
    if odd := oddity(text):
        raise ResourceInvalid(odd)
    if is_too_long(text):
        raise ResourceInvalid("it is longer than 1 KiB")
    if "@" in text or "/" in text:
        raise ResourceInvalid("it is not host:port")
    name, port = split_port(text)
    if not port:
        raise ResourceInvalid("it has no port")
    return name, port


@lru_cache(maxsize=2048)
def _compiled(pattern: str) -> tuple[tuple[str, ...], str] | None:
    try:
        check_pattern(pattern)
    except PatternInvalid:
        return None
    name, _, port = pattern.rpartition(":")
    return host.tokens(name), port
