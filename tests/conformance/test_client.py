"""Hands of MCP servers under the official conformance suite, which is the server here: all that it requires of a client."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import suite
from tests.living import ROOT, install
from tests.system.mcp_servers import reaching_here

CLIENT = Path(__file__).parent / "client.py"


def _names(text: str) -> list[str]:
    return text.split()


BOTH = _names("""
    auth/metadata-default auth/metadata-var1 auth/metadata-var2 auth/metadata-var3 auth/basic-cimd
    auth/scope-from-www-authenticate auth/scope-from-scopes-supported auth/scope-omitted-when-undefined
    auth/scope-step-up auth/scope-retry-limit auth/token-endpoint-auth-basic auth/token-endpoint-auth-post
    auth/token-endpoint-auth-none auth/pre-registration tools_call
""")
SCORED = {
    "2025-11-25": [*BOTH, *_names("initialize elicitation-sep1034-client-defaults sse-retry")],
    "2026-07-28": [
        *BOTH,
        *_names("""
            request-metadata sep-2322-client-request-state http-standard-headers http-custom-headers
            http-invalid-tool-headers json-schema-ref-no-deref auth/resource-mismatch auth/offline-access-scope
            auth/offline-access-not-supported auth/authorization-server-migration auth/iss-supported
            auth/iss-not-advertised auth/iss-supported-missing auth/iss-wrong-issuer auth/iss-unexpected
            auth/iss-normalized auth/metadata-issuer-mismatch
        """),
    ],
}
ALONE = ("auth/client-credentials-basic", "auth/client-credentials-jwt")
"""Of an extension, and so not scored."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose `web` may connect to loopback."""
    suite.command()
    with reaching_here(tmp_path_factory.mktemp("conformance") / "home") as kernel:
        install(kernel, ROOT / "hands" / "ask")
        yield kernel.home


@pytest.mark.parametrize("revision", list(SCORED))
def test_no_scenario_that_is_scored_is_left_out(revision: str) -> None:
    folder = Path(suite.command()[1]).parents[1] / "requirements"
    text = (folder / f"{revision}.yaml").read_text()
    wanted = re.findall(r"^  - (\S+)$", text.partition("\nclient:")[2].partition("\nnot_scored:")[0], re.MULTILINE)
    assert wanted
    assert sorted(wanted) == sorted(SCORED[revision])


@pytest.mark.parametrize(
    ("revision", "scenario"), [(revision, scenario) for revision, rows in SCORED.items() for scenario in rows]
)
def test_what_a_revision_requires_of_a_client_that_we_are(
    home: Path, revision: str, scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MANIPLE_HOME", str(home))
    passes(tmp_path, "--spec-version", revision, "--scenario", scenario)


@pytest.mark.parametrize("scenario", ALONE)
def test_a_client_that_logs_in_without_a_person(
    home: Path, scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MANIPLE_HOME", str(home))
    passes(tmp_path, "--scenario", scenario)


def passes(folder: Path, *words: str) -> None:
    """The suite finds nothing wrong with our client, nor to warn of."""
    command = shlex.join([sys.executable, str(CLIENT)])
    said = suite.run("client", "--command", command, *words, "--timeout", "90000", folder=folder)
    assert said.code == 0, said.words
    assert "OVERALL: PASSED" in said.words
    assert re.search(r"Passed: (\d+)/\1, 0 failed, 0 warnings", said.words), said.words
