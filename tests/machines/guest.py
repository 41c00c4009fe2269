"""A guest that does one thing and is gone: a machine of a stock's, on which a script runs beside this tree (acts).

    done = run(stock, "python3 -m pytest tests/attacks", folder=tmp_path, within=1800)

The stock's disk is only read: what the guest writes there goes with it. The script and the tree lie on a second disk, the
guest's /trial, whose folder `told` this side reads when the guest has ended. No network, no other device.

Everything is emulated, ten times slower and more, and other tests' work makes it slower still. So the guest's clock goes by
the instructions that it executes: what it measures is the same on every machine, and so is whether it is on time. For that
it has one processor; several would only take turns.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from kernel.digests import PACKAGES
from tests.living import ROOT
from tests.machines.kinds import Kind
from tests.machines.stock import compile_all, image

MEMORY: Final = "3G"
_ROOM: Final = 256 << 20

_PREPARE: Final = """mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
busybox ip link set lo up
busybox hostname guest
{groups}
"""

_WORK: Final = """#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 PYTHONPATH=/trial/maniple
{prepare}cd /trial/maniple
busybox sh -e /trial/script </dev/null >/dev/console 2>&1
echo $? >/trial/told/end
sync
busybox poweroff -f
"""
"""Process 1, or a service of systemd's, which has prepared everything itself."""

_SYSTEMD: Final = """#!/bin/busybox sh
cd /etc/systemd/system
busybox mkdir -p multi-user.target.wants
busybox printf '[Service]\\nExecStart=/trial/work\\n' >trial.service
busybox ln -s ../trial.service multi-user.target.wants/
exec /usr/lib/systemd/systemd
"""

GROUPS: Final = {
    1: "mount -t tmpfs -o mode=755 groups /sys/fs/cgroup\n"
    "for one in memory pids; do mkdir /sys/fs/cgroup/$one; mount -t cgroup -o $one $one /sys/fs/cgroup/$one; done",
    2: "mount -t cgroup2 groups /sys/fs/cgroup",
}
"""Control groups as a system lays them out, by their version."""


class Done(NamedTuple):
    """end: how the script ended, None if it did not. console: all that was said. told: where its files of /trial/told are."""

    end: int | None
    console: str
    told: Path


def run(kind: Kind, stock: Path, script: str, *, folder: Path, within: float, groups: int = 2) -> Done:
    """Boot a guest of this stock, let it run the script (sh -e, as root, in Maniple's tree), and wait for its end.

    folder: an empty one, for the disk and what was said. within: seconds, then the guest is ended.
    """
    disk, console = folder / "trial", folder / "console"
    image(_trial(kind, script, groups, folder / "source"), disk, _ROOM)
    try:
        subprocess.run(_emulator(kind, stock, disk, console), stdin=subprocess.DEVNULL, check=True, timeout=within)
    except subprocess.TimeoutExpired:
        pass  # the console shows how far it came
    told = folder / "told"
    subprocess.run(["debugfs", "-R", f"rdump told {folder}", disk], check=True, capture_output=True)
    end = told / "end"
    said = console.read_text(errors="replace") if console.exists() else ""
    return Done(int(end.read_text()) if end.exists() else None, said, told)


def _emulator(kind: Kind, stock: Path, disk: Path, console: Path) -> list[str]:
    """The command. Nothing is kept if this machine stops, and what an instruction takes is a nanosecond of the guest's."""
    options = "format=raw,if=virtio,cache=unsafe"
    return [
        kind.emulator, *kind.hardware, "-accel", "tcg", "-icount", "shift=0", "-m", MEMORY,
        "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot",
        "-drive", f"file={stock / 'disk'},{options},snapshot=on", "-drive", f"file={disk},{options}",
        "-kernel", str(stock / "linux"), "-initrd", str(stock / "first"),
        "-append", f"console={kind.console} quiet panic=-1", "-serial", f"file:{console}",
    ]  # fmt: skip


def _trial(kind: Kind, script: str, groups: int, source: Path) -> Path:
    """What the second disk holds: this tree as it stands, the script, what begins it, and a folder for what it tells."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for path in filter(None, listing.split("\0")):
        if (ROOT / path).is_file():
            (source / "maniple" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, source / "maniple" / path)
    for package in (*PACKAGES, "tests"):  # no Hand: nothing may lie in its folder that is not sealed
        compile_all(source / "maniple" / package, source, "/trial")
    (source / "told").mkdir()
    (source / "script").write_text(script)
    work = _WORK.format(prepare="" if kind.systemd else _PREPARE.format(groups=GROUPS[groups]))
    for name, text in {"work": work, "begin": _SYSTEMD if kind.systemd else work}.items():
        (source / name).write_text(text)
        (source / name).chmod(0o755)
    return source
