"""A small disk of its own for a process (acts): mounted where only that process sees it, so that it can run full.

    on_small_disk(tmp_path, "ext4", "tests.kernel.full_disk", "whole_way")

runs `python -m tests.kernel.full_disk whole_way DISK` in a mount namespace of its own, which takes the mount with it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WITHIN = 240
"""Seconds that such a process may take."""

NOT_MOUNTED = 77
"""How a process ends on a machine that does not mount what it needs."""

SYSTEMS = {
    "tmpfs": 'mount -t tmpfs -o size=64m,mode=700 none "$1"',
    "ext4": 'truncate -s 64M "$1.img" && mkfs.ext4 -q -F "$1.img" && mount -o loop "$1.img" "$1"',
}
"""File systems, and the command that mounts an empty one of 64 MiB on $1."""


def on_small_disk(folder: Path, system: str, module: str, *arguments: str) -> None:
    """Run a module with arguments and a small disk below the folder; fails with its words unless it ends with 0.

    Skips where nothing can be mounted.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting a small disk needs root and unshare")
    disk = folder / "disk"
    disk.mkdir(mode=0o700)
    script = f'{{ {SYSTEMS[system]}; }} || exit {NOT_MOUNTED}; chmod 700 "$1"; shift; exec "$@"'
    words = [sys.executable, "-m", module, *arguments, str(disk)]
    mounted(["unshare", "-m", "sh", "-c", script, "sh", str(disk), *words], f"mounts no {system}", within=WITHIN)


def mounted(
    command: list[str], lacks: str, *, within: float, cwd: Path | None = None, env: dict[str, str] | None = None
) -> str:
    """What a command says on stdout that mounts something for itself, in so many seconds; it has to end well.

    lacks: what a machine does on which it ends with NOT_MOUNTED; it skips there.
    """
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within, check=False
    )
    if done.returncode == NOT_MOUNTED or done.stderr.startswith("unshare: "):
        pytest.skip(f"this machine {lacks}: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


def fill(disk: Path) -> Path:
    """Take every byte that is left, in ever smaller pieces; the file that holds them, to remove for space again."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"\1" * size)
            except OSError:
                size //= 2
    return filler
