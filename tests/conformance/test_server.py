"""`maniple mcp serve` under the official conformance suite, each revision's requirements at that revision's wire."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.conformance import suite
from tests.conformance.relay import relayed
from tests.living import Kernel, install, make_home

DOOR = Path(__file__).parent / "door"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the suite reaches a door whose fixtures are the suite's."""
    suite.command()
    home = make_home(tmp_path_factory.mktemp("conformance") / "home")
    with Kernel(home) as kernel:
        install(kernel, DOOR)
        serving = Shell(home).begin("mcp", "serve", "conformance", "--port", "0", "--json")
        try:
            assert serving.stdout is not None
            told = json.loads(b"".join(iter(serving.stdout.readline, b"}\n")) + b"}")
            with relayed(told["url"], Path(told["token_file"]).read_text().strip()) as reached:
                yield reached
        finally:
            serving.terminate()
            serving.communicate()


@pytest.mark.parametrize(("revision", "scenarios"), [("2025-11-25", 30), ("2026-07-28", 37)])
def test_nothing_that_a_revision_requires_of_a_server_fails(
    url: str, revision: str, scenarios: int, tmp_path: Path
) -> None:
    said = suite.run("server", "--url", url, "--requirements", revision, folder=tmp_path)
    assert said.failed == (), said.words
    assert (said.code, len(said.passed)) == (0, scenarios)
