"""No spelling of an address, and no name, leads to a machine that is not public: the tricks of the public lists.

Families after OWASP's Server-Side Request Forgery Prevention page, PayloadsAllTheThings' SSRF page and the reports that
their rows name: every way of writing an IPv4 address, IPv6 forms that carry one, names that resolve to one, userinfo and
other confusions of parsers, schemes. Each goes the whole way: through the kernel's reading of a URL, then through the
Hand, whose connecting would be noticed.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

import pytest

from manifests.capabilities import covers, normalise
from manifests.errors import ResourceInvalid
from tests.hands.doubles import hand_module
from tests.hands.web.conftest import failure, fetch, run, started

dialling = hand_module("web", "dialling")

TARGETS: Final = (
    "127.0.0.1",
    "169.254.169.254",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "100.100.100.200",
    "0.0.0.0",
    "127.255.255.254",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.0.192",
)
NAMES: Final = {
    "localtest.me": "127.0.0.1",
    "nip.example": "169.254.169.254",
    "metadata.google.internal": "169.254.169.254",
    "internal.example": "10.1.2.3",
    "six.example": "::1",
    "mapped.example": "::ffff:127.0.0.1",
    "ula.example": "fd00:ec2::254",
    "nat64.example": "64:ff9b::7f00:1",
    "sixtofour.example": "2002:7f00:1::",
    "teredo.example": "2001:0:1::",
    "zone.example": "fe80::1%1",
}
WHOLE: Final = (
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[ff02::1]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0x7f.1/",
    "http://1２７.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://127%2e0%2e0%2e1/",
    "http://127.0.0.1%00.example.org/",
    "http://127.0.0.1\t/",
    "http://example.org@127.0.0.1/",
    "http://127.0.0.1#@example.org/",
    "http://127.0.0.1\\@example.org/",
    "http://example.org:80@127.0.0.1:80/",
    "http://127.0.0.1:80\\@example.org:80/",
    "http:127.0.0.1/",
    "http:///127.0.0.1/",
    "http:\\\\127.0.0.1/",
    "//127.0.0.1/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:0/",
    "http://example.org\r\nHost: 127.0.0.1/",
    "http://example.org/ HTTP/1.1\r\nX: y",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "dict://127.0.0.1:11211/stat",
    "ftp://127.0.0.1/",
    "ldap://127.0.0.1/",
    "data:text/plain,x",
    "jar:http://127.0.0.1!/",
    "netdoc:///etc/passwd",
    "http+unix://%2fvar%2frun%2fdocker.sock/",
    "unix:///var/run/docker.sock",
    "javascript:alert(1)",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://127.0.0.1.xip.example/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0::ffff:10.0.0.1]/",
    "http://4294967297/",
    "http://127.0.0.257/",
    "http://127.0.0.1.../",
    "http://%31%32%37.0.0.1/",
    "http://1.1.1.1 &@127.0.0.1# @3.3.3.3/",
)


def spellings(dotted: str) -> Iterator[str]:
    """Every way in which some parser reads an IPv4 address (inet_aton(3), WHATWG URL's IPv4 parser, RFC 4291)."""
    a, b, c, d = map(int, dotted.split("."))
    whole = (a << 24) | (b << 16) | (c << 8) | d
    yield from (
        dotted,
        f"{dotted}.",
        str(whole),
        hex(whole),
        f"0{whole:o}",
        f"{a}.{(b << 16) | (c << 8) | d}",
        f"{a}.{b}.{(c << 8) | d}",
    )
    yield from (
        ".".join(map(hex, (a, b, c, d))),
        ".".join(f"0{part:o}" for part in (a, b, c, d)),
        f"0x{a:x}.{b}.0{c:o}.{d}",
    )
    yield from (
        ".".join(f"{part:03d}" for part in (a, b, c, d)),
        ".".join(f"0x0000{part:02x}" for part in (a, b, c, d)),
        f"{whole + (1 << 32)}",
    )
    yield from (
        "．".join(map(str, (a, b, c, d))),
        "。".join(map(str, (a, b, c, d))),
        "%2e".join(map(str, (a, b, c, d))),
    )
    yield "".join(chr(ord(sign) + 0xFEE0) if sign.isdigit() else sign for sign in dotted)
    high, low = f"{(a << 8) | b:x}", f"{(c << 8) | d:x}"
    yield from (
        f"[::ffff:{dotted}]",
        f"[::ffff:{high}:{low}]",
        f"[::{dotted}]",
        f"[64:ff9b::{dotted}]",
        f"[64:ff9b::{high}:{low}]",
        f"[2002:{high}:{low}::]",
    )
    yield from (
        f"[0:0:0:0:0:ffff:{high}:{low}]",
        f"[2001:0:{high}:{low}::]",
        f"[::ffff:0:{dotted}]",
        f"[fe80::5efe:{dotted}]",
        f"{dotted}.nip.io",
        f"x@{dotted}",
    )


TRICKS: Final = tuple(
    dict.fromkeys(
        (
            *WHOLE,
            *(f"http://{host}/" for target in TARGETS for host in spellings(target)),
            *(f"http://{name}/" for name in NAMES),
        )
    )
)


async def _lookup(host: str) -> tuple[str, ...]:
    """A name server on the attacker's side: what is no known name is loopback."""
    return (NAMES.get(host, "127.0.0.1"),)


def _is_public(host: str) -> bool:
    """Whether it is the number of a public machine: an octal spelling may be one, such as 010.0.0.1, which is 8.0.0.1."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def test_there_are_more_than_four_hundred_tricks() -> None:
    assert len(TRICKS) > 400


@pytest.mark.parametrize("method", ["fetch", "robots"])
def test_no_trick_connects_anywhere(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[str] = []

    async def connect(address: object, port: int) -> object:
        connected.append(str(address))
        raise OSError("noticed")

    monkeypatch.setattr(dialling, "_connect", connect)  # to connect for real is what must not happen

    async def all_of_them() -> int:
        reached, hand = 0, await started(lookup=_lookup, private=[])
        for trick in TRICKS:
            try:
                url = normalise("url", trick)
            except ResourceInvalid:
                continue
            reached += 1
            code, _ = await failure(fetch(hand, url, robots=method == "robots"))
            assert code == "private address" or _is_public(url.split("/")[2]), (trick, url, code)
        return reached

    assert run(all_of_them()) > 100
    assert all(map(_is_public, connected)), connected


def test_no_trick_is_covered_by_a_grant_on_somebody_elses_host() -> None:
    for trick in TRICKS:
        try:
            url = normalise("url", trick)
        except ResourceInvalid:
            continue
        for grant in ("https://example.org/**", "http://example.org/**", "http://*.example.org/**", "http://*.org/**"):
            assert not covers(grant, url) or "example.org" in url.split("/")[2], trick
