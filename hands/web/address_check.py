"""Decides which addresses may be connected to: public ones, and those that the operator allowed (pure).

A granted name says nothing about where it leads: its owner may point it at 127.0.0.1, at the router, or at a cloud's
metadata service. So every address is checked here, after resolving, and `dialling` connects to the checked address and no
other. The tables follow IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190 and later entries),
the multicast registries, and RFC 6052. IPv6 is closed by default: outside 2000::/3 nothing is public. "A cloud's own" is
in no registry: the addresses where Azure, Alibaba, Oracle, Amazon and Google serve each of their machines, and hand out
secrets.

Addresses that carry an IPv4 address are judged by it: mapped ones (::ffff:0:0/96) *become* it, NAT64's well-known
prefix (64:ff9b::/96) keeps its form. 6to4, Teredo and the deprecated compatible form are refused whatever they carry.

The setting `private` allows more. A *name* (`printer.lan`, `*.lan`) lets that host lead to private, shared or loopback
addresses, but never to link-local ones or a cloud's own, where metadata services live. An *address or range*
(`169.254.10.1`, `10.0.0.0/8`) lets any host lead there. Unspecified, broadcast and multicast addresses are never allowed.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from web_failure import WebFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

BY_NAME: Final = "name"
"""A host name or an address range in `private` allows it."""
BY_RANGE: Final = "range"
"""Only an address range in `private` allows it."""
NEVER: Final = "never"

_TABLE: Final = (
    ("0.0.0.0/8", "this network", NEVER),
    ("10.0.0.0/8", "private", BY_NAME),
    ("100.100.100.200/32", "a cloud's own", BY_RANGE),
    ("100.64.0.0/10", "shared by a carrier", BY_NAME),
    ("127.0.0.0/8", "loopback", BY_NAME),
    ("168.63.129.16/32", "a cloud's own", BY_RANGE),
    ("169.254.0.0/16", "link-local", BY_RANGE),
    ("172.16.0.0/12", "private", BY_NAME),
    ("192.0.0.0/24", "for protocols", BY_RANGE),
    ("192.0.2.0/24", "for documentation", BY_RANGE),
    ("192.88.99.0/24", "a 6to4 relay", BY_RANGE),
    ("192.168.0.0/16", "private", BY_NAME),
    ("198.18.0.0/15", "for benchmarks", BY_RANGE),
    ("198.51.100.0/24", "for documentation", BY_RANGE),
    ("203.0.113.0/24", "for documentation", BY_RANGE),
    ("224.0.0.0/4", "multicast", NEVER),
    ("255.255.255.255/32", "broadcast", NEVER),
    ("240.0.0.0/4", "reserved", BY_RANGE),
    ("::/128", "unspecified", NEVER),
    ("::1/128", "loopback", BY_NAME),
    ("::/96", "IPv4-compatible", NEVER),
    ("64:ff9b:1::/48", "local NAT64", BY_RANGE),
    ("100::/64", "discarded", BY_RANGE),
    ("100:0:0:1::/64", "a dummy prefix", BY_RANGE),
    ("2001::/32", "Teredo", BY_RANGE),
    ("2001::/23", "for protocols", BY_RANGE),
    ("2001:db8::/32", "for documentation", BY_RANGE),
    ("2002::/16", "6to4", BY_RANGE),
    ("3fff::/20", "for documentation", BY_RANGE),
    ("5f00::/16", "segment routing", BY_RANGE),
    ("fd00:c1::a9fe:a9fe/128", "a cloud's own", BY_RANGE),
    ("fd00:ec2::/32", "a cloud's own", BY_RANGE),
    ("fd20:ce::254/128", "a cloud's own", BY_RANGE),
    ("fc00::/7", "unique local", BY_NAME),
    ("fe80::/10", "link-local", BY_RANGE),
    ("fec0::/10", "site-local", BY_RANGE),
    ("ff00::/8", "multicast", NEVER),
)
_RANGES: Final[tuple[tuple[Network, str, str], ...]] = tuple(
    (ipaddress.ip_network(text), what, how) for text, what, how in _TABLE
)
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
REMEMBERED: Final = 256
"""Results that are cached: they depend on nothing but the text or address."""

_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@lru_cache(maxsize=REMEMBERED)
def canonical(text: str) -> Address:
    """The address in the form in which it is checked and connected to. Raises ValueError if it is invalid or has a zone."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise ValueError(f"{text} has a zone")
        return address.ipv4_mapped or address
    return address


@lru_cache(maxsize=REMEMBERED)
def special(address: Address) -> tuple[str, str] | None:
    """(kind of address, what could allow it: BY_NAME, BY_RANGE or NEVER) of an address; None if it is public."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return special(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped:
            return special(address.ipv4_mapped)
    for network, what, how in _RANGES:
        if address in network:
            return what, how
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL:
        return "not public", BY_RANGE
    return None


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """The setting `private`, parsed. names: exact, or `*.` and a domain for all names beneath it."""

    names: tuple[str, ...] = ()
    ranges: tuple[Network, ...] = ()

    def allows(self, host: str, address: Address) -> str | None:
        """None if connecting is allowed, else the kind of address."""
        found = special(address)
        if found is None:
            return None
        what, how = found
        if how != NEVER and any(address in network for network in self.ranges):
            return None
        if how == BY_NAME and any(_fits(name, host) for name in self.names):
            return None
        return what


def _fits(name: str, host: str) -> bool:
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def read_allowance(entries: Sequence[object]) -> Allowance:
    """Parses the setting's entries. Raises WebFailed for the first one that is neither a host name nor an address range."""
    names: list[str] = []
    ranges: list[Network] = []
    for entry in entries:
        text = str(entry).strip().lower().removesuffix(".")
        try:
            ranges.append(ipaddress.ip_network(text.strip("[]")))
            continue
        except ValueError as error:
            wrong = str(error)
        if not _HOST.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
            mend = 'Write host names and ranges: maniple settings web \'private=["nas.lan", "10.0.0.0/8"]\''
            raise WebFailed(
                "settings",
                f"The setting `private` holds {entry!r}, which is neither a host name nor a range: {wrong}. {mend}",
            )
        names.append(text)
    return Allowance(names=tuple(names), ranges=tuple(ranges))


def check_all(host: str, addresses: Sequence[str], allowance: Allowance) -> tuple[Address, ...]:
    """Parses and checks a host's addresses; each once, in their order. Raises WebFailed unless *every* one is allowed.

    One forbidden address refuses all: a name with both public and private addresses is an attack or an accident.
    """
    checked: dict[Address, None] = {}
    for text in addresses:
        try:
            address = canonical(text)
        except ValueError:
            raise WebFailed("private address", f"{host} leads to {text}, which belongs to one link only.") from None
        if (what := allowance.allows(host, address)) is not None:
            mend = f"The operator may allow it: `maniple settings web 'private=[\"{host}\"]'`"
            if special(address) != (what, BY_NAME):
                mend = "A host name cannot allow it."
            raise WebFailed("private address", f"{host} leads to {address}, which is {what}. {mend}")
        checked[address] = None
    if not checked:
        raise WebFailed("name not found", f"{host} has no address.")
    return tuple(checked)
