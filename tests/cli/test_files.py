"""The methods of `files` over the bus, in the process that the kernel confines, and one cannot be had by way of another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell


@pytest.fixture(scope="module")
def notes(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root with a file; the home is not this file's alone, so the root is taken back."""
    folder = tmp_path_factory.mktemp("notes")
    folder.chmod(0o777)
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "a.txt").chmod(0o666)
    shell.good("roots", "add", "notes", folder)
    yield folder
    shell.good("roots", "remove", "notes")


def test_a_file_is_searched_changed_moved_deleted_and_taken_back(shell: Shell, notes: Path) -> None:
    assert '"line": 2' in shell.good("call", "files.grep", "notes", "pattern=^t\\w+$", "names=*.txt")
    assert "a.txt" in shell.good("call", "files.glob", "notes", "pattern=**")
    shell.good("call", "files.edit", "notes/a.txt", "old=two", "new=zwei")
    diff = "@@ -1,2 +1,2 @@\n-one\n+eins\n zwei\n"
    shell.good("call", "files.patch", "notes/a.txt", f"diff={diff}")
    assert (notes / "a.txt").read_text() == "eins\nzwei\nthree\n"
    shell.good("call", "files.make-folder", "notes/deep/er")
    shell.good("call", "files.move", "notes", "source=a.txt", "target=deep/er/b.txt")
    shell.good("call", "files.delete", "notes/deep/er/b.txt")
    assert "notes/deep/er/b.txt" in shell.good("call", "files.bin", "notes")
    shell.good("call", "files.restore", "notes/deep/er/b.txt")
    assert (notes / "deep/er/b.txt").read_text() == "eins\nzwei\nthree\n"


@pytest.mark.parametrize("resource", ["notes/../secret", "/etc/passwd", "notes//a", "notes/.maniple-bin", "other/a"])
def test_what_leads_out_is_refused_or_fails(shell: Shell, notes: Path, resource: str) -> None:
    for words in (
        ("files.grep", "pattern=x"),
        ("files.edit", "old=a", "new=b"),
        ("files.restore",),
        ("files.make-folder",),
    ):
        assert shell.run("call", words[0], resource, *words[1:]).code != 0
