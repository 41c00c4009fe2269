"""What a template is started with, and a run's own folders."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kernel import descriptors
from kernel.home import Home
from kernel.launcher import Launcher, _readable_or_null
from kernel.loop import Loop
from wire.launch import Go, decode


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


def test_the_code_of_a_hand_begins_when_its_run_is_in_its_control_group_and_not_before() -> None:
    """In a test with real processes it would be in time nearly always."""
    launcher = Launcher.__new__(Launcher)
    launcher._loop = Loop()
    kernels, runs = descriptors.pair()
    run: Any = SimpleNamespace(launch_socket=kernels, applied=("cgroup",), is_grouped=False)
    with runs:
        launcher._release_when_confined(run)
        assert run.launch_socket is kernels
        run.is_grouped = True
        launcher._release_when_confined(run)
        assert isinstance(decode(descriptors.receive(runs)[0]), Go)
