"""Version 1 of the protocol's official package, both ways, where it is on the machine (docs/peers.md)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.cli.clients import LAB, TALK_S
from tests.cli.older import CLIENT, SERVER
from tests.cli.shell import MANIPLE, Shell
from tests.living import write_hand

PACKAGES: Final = os.environ.get("MANIPLE_MCP1", "")

pytestmark = pytest.mark.skipif(not PACKAGES, reason="mcp 1.x is not here: docs/peers.md says how to get it")


@pytest.fixture(scope="module")
def older(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home with a door `older`."""
    shell.good("install", write_hand(tmp_path_factory.mktemp("lab") / "lab", LAB), "--yes")
    shell.good("mcp", "offer", "older", "echo.say", "lab.count", "lab.wait=a", "--yes")
    yield shell
    shell.good("remove", "door-older", "--purge", "--yes")
    shell.good("remove", "lab", "--purge", "--yes")


def _seen(shell: Shell, *words: str) -> object:
    command = [sys.executable, "-I", "-c", CLIENT, PACKAGES, *words]
    done = subprocess.run(command, capture_output=True, timeout=TALK_S, env=shell.environment(), check=True)
    return json.loads(done.stdout)


SEEN: Final = {
    "protocol": "2025-11-25",
    "tools": ["echo_say", "lab_count", "lab_wait"],
    "said": {"text": "Grüße"},
    "counted": ["line 0\nline 1\n", '{"lines":2}'],
    "heard": [7.0, 14.0],
    "wrong": True,
}


def test_an_older_client_is_served_on_standard_streams(older: Shell) -> None:
    assert _seen(older, "stdio", *MANIPLE, "mcp", "serve", "older") == SEEN


def test_an_older_client_is_served_over_http(older: Shell) -> None:
    serving = older.begin("mcp", "serve", "older", "--port", "0", "--json")
    assert serving.stdout is not None
    try:
        told = json.loads(b"".join(iter(serving.stdout.readline, b"}\n")) + b"}")
        assert _seen(older, "http", told["url"], Path(told["token_file"]).read_text().strip()) == SEEN
    finally:
        serving.terminate()
        serving.communicate()


def test_an_older_server_is_a_hand(older: Shell, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.py").write_text(SERVER)
    command = ("--", "python3", "server.py", PACKAGES)
    ran = older.run("mcp", "add", "older", "--files", tmp_path / "server", "--code", PACKAGES, "--yes", *command)
    assert ran.code == 0, ran.err
    assert older.result("call", "mcp-older.add", "a=3", "b=4")["value"] == {"text": "7", "structured": {"result": 7}}
    older.good("mcp", "remove", "older")
