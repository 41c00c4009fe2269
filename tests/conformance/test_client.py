"""Hands of MCP servers under the official conformance suite, which is the server here.

Left out is what they do not do: OAuth (`auth/…`).
"""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import suite
from tests.living import ROOT, Kernel, install, make_home

CLIENT = Path(__file__).parent / "client.py"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose `web` may connect to loopback."""
    suite.command()
    home = make_home(tmp_path_factory.mktemp("conformance") / "home")
    with Kernel(home) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "web")
        install(kernel, ROOT / "hands" / "ask")
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8", "localhost"]}})
        yield home


@pytest.mark.parametrize(
    ("revision", "scenario"),
    [
        ("2025-11-25", "initialize"),
        ("2025-11-25", "tools_call"),
        ("2025-11-25", "elicitation-sep1034-client-defaults"),
        ("2025-11-25", "sse-retry"),
        ("2026-07-28", "tools_call"),
        ("2026-07-28", "request-metadata"),
        ("2026-07-28", "sep-2322-client-request-state"),
        ("2026-07-28", "http-standard-headers"),
        ("2026-07-28", "http-custom-headers"),
        ("2026-07-28", "http-invalid-tool-headers"),
        ("2026-07-28", "json-schema-ref-no-deref"),
    ],
)
def test_what_a_revision_requires_of_a_client_that_we_are(
    home: Path, revision: str, scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MANIPLE_HOME", str(home))
    command = shlex.join([sys.executable, str(CLIENT)])
    words = ("client", "--command", command, "--spec-version", revision, "--scenario", scenario)
    said = suite.run(*words, "--timeout", "60000", folder=tmp_path)
    assert said.code == 0, said.words
    assert "OVERALL: PASSED" in said.words
