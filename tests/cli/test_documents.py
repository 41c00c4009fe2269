"""Documents are read by a walled-in process of their own, for those who may read the file, and traps end it in good time."""

import io
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.hands.documents.test_documents import PAGE, docx, pdf, xlsx
from tests.hands.doubles import HANDS
from tests.living import Source, write_hand
from tests.spread import spread

READER = Source(
    """
[hand]
name = "reader"
version = "1.0.0"
description = "Reads a document."
entry = "main:Reader"
kind = "task"
autonomy = "full"

[capabilities]
"documents.text" = ["*"]
"files.read" = ["papers/open/**"]
""",
    """
from runtime import CallFailed, Hand


class Reader(Hand):
    async def run(self, path: str) -> object:
        try:
            reply = await self.kernel.call("documents.text", path)
        except CallFailed as failed:
            return failed.code
        return [reply.value["text"], list(reply.labels)]
""",
)


@pytest.fixture(scope="module")
def papers(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a document of each kind, and traps."""
    folder = tmp_path_factory.mktemp("papers")
    for name, raw in (
        ("a.pdf", pdf("Hello", "a    b", "c    d")),
        ("a.docx", docx()),
        ("a.xlsx", xlsx()),
        ("a.html", PAGE),
    ):
        (folder / name).write_bytes(raw)
    for name in ("open", "closed"):
        (folder / name).mkdir()
        (folder / name / "a.html").write_bytes(PAGE)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("word/document.xml", b"\0" * (64 << 20))
    (folder / "bomb.docx").write_bytes(out.getvalue())
    shell.good("roots", "add", "papers", folder)
    return folder


@pytest.mark.parametrize(
    ("name", "part"), spread([("a.pdf", "Hello"), ("a.docx", "Wörter"), ("a.xlsx", "Sales"), ("a.html", "two")], 2)
)
def test_each_kind_is_read_over_the_bus(shell: Shell, papers: Path, name: str, part: str) -> None:
    assert part in str(shell.result("call", "documents.text", f"papers/{name}"))
    assert shell.result("call", "documents.tables", f"papers/{name}")


def test_a_bomb_is_told_by_name(shell: Shell, papers: Path) -> None:
    ran = shell.run("call", "documents.text", "papers/bomb.docx")
    assert (ran.code, "papers/bomb.docx: 'word/document.xml' in it would unpack to" in ran.err) == (1, True)


def test_a_document_is_read_in_its_callers_name(shell: Shell, papers: Path, tmp_path: Path) -> None:
    shell.good("install", write_hand(tmp_path / "reader", READER), "--yes")
    assert "two three" in shell.good("start", "reader", "path=papers/open/a.html", "--wait")
    refused = shell.run("start", "reader", "path=papers/closed/a.html", "--wait")
    assert "two three" not in refused.out
    assert "refused" in refused.out


@pytest.mark.parametrize(
    ("version", "limits", "raw", "code"),
    [
        pytest.param(1, {"cpu": "1s"}, b"<p>word<b>s</b>" * 300_000, "too long", marks=pytest.mark.wide),
        (2, {"cpu": "1s"}, b"<p " + b"".join(b"a%d=1 " % at for at in range(200_000)) + b">", "too long"),
        pytest.param(3, {"memory": "160MiB"}, b"<p>word<b>s</b>" * 700_000, "too large", marks=pytest.mark.wide),
    ],
    ids=["many steps", "one step", "memory"],
)
def test_what_takes_too_much_is_told_before_its_process_is_ended(
    shell: Shell, papers: Path, tmp_path: Path, version: int, limits: dict[str, str], raw: bytes, code: str
) -> None:
    """With limits that a test has the time for."""
    folder = tmp_path / "documents"
    shutil.copytree(HANDS / "documents", folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "HAND.toml").read_text()
    for name, value in limits.items():
        text = re.sub(rf'(?m)^{name} = "[^"]*"', f'{name} = "{value}"', text)
    (folder / "HAND.toml").write_text(text.replace('version = "1.0.0"', f'version = "1.0.{version}"'))
    shell.good("install", folder, "--yes")
    (papers / "long.html").write_bytes(b"<html>" + raw)
    ran = shell.run("call", "documents.text", "papers/long.html", "offset=100000000")
    assert (ran.code, f"({code})" in ran.err) == (1, True), ran
