"""What a template is started with."""

import os
from pathlib import Path

from kernel.launcher import _readable_or_null


def test_names_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A template that waited for them, or ended over them, would be no template."""
    file, folder, pipe = (tmp_path / name for name in ("file", "folder", "pipe"))
    file.touch()
    folder.mkdir()
    os.mkfifo(pipe)
    assert _readable_or_null(str(file)) == str(file)
    assert [_readable_or_null(str(path)) for path in (folder, pipe, tmp_path / "absent")] == [os.devnull] * 3
