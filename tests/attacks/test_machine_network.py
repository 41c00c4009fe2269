"""A service on the machine's network may connect by TCP and UDP, and has no other way out of its process for that."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.attacks import prey as machine
from tests.attacks.all import ATTACKS
from tests.attacks.arena import Arena, open_arena
from tests.attacks.puppet import MAIN, puppet
from tests.living import Source, install
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


def _online() -> Source:
    """A puppet that is a service, with the machine's network."""
    source = puppet("online", (), {})
    provides = '[provides."online.act"]\nsummary = "Do it"\nresource = "none"\neffect = "read"\n'
    provides += 'params = { code = "string", given = "dict" }\n[confinement]\nnetwork = "host"\n'
    toml = source.toml.replace('kind = "task"', 'kind = "service"') + provides
    return Source(toml, MAIN.replace("run(self, code", "act(self, call, code"))


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with (
        tempfile.TemporaryDirectory() as place,
        machine.set_up_prey() as prey,
        open_arena(Path(place, "arena"), prey) as arena,
    ):
        install(arena.kernel, _online())
        yield arena


def _met(name: str, arena: Arena) -> dict[str, Value]:
    met = call(arena.kernel, "online.act", "", {"code": ATTACKS[name].code, "given": arena.given()})
    assert isinstance(met, dict)
    return met


@pytest.mark.parametrize("name", ["connect_tcp", "send_udp"])
def test_what_it_was_given_the_network_for_works(name: str, arena: Arena) -> None:
    assert ATTACKS[name].got(_met(name, arena).get("got"), arena.given())


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_is_refused(name: str, arena: Arena) -> None:
    met = _met(name, arena)
    assert met.get("refused") == REFUSED[name], met
    arena.check_unharmed()
