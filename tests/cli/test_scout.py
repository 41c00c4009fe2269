"""The worked example of docs/python.md, as its README has people type it."""

import http.server
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests.check import check
from tests.cli.shell import Shell
from tests.living import ROOT
from tests.system.fates import until

EXAMPLE = ROOT / "docs" / "examples" / "scout"


class _Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.page.encode())  # type: ignore[attr-defined]

    def log_message(self, *args: object) -> None:
        pass


class Site(http.server.ThreadingHTTPServer):
    """A site of one page, and how often that was asked for."""

    page = "Price: 42"
    asked = 0


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(("127.0.0.1", 0), _Site) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_the_example_in_python_fetches_remembers_asks_and_writes_and_outlives_a_kill(
    shell: Shell, site: Site, tmp_path: Path
) -> None:
    port = str(site.server_address[1])
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "scout"))
    manifest = (folder / "HAND.toml").read_text().replace("8765", port)
    (folder / "HAND.toml").write_text(manifest)
    (tmp_path / "notes").mkdir()
    shell.good("roots", "add", "notes", tmp_path / "notes")
    shell.good("settings", "web", 'private=["127.0.0.1"]')
    shell.good("install", folder, "--yes")
    words = ("start", "scout", f"page=http://127.0.0.1:{port}/", "target=notes/price.txt")

    run = shell.good(*words).strip()
    (asked,) = until(lambda: _questions(shell, run), "the question")
    (row,) = [one for one in _rows(shell.result("ps")["runs"]) if one["run"] == run]
    os.kill(int(str(row["pid"])), signal.SIGKILL)
    shell.good("answer", str(asked["call"]), "yes")
    note = tmp_path / "notes" / "price.txt"
    until(note.exists, "the note")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d 42\n", note.read_text())
    assert site.asked == 1  # the process after the kill was told what the first had fetched
    assert json.loads(shell.good(*words, "--wait")) == {"price": "42", "noted": False}

    site.page = "Price: 43"
    run = shell.good(*words).strip()
    (asked,) = until(lambda: _questions(shell, run), "the question")
    assert asked["question"] == "The price is 43, and was 42. Note it?"
    shell.good("answer", str(asked["call"]), "no")
    site.page = "nothing"
    ran = shell.run(*words, "--wait")
    assert (ran.code, "tells no price" in ran.err, "42\n" in note.read_text()) == (1, True, True)


def _questions(shell: Shell, run: str) -> list[dict[str, object]]:
    return [one for one in _rows(shell.result("questions")["questions"]) if one["run"] == run]


def _rows(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def test_what_the_page_shows_of_the_examples_manifest_is_what_stands_there() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    shown, more = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    manifest = (EXAMPLE / "HAND.toml").read_text(encoding="utf-8")
    assert shown in manifest
    assert set(check(f"{manifest}\n{more}").settings) == {"patience", "token"}
