"""What a template is started with."""

import os
from pathlib import Path

from kernel.launcher import _legible


def test_names_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A template that waited for them, or ended over them, would be no template."""
    file, folder, pipe = (tmp_path / name for name in ("file", "folder", "pipe"))
    file.touch()
    folder.mkdir()
    os.mkfifo(pipe)
    assert _legible(str(file)) == str(file)
    assert [_legible(str(path)) for path in (folder, pipe, tmp_path / "absent")] == [os.devnull] * 3
