"""A name server that changes its mind, and servers at the addresses it names (acts); run by test_rebinding.py.

`python -m tests.hands.web.rebinding` in network and mount namespaces of its own, whose /etc/resolv.conf names 127.0.0.1.
There it has a public address, the address of a cloud's metadata service and loopback, a server at each, and the system's own
resolver asks it. Ends with 0 when all held.
"""

import asyncio
import fcntl
import socket
import struct
from typing import Final

from tests.hands.doubles import hand_module
from tests.hands.web.conftest import answering, failure, fetch, reply, serving, started

PUBLIC, METADATA, LOOPBACK = "93.184.216.34", "169.254.169.254", "127.0.0.1"
TYPE_A, TYPE_CNAME = 1, 5
_SIOCSIFADDR, _SIOCSIFFLAGS, _UP = 0x8916, 0x8914, 0x1 | 0x40

ANSWERS: Final[dict[str, list[tuple[str, ...]]]] = {
    "loopback.test": [(PUBLIC,), (LOOPBACK,)],
    "metadata.test": [(PUBLIC,), (METADATA,)],
    "both.test": [(PUBLIC, LOOPBACK)],
    "alias.test": [("inner.test",)],
    "inner.test": [(PUBLIC,), (METADATA,)],
}
"""For each name what it leads to, asked for the first time and then again and again; a name among them is an alias."""


class Liar(asyncio.DatagramProtocol):
    """Answers for addresses of IPv4 at once, to be kept for no second. asked: the names."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # as it is called
        self.transport = transport

    def datagram_received(self, question: bytes, whence: tuple[str, int]) -> None:
        name, end = _name(question, 12)
        (kind,) = struct.unpack_from("!H", question, end)
        records = self._records(name) if kind == TYPE_A else []
        head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0)
        self.transport.sendto(head + question[12 : end + 4] + b"".join(records), whence)

    def _records(self, name: str) -> list[bytes]:
        self.asked.append(name)
        given = ANSWERS[name]
        found: list[bytes] = []
        for one in given.pop(0) if len(given) > 1 else given[0]:
            if one in ANSWERS:
                found += [_record(name, TYPE_CNAME, _written(one)), *self._records(one)]
            else:
                found.append(_record(name, TYPE_A, socket.inet_aton(one)))
        return found


def _name(message: bytes, at: int) -> tuple[str, int]:
    parts = []
    while size := message[at]:
        parts.append(message[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return ".".join(parts).lower(), at + 1


def _written(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def _record(name: str, kind: int, content: bytes) -> bytes:
    return _written(name) + struct.pack("!HHIH", kind, 1, 0, len(content)) + content


def _furnish() -> None:
    """Loopback is up, and has the two other addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP))
        for number, address in enumerate((PUBLIC, METADATA)):
            sort = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(asked, _SIOCSIFADDR, struct.pack("16s16s", b"lo:%d" % number, sort))


async def main() -> None:
    """Each attack, and what it comes to."""
    _furnish()
    loop = asyncio.get_running_loop()
    _, liar = await loop.create_datagram_endpoint(Liar, (LOOPBACK, 53))
    lookup = hand_module("web", "name_lookup").SystemLookup()
    async with (
        serving(answering(reply(b"public")), host=PUBLIC) as public,
        serving(answering(reply(b"inside")), host=LOOPBACK, port=public.port) as loopback,
        serving(answering(reply(b"inside")), host=METADATA, port=public.port) as metadata,
    ):
        hand = await started(lookup, private=[])
        for name in ("loopback.test", "metadata.test", "alias.test"):
            before = len(liar.asked)
            url = f"http://{name}:{public.port}/"
            call, done = await fetch(hand, url)
            assert (call.body, done["address"]) == (b"public", PUBLIC), (name, done)
            assert liar.asked[before:].count(name) == 1, liar.asked
            code, text = await failure(fetch(hand, url))
            assert (code, name in text) == ("private address", True), (name, code, text)
        assert (await failure(fetch(hand, f"http://both.test:{public.port}/")))[0] == "private address"
        allowed = await started(lookup, private=["loopback.test", "metadata.test"])
        assert (await fetch(allowed, f"http://loopback.test:{public.port}/"))[0].body == b"inside"
        assert loopback.met == 1, "the server there is one that could have been reached"
        assert (await failure(fetch(allowed, f"http://metadata.test:{public.port}/")))[0] == "private address"
        assert (public.met, metadata.met) == (3, 0)


if __name__ == "__main__":
    asyncio.run(main())
