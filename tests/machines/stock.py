"""What guests are made of, built once: a disk with a Debian and Maniple's packages, its Linux, and what begins it (acts).

    python -m tests.machines aarch64 FOLDER

writes FOLDER/aarch64/{disk,linux,first,marker} in about a minute. Nothing of the guest's need be executed for it, so any
processor's guest can be made on any: packages are unpacked and not configured, and the few files that their scripts would
write are written here. Needs root (files keep their owners), and where packages of Debian and of Python come from, as apt
and pip are set up here.
"""

import compileall
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.attacks.expendable import PLACE
from tests.living import ROOT
from tests.machines.kinds import Kind

TOOLS: Final = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "debugfs": "e2fsprogs", "depmod": "kmod"}
"""Programs that the building needs, and the Debian package that has each."""

_PACKAGES: Final = (
    "python3", "busybox-static", "bash", "dash", "coreutils", "util-linux", "findutils", "grep", "sed", "gzip", "tar",
    "libstdc++6", "procps", "iproute2", "git", "e2fsprogs", "libc-bin", "ca-certificates", "tzdata", "netbase", "mount",
    "passwd", "mawk",
)  # fmt: skip
"""What a small server has, and what tests and Hands start."""

_SYSTEMD: Final = ("systemd-sysv", "dbus", "libpam-systemd")
"""What a guest has besides whose process 1 is systemd, with services for users."""

_MODULES: Final = ("virtio_pci", "virtio_blk", "ext4")
"""What the guest's Linux must load before it has a disk."""

_FILES: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nuser:*:19000:0:99999:7:::\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/hostname": "guest\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/resolv.conf": "",
}
_SYSTEMD_FILES: Final = {
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/pam.d/common-account": "account required pam_permit.so\n",
    "etc/pam.d/common-auth": "auth required pam_permit.so\n",
    "etc/pam.d/common-password": "password required pam_permit.so\n",
    "etc/pam.d/common-session": "session required pam_permit.so\n",
    "etc/pam.d/common-session-noninteractive": "session required pam_permit.so\n",
}
_REQUIREMENTS: Final = ("dev.txt", "embed.txt")
_ROOM: Final = 3 << 30
"""Bytes of the disk that are left for what tests write; the file is sparse."""

FIRST: Final = """#!/bin/busybox sh
busybox=/bin/busybox
for module in $($busybox ls /modules); do $busybox insmod /modules/$module; done
$busybox mount -t devtmpfs none /dev
$busybox mount -t ext4 /dev/vda /disk
$busybox mount -t ext4 /dev/vdb /disk/trial
exec $busybox switch_root /disk /trial/begin
"""
"""Process 1 of the guest, until it has its disks: /trial is that of one run, see guest.py."""


def marker() -> str:
    """What a stock is made from, besides packages of the day: one that has another is not used."""
    texts = [Path(__file__), *(ROOT / "requirements" / name for name in _REQUIREMENTS)]
    return sha256(b"".join(path.read_bytes() for path in texts)).hexdigest()


def build(kind: Kind, folder: Path) -> None:
    """Make the stock of this kind in a folder, which must not be there yet. Raises CalledProcessError."""
    folder.mkdir(parents=True)
    root = folder / "root"
    _unpack(kind, root)
    release = os.listdir(root / "usr/lib/modules")[0]
    subprocess.run(["depmod", "-b", root, release], check=True)
    python = _add_python(kind, root)
    for name, text in (_FILES | (_SYSTEMD_FILES if kind.systemd else {})).items():
        (root / name).write_text(text)
    (root / "etc/shadow").chmod(0o600)
    for name in ("trial", "proc", "sys", "run", "root", "srv", "home/user"):
        (root / name).mkdir(parents=True, exist_ok=True)
    os.chown(root / "home/user", 1000, 1000)
    (root / "usr/bin/awk").symlink_to("mawk")
    shutil.copy(root / f"boot/vmlinuz-{release}", folder / "linux")
    _lay_out_expendable(root, release, folder / "linux")
    (folder / "first").write_bytes(archive(_first(root, release)))
    _compile(kind, root, python)
    image(root, folder / "disk", _ROOM)
    shutil.rmtree(root)
    (folder / "marker").write_text(marker())


def image(source: Path, target: Path, room: int) -> None:
    """A file system of a folder's files as one file, with room for so many bytes more."""
    used = int(subprocess.run(["du", "-sB1", source], capture_output=True, check=True, text=True).stdout.split()[0])
    with target.open("wb") as file:
        file.truncate(used + used // 8 + room)
    features = ["-O", "^has_journal", "-m", "0", "-I", "256"]
    subprocess.run(["mke2fs", "-q", "-t", "ext4", *features, "-d", source, target], check=True)


def compile_all(place: Path, root: Path, shown: str) -> None:
    """Compile modules for a guest where it will see what is below root: emulated, it would take minutes each time.

    By this interpreter, so it helps only guests whose Python is as new; another one takes no notice.
    """
    compileall.compile_dir(place, quiet=2, stripdir=str(root), prependdir=shown)


def archive(files: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Files by path, mode and content as what Linux unpacks when it starts: cpio's format newc."""
    packed = bytearray()
    for number, (path, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], start=1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        packed += b"070701" + b"".join(b"%08X" % one for one in fields) + name
        packed += bytes(-len(packed) % 4) + content
        packed += bytes(-len(packed) % 4)
    return bytes(packed)


def _unpack(kind: Kind, root: Path) -> None:
    packages = (*_PACKAGES, *(_SYSTEMD if kind.systemd else ()), kind.linux)
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=extract", f"--architectures={kind.debian}",
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", f"--include={','.join(packages)}",
            kind.suite, root,
        ],
        check=True,
    )  # fmt: skip


def _add_python(kind: Kind, root: Path) -> str:
    """Maniple's pinned packages for the guest's Python, and the command `maniple`; that Python's name."""
    (python,) = (path.name for path in (root / "usr/bin").glob("python3.[0-9]*") if path.name[8:].isdigit())
    place = root / f"usr/local/lib/{python}/dist-packages"
    place.mkdir(parents=True)
    foreign = ["--python-platform", f"{kind.architecture}-manylinux_2_28", "--python-version", python[6:]]
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    for name in _REQUIREMENTS:
        words: list[str | Path] = [
            *install,
            "--no-deps",
            "--target",
            place,
            *foreign,
            "-r",
            ROOT / "requirements" / name,
        ]
        subprocess.run(words, check=True)
    (place / "maniple.pth").write_text("/trial/maniple\n")
    command = root / "usr/local/bin/maniple"
    command.parent.mkdir(exist_ok=True)
    command.write_text('#!/bin/sh\nexec /usr/bin/python3 -I /trial/maniple/kernel/cli/__main__.py "$@"\n')
    command.chmod(0o755)
    return python


def _compile(kind: Kind, root: Path, python: str) -> None:
    """Compile all Python of the guest's, by its own where that is another than this one and can be executed here."""
    places = ("/usr/lib/python3", f"/usr/lib/{python}", f"/usr/local/lib/{python}")
    if python == f"python3.{sys.version_info.minor}" or kind.architecture != os.uname().machine:
        for place in places:
            compile_all(root / place[1:], root, "/")
    else:
        words: list[str | Path] = ["chroot", root, python, "-m", "compileall", "-qq", *places]
        subprocess.run(words, check=False)  # some files of packages' tests are not meant to be compiled


def _lay_out_expendable(root: Path, release: str, linux: Path) -> None:
    """What attacks may load in earnest there."""
    place = root / PLACE.relative_to("/")
    place.mkdir()
    shutil.copy(linux, place)
    (module,) = (root / f"usr/lib/modules/{release}/kernel/lib").glob("crc7.ko*")
    (place / "crc7.ko").write_bytes(_unpacked(module))


def _first(root: Path, release: str) -> Iterator[tuple[str, int, bytes]]:
    for folder in ("bin", "dev", "disk", "modules"):
        yield folder, 0o040755, b""
    yield "bin/busybox", 0o100755, (root / "usr/bin/busybox").read_bytes()
    yield "init", 0o100755, FIRST.encode()
    for number, path in enumerate(_modules(root, release)):
        yield f"modules/{number:02}.ko", 0o100644, _unpacked(path)


def _modules(root: Path, release: str) -> Iterator[Path]:
    """What must be loaded, each after what it stands on, without what is built in."""
    seen = set[str]()
    for module in _MODULES:
        asked: list[str | Path] = ["modprobe", "--show-depends", "-d", root, "-S", release, module]
        for line in subprocess.run(asked, capture_output=True, check=True, text=True).stdout.splitlines():
            word, _, path = line.partition(" ")
            if word == "insmod" and path.strip() not in seen:
                seen.add(path.strip())
                yield Path(path.strip())


def _unpacked(module: Path) -> bytes:
    """A module, which newer suites keep compressed."""
    content = module.read_bytes()
    return lzma.decompress(content) if module.suffix == ".xz" else content
