"""Only public addresses are reached, in whatever dress the others come."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

check = hand_module("web", "address_check")
WebFailed = hand_module("web", "web_failure").WebFailed
NOBODY = check.Allowance()

SPECIAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:c1::a9fe:a9fe",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "1::1",
    "8000::1",
]

OF_ONES_OWN_NET = {
    "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "172.16.0.1",
    "172.31.255.255", "192.168.0.1", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fc00::1",
}  # fmt: skip
"""Of those the ones that the name of a host in `private` lets it lead to."""

NOBODYS = {
    "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255", "::", "::127.0.0.1", "::8.8.8.8", "ff02::1",
    "ff0e::1",
}  # fmt: skip
"""Those to which nothing in `private` lets anybody."""

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2a00:1450::1",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize("text", SPECIAL)
def test_a_name_allows_addresses_of_ones_own_net_alone_and_all_ranges_not_all(text: str) -> None:
    """Whoever owns the name says where it leads: not to where metadata services live."""
    address = check.canonical(text)
    assert (check.read_allowance(["a.example"]).allows("a.example", address) is None) == (text in OF_ONES_OWN_NET)
    assert (check.read_allowance(["0.0.0.0/0", "::/0"]).allows("any", address) is None) == (text not in NOBODYS)


@pytest.mark.parametrize("text", SPECIAL)
def test_special_addresses_are_refused(text: str) -> None:
    with pytest.raises(WebFailed) as failed:
        check.check_all("host.example", [text], NOBODY)
    assert failed.value.code == "private address"


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_reached(text: str) -> None:
    assert len(check.check_all("host.example", [text], NOBODY)) == 1


def test_a_mapped_address_becomes_the_one_it_maps() -> None:
    (address,) = check.check_all("host.example", ["::ffff:8.8.8.8"], NOBODY)
    assert address == ipaddress.IPv4Address("8.8.8.8")


def test_an_address_with_a_zone_is_refused() -> None:
    with pytest.raises(WebFailed):
        check.check_all("host.example", ["fe80::1%eth0"], check.read_allowance(["fe80::/10"]))


@pytest.mark.parametrize("bad", ["127.0.0.1", "fd00::1"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_forbidden_address_refuses_them_all(bad: str, at: int) -> None:
    answers = ["8.8.8.8", "1.1.1.1"]
    answers.insert(at, bad)
    with pytest.raises(WebFailed):
        check.check_all("host.example", answers, NOBODY)


def test_no_address_is_not_found() -> None:
    with pytest.raises(WebFailed) as failed:
        check.check_all("host.example", [], NOBODY)
    assert failed.value.code == "name not found"


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(addresses)
def test_what_the_standard_library_calls_private_is_never_public_here(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    plain = check.canonical(str(address))
    if not plain.is_global or plain.is_multicast:
        assert check.special(plain) is not None


@given(st.ip_addresses(v=4))
def test_an_address_in_a_dress_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    nat64 = ipaddress.IPv6Address((0x64FF9B << 96) | number)
    assert check.special(check.canonical(str(mapped))) == check.special(address)
    assert check.special(nat64) == check.special(address)
    for dress in (ipaddress.IPv6Address(number), ipaddress.IPv6Address((0x2002 << 112) | (number << 80))):
        assert check.special(dress) is not None


@pytest.mark.parametrize(
    ("entry", "host", "address", "allowed"),
    [
        ("nas.lan", "nas.lan", "192.168.1.2", True),
        ("NAS.lan.", "nas.lan", "192.168.1.2", True),
        ("nas.lan", "other.lan", "192.168.1.2", False),
        ("nas.lan", "evilnas.lan", "192.168.1.2", False),
        ("*.lan", "nas.lan", "fd00::1", True),
        ("*.lan", "lan", "fd00::1", False),
        ("*.lan", "evillan", "fd00::1", False),
        ("nas.lan", "nas.lan", "169.254.169.254", False),
        ("nas.lan", "nas.lan", "0.0.0.0", False),
        ("10.0.0.0/8", "any.example", "10.1.2.3", True),
        ("10.0.0.0/8", "any.example", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "any.example", "192.168.0.1", False),
        ("169.254.10.1", "any.example", "169.254.10.1", True),
        ("169.254.10.1", "any.example", "169.254.169.254", False),
        ("[::1]", "::1", "::1", True),
        ("0.0.0.0/0", "any.example", "0.0.0.0", False),
        ("0.0.0.0/0", "any.example", "224.0.0.1", False),
        ("0.0.0.0/0", "any.example", "255.255.255.255", False),
        ("0.0.0.0/0", "any.example", "240.0.0.1", True),
        ("::/0", "any.example", "ff02::1", False),
        ("::/0", "any.example", "::", False),
        ("::/0", "any.example", "::127.0.0.1", False),
    ],
)
def test_the_setting_private_allows_what_it_names(entry: str, host: str, address: str, allowed: bool) -> None:
    allowance = check.read_allowance([entry])
    assert (allowance.allows(host, check.canonical(address)) is None) == allowed


@pytest.mark.parametrize(
    "entry", ["", "10.0.0.0/33", "10.0.0.1/8", "http://nas.lan", "nas lan", "*", "a..b", "256.1.1.1", 7]
)
def test_an_entry_that_is_none_is_told(entry: object) -> None:
    with pytest.raises(WebFailed) as failed:
        check.read_allowance(["nas.lan", entry])
    assert failed.value.code == "settings"
    assert "maniple settings web" in failed.value.text


@pytest.mark.parametrize(
    ("address", "mend"),
    [
        ("10.0.0.1", "maniple settings web 'private=[\"a.example\"]'"),
        ("::1", "maniple settings web 'private=[\"a.example\"]'"),
        ("169.254.169.254", "A host name cannot allow it."),
        ("ff02::1", "A host name cannot allow it."),
    ],
)
def test_who_is_refused_is_told_what_would_allow_it(address: str, mend: str) -> None:
    with pytest.raises(WebFailed) as failed:
        check.check_all("a.example", ["8.8.8.8", address], NOBODY)
    assert mend in failed.value.text
    assert ("A host name" in failed.value.text) == ("A host name" in mend)


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b:1::1", "local NAT64"),
        ("100::1", "discarded"),
        ("100:0:0:1::1", "a dummy prefix"),
        ("2001::1", "Teredo"),
        ("2001:10::1", "for protocols"),
        ("5f00::1", "segment routing"),
        ("4000::1", "not public"),
        ("::", "unspecified"),
        ("::2", "IPv4-compatible"),
        ("255.255.255.255", "broadcast"),
    ],
)
def test_an_address_is_told_by_what_it_is(address: str, what: str) -> None:
    """Whoever judged one before it was made canonical would be told the same."""
    assert check.special(ipaddress.ip_address(address))[0] == what
