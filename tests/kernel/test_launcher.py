"""What a template is started with, and a run's own folders."""

import os
from pathlib import Path

from kernel.home import Home
from kernel.launcher import Launcher, _readable_or_null


def test_names_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A template that waited for them, or ended over them, would be no template."""
    file, folder, pipe = (tmp_path / name for name in ("file", "folder", "pipe"))
    file.touch()
    folder.mkdir()
    os.mkfifo(pipe)
    assert _readable_or_null(str(file)) == str(file)
    assert [_readable_or_null(str(path)) for path in (folder, pipe, tmp_path / "absent")] == [os.devnull] * 3


def test_the_kernel_leaves_a_folder_that_is_lent_as_it_is(tmp_path: Path) -> None:
    """To change its mode could take seconds: the lender may be removing a file in it, in ten thousand pieces."""
    launcher = Launcher.__new__(Launcher)
    launcher._home = Home.__new__(Home)
    launcher._home.path = str(tmp_path)
    (tmp_path / "scratch" / "r-1").mkdir(0o710, parents=True)
    path = launcher._own_folder("scratch", "r-1", None)
    assert os.stat(path).st_mode & 0o777 == 0o710
