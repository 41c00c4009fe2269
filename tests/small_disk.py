"""Runs a process with a small disk of its own (acts), mounted where only that process sees it, so that it can be filled.

    on_small_disk(tmp_path, "ext4", "tests.kernel.full_disk", "whole_way")

runs `python -m tests.kernel.full_disk whole_way DISK` in a mount namespace of its own, which takes the mount with it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from kernel.process import confine

DISK_S = 240
"""Time limit of such a process in seconds."""

NOT_MOUNTED = 77
"""Exit code of a process on a machine that cannot mount what it needs."""

SYSTEMS = {
    "tmpfs": 'mount -t tmpfs -o size=64m,mode=700 none "$1"',
    "ext4": 'truncate -s 64M "$1.img" && mkfs.ext4 -q -F "$1.img" && mount -o loop "$1.img" "$1"',
}
"""The shell command for each file system that mounts an empty one of 64 MiB on $1."""


def on_small_disk(folder: Path, system: str, module: str, *arguments: str) -> None:
    """Run a module with the path of a small disk as its last argument. Fails with its output unless it exits with 0.

    Skips if this machine cannot mount it.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting a small disk needs root and unshare")
    disk = folder / "disk"
    disk.mkdir(mode=0o700)
    script = f'{{ {SYSTEMS[system]}; }} || exit {NOT_MOUNTED}; chmod 700 "$1"; shift; exec "$@"'
    words = [sys.executable, "-m", module, *arguments, str(disk)]
    run_with_mounts(
        ["unshare", "-m", "sh", "-c", script, "sh", str(disk), *words], f"mounts no {system}", within=DISK_S
    )


def run_with_mounts(
    command: list[str], lacks: str, *, within: float, cwd: Path | None = None, env: dict[str, str] | None = None
) -> str:
    """Run a command that mounts something itself; returns its stdout. Fails unless it exits with 0 within `within` seconds.

    Whatever it leaves behind, such as a kernel, is ended. lacks: the reason to skip if it exits with NOT_MOUNTED, as in
    "mounts no ext4".
    """
    with _end_what_is_left():
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within,
            check=False,
        )  # fmt: skip
    if done.returncode == NOT_MOUNTED or done.stderr.startswith("unshare: "):
        pytest.skip(f"this machine {lacks}: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


@contextmanager
def _end_what_is_left() -> Iterator[None]:
    """Kill the processes that were started in the block and go on after it."""
    this = psutil.Process()
    before = this.children()
    confine.control(confine.ADOPT_ORPHANS)
    try:
        yield
    finally:
        left = [
            one for child in this.children() if child not in before for one in (child, *child.children(recursive=True))
        ]
        for one in left:
            with suppress(psutil.NoSuchProcess):  # it ended with another
                one.kill()
        psutil.wait_procs(left)
        confine.control((confine.ADOPT_ORPHANS[0], 0))


def fill(disk: Path) -> Path:
    """Fill the disk to the last byte, in ever smaller pieces; returns the file to remove to get space again."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"\1" * size)
            except OSError:
                size //= 2
    return filler
