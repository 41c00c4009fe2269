"""A real small disk runs full: effects stop, reads go on within the reserve; space returns, and nothing is lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MOUNT = {
    "tmpfs": 'mount -t tmpfs -o size=64m,mode=700 none "$1"',
    "ext4": 'truncate -s 64M "$1.img" && mkfs.ext4 -q -F "$1.img" && mount -o loop "$1.img" "$1"',
}


@pytest.mark.parametrize("scenario", ["whole_way", "at_speed", "restarts", "starts_full"])
@pytest.mark.parametrize("system", MOUNT)
def test_a_full_disk_stops_effects_and_loses_nothing(tmp_path: Path, system: str, scenario: str) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting a small disk needs root and unshare")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = f'{MOUNT[system]} || exit 77; shift; exec "$@"'
    run = [sys.executable, "-m", "tests.kernel.full_disk", scenario, str(disk)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, "sh", str(disk), *run],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(f"this machine mounts no {system}: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
