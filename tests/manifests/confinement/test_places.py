"""What of the system is shown to runs holds none of the places where systems keep secrets."""

import pytest

from manifests.confinement import places
from manifests.schema import CERTIFICATES

SHOWN = {*places.SYSTEM, *places.ONLINE, *places.PROGRAMS, *places.TOOLS}


def _is_shown(path: str) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in SHOWN)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/ssl/private/server.key", "/etc/pki/tls/private/server.key", "/etc/pki/entitlement/1-key.pem",
        "/etc/pki/consumer/key.pem", "/etc/pki/nssdb/key4.db", "/etc/shadow", "/etc/passwd", "/etc/ssh/ssh_host_key",
        "/etc/letsencrypt/live/key.pem", "/root", "/home", "/var/lib/secrets", "/proc/1/environ",
    ],
)  # fmt: skip
def test_no_secret_of_the_system_lies_in_what_runs_are_shown(path: str) -> None:
    """An ordinary user may be in the group of those who read the private keys of servers, and his runs with him."""
    assert not _is_shown(path)


@pytest.mark.parametrize("path", CERTIFICATES)
def test_the_certificates_that_systems_trust_are_shown(path: str) -> None:
    assert path in places.ONLINE or any(path.startswith(f"{one}/") for one in places.ONLINE)
    assert path in places.TOOLS or any(path.startswith(f"{one}/") for one in places.TOOLS)


def test_every_path_is_whole() -> None:
    assert all(path.startswith("/") and not path.endswith("/") and ".." not in path for path in SHOWN)
