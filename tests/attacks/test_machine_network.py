"""A service on the machine's network may connect by TCP and UDP, and has no other way out of its process for that."""

import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Final

import pytest

from kernel.cli.exits import NotDone
from tests.attacks import prey as machine
from tests.attacks.all import ATTACKS
from tests.attacks.arena import Arena, open_arena
from tests.attacks.attack import Given
from tests.attacks.puppet import MAIN, puppet
from tests.living import Source, install
from tests.rights import IS_WHOLE_ROOT
from tests.system.fates import call
from wire.codec import Value

REFUSED: Final = {
    "ask_netlink": "PermissionError 1",
    "connect_abstract_socket": "PermissionError 1",
    "connect_engine_socket": "PermissionError 1",
    "connect_open_socket": "PermissionError 1",
    "listen_tcp": "PermissionError 1",
    "listen_to_packets": "PermissionError 1",
    "open_vsock": "PermissionError 1",
    "ping": "PermissionError 1",
    "run_program": "PermissionError 1",
    "read_operator_key": "FileNotFoundError 2",
    "read_passwd": "PermissionError 13",
    "send_raw": "PermissionError 1",
    "type_into_terminal": "PermissionError 13",
}

BUS: Final = """
import array
import contextlib
import os
import socket
import stat
import struct

def bus():
    for number in range(3, 32):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                link = socket.socket(fileno=os.dup(number))
                if link.family == socket.AF_UNIX and link.getpeername():
                    return link

def send(link, descriptor):
    link.sendmsg([bytes(1)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
"""
"""Finds the connection to the kernel, and sends descriptors over it."""

SEND_ANY: Final = (
    BUS
    + """
def attack(hand, given):
    send(bus(), 0)
"""
)

SLOW_TO_CLOSE: Final = (
    BUS
    + """
def connection(port):
    deaf = socket.socket()
    deaf.connect(("127.0.0.1", port))
    deaf.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            deaf.send(bytes(1 << 16))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1))
    return deaf

def attack(hand, given):
    link = bus()
    for _ in range(2):  # the kernel may read so quickly that the last to close it is this process
        deaf = connection(int(given["deaf"]))
        send(link, deaf.fileno())
        deaf.close()
    link.send(bytes(99))
"""
)
"""Sends the kernel, over the bus, connections whose closing waits for a second each, since their other end does not read."""


def _online(layers: Iterable[str] = ()) -> Source:
    """A puppet that is a service, with the machine's network, and lacks these layers under a weakened kernel."""
    source = puppet("online", layers, {})
    provides = '[provides."online.act"]\nsummary = "Do it"\nresource = "none"\neffect = "read"\n'
    provides += 'params = { code = "string", given = "dict" }\n[confinement]\nnetwork = "host"\n'
    toml = source.toml.replace('kind = "task"', 'kind = "service"') + provides
    return Source(toml, MAIN.replace("run(self, code", "act(self, call, code"))


def _can_refuse_descriptors() -> bool:
    with socket.socket(socket.AF_UNIX) as one, suppress(OSError):
        return one.getsockopt(socket.SOL_SOCKET, 83) == 1
    return False


@pytest.fixture(scope="module")
def prey() -> Iterator[Given]:
    with machine.set_up_prey() as found:
        yield found


@pytest.fixture(scope="module")
def arena(prey: Given) -> Iterator[Arena]:
    with tempfile.TemporaryDirectory() as place, open_arena(Path(place, "arena"), prey) as arena:
        install(arena.kernel, _online())
        yield arena


def _met(code: str, arena: Arena) -> dict[str, Value]:
    met = call(arena.kernel, "online.act", "", {"code": code, "given": arena.given()})
    assert isinstance(met, dict)
    return met


@pytest.mark.parametrize("name", ["connect_tcp", "send_udp"])
def test_what_it_was_given_the_network_for_works(name: str, arena: Arena) -> None:
    assert ATTACKS[name].got(_met(ATTACKS[name].code, arena).get("got"), arena.given())


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_is_refused(name: str, arena: Arena) -> None:
    met = _met(ATTACKS[name].code, arena)
    assert met.get("refused") == REFUSED[name], met
    arena.check_unharmed()


def test_no_connection_is_sent_to_the_kernel_that_is_slow_to_close(arena: Arena) -> None:
    assert _met(SLOW_TO_CLOSE, arena).get("refused") == "PermissionError 1"


@pytest.mark.skipif(not _can_refuse_descriptors(), reason="Linux can refuse descriptors since 6.16 (SO_PASSRIGHTS)")
def test_no_descriptor_reaches_the_kernel(arena: Arena) -> None:
    """Such as of a file in ten thousand pieces, which whoever is the last to close it frees."""
    assert _met(SEND_ANY, arena).get("refused") == "PermissionError 1"
    arena.check_unharmed()


@pytest.mark.wide
@pytest.mark.skipif(not IS_WHOLE_ROOT, reason="only root's weakened kernel makes runs without layers")
def test_without_the_layers_that_stop_it_such_a_connection_holds_up_everybody(prey: Given, tmp_path: Path) -> None:
    with (
        open_arena(tmp_path / "arena", prey, frozenset({"no-descriptors-sent"})) as arena,
        arena.kernel.client() as client,
    ):
        install(arena.kernel, _online(["seccomp"]))
        longest, began = 0.0, time.monotonic()
        attack = Thread(target=_break_link, args=(arena,))
        attack.start()
        while attack.is_alive():
            began = time.monotonic()
            client.call("neighbour.say", "", {"text": "still here"})
            longest = max(longest, time.monotonic() - began)
        attack.join()
    assert longest > 0.8


def _break_link(arena: Arena) -> None:
    """Send such a connection; its run loses its link by it."""
    with suppress(NotDone):
        _met(SLOW_TO_CLOSE, arena)
