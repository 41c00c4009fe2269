"""Nothing outside a root is opened, whatever lies in it, by either way of opening."""

import errno
import os
import random
import socket
import stat
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hands.doubles import hand_module

beneath = hand_module("files", "beneath")
FileRefused = hand_module("files", "file_refusal").FileRefused
OPENERS = [pytest.param(beneath.by_walking, id="walking")]
if beneath.has_openat2():
    OPENERS.append(pytest.param(beneath.by_openat2, id="openat2"))
READ = os.O_RDONLY | os.O_NONBLOCK

opener = pytest.mark.parametrize("opened_by", OPENERS)


def read_at(tree: object, resource: str) -> bytes:
    with ExitStack() as held:
        place = tree.place(resource)  # type: ignore[attr-defined]
        return os.read(tree.open_file(held, place), 100)  # type: ignore[attr-defined]


def test_this_machine_opens_by_openat2() -> None:
    if not beneath.has_openat2():
        pytest.skip("this system has no openat2, so only walking is tested here")
    assert beneath.best_opener() is beneath.by_openat2


@opener
def test_a_file_deep_in_a_root_is_opened(opened_by: object, root: Path, root_fd: int) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/c.txt").write_text("here")
    assert read_at(beneath.Tree({"r": root_fd}, opened_by), "r/a/b/c.txt") == b"here"


@opener
@pytest.mark.parametrize(
    ("target", "resource"),
    [
        ("../secret", "r/link"),
        ("/etc/passwd", "r/link"),
        ("inside", "r/link"),
        ("/proc/self/root/etc/passwd", "r/link"),
        ("..", "r/link/secret"),
        (".", "r/link/inside"),
        ("/proc/self/cwd", "r/link/inside"),
    ],
)
def test_no_link_is_followed(opened_by: object, root: Path, root_fd: int, target: str, resource: str) -> None:
    (root / "inside").write_text("inside")
    (root / "link").symlink_to(target)
    with pytest.raises((FileRefused, OSError)) as refused:
        read_at(beneath.Tree({"r": root_fd}, opened_by), resource)
    code = getattr(refused.value, "code", "") or errno.errorcode[refused.value.errno or 0]
    assert code in ("symbolic link", "ELOOP")


@opener
def test_dots_lead_nowhere(opened_by: object, root_fd: int) -> None:
    tree = beneath.Tree({"r": root_fd}, opened_by)
    for resource in ("r/../secret", "r/..", "r/a/../../secret", "r//secret", "r/./x", "r/"):
        with pytest.raises(FileRefused):
            tree.place(resource)
    with pytest.raises(OSError, match="cross-device"):
        opened_by(root_fd, ("..", "secret"), READ)  # type: ignore[operator]


@opener
def test_what_is_no_file_is_not_opened(opened_by: object, root: Path, root_fd: int) -> None:
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        fd = os.open(root, os.O_PATH)
        listening.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)
        tree = beneath.Tree({"r": root_fd}, opened_by)
        for name in ("fifo", "folder", "socket"):
            with pytest.raises(FileRefused) as refused:
                read_at(tree, f"r/{name}")
            assert refused.value.code == "not a file"


@opener
def test_a_device_is_not_opened(opened_by: object, root: Path, root_fd: int) -> None:
    try:
        os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device")
    with pytest.raises(FileRefused) as refused:
        read_at(beneath.Tree({"r": root_fd}, opened_by), "r/zero")
    assert refused.value.code == "not a file"


@opener
def test_a_fifo_swapped_in_after_the_look_neither_blocks_nor_is_read(
    opened_by: object, root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look is told of a file that was there a moment ago; then the fifo is what gets opened."""
    (root / "file").touch()
    os.mkfifo(root / "fifo")
    tree = beneath.Tree({"r": root_fd}, opened_by)
    monkeypatch.setattr(tree, "look", lambda _: (root / "file").stat())  # a real swap would miss the instant
    codes: list[str] = []

    def read() -> None:
        with pytest.raises(FileRefused) as refused:
            read_at(tree, "r/fifo")
        codes.append(refused.value.code)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(10)
    assert codes == ["not a file"]


@opener
def test_a_very_long_name_is_told(opened_by: object, root_fd: int) -> None:
    with pytest.raises(OSError, match="too long"):
        read_at(beneath.Tree({"r": root_fd}, opened_by), "r/" + "x" * 300)


def test_an_unknown_root_names_the_command_that_grants_it(root_fd: int) -> None:
    with pytest.raises(FileRefused) as refused:
        beneath.Tree({"r": root_fd}, beneath.by_walking).place("other/x")
    assert refused.value.code == "unknown root"
    assert "maniple roots add other PATH" in refused.value.text


def test_names_of_this_hand_are_out_of_reach(root_fd: int) -> None:
    for resource in ("r/.maniple-bin", "r/.maniple-bin/x", "r/a/.maniple-0.part"):
        with pytest.raises(FileRefused) as refused:
            beneath.Tree({"r": root_fd}, beneath.by_walking).place(resource)
        assert refused.value.code == "reserved name"


@opener
@pytest.mark.parametrize("seed", range(3))
def test_swapping_folders_and_links_while_opening_leads_nowhere(
    opened_by: object, root: Path, root_fd: int, seed: int
) -> None:
    """An attacker swaps a folder for a link to outside, as fast as he can, while the same path is opened again and
    again.
    """
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    (root / "way").mkdir()
    (root / "way/file").write_text("inside")
    (root / "link").symlink_to(outside)
    tree = beneath.Tree({"r": root_fd}, opened_by)
    swap = hand_module("files", "whole_write").rename_flags
    chance, stop = random.Random(seed), threading.Event()

    def attack() -> None:
        fd = os.open(root, os.O_RDONLY)
        while not stop.is_set():
            for _ in range(chance.randrange(1, 4)):
                swap(fd, "way", fd, "link", 2)
        os.close(fd)

    attacker = threading.Thread(target=attack)
    attacker.start()
    seen: set[bytes] = set()
    refused = 0
    try:
        for tries in range(200_000):
            if tries > 1500 and seen and refused:
                break
            try:
                seen.add(read_at(tree, "r/way/file"))
            except (OSError, FileRefused):
                refused += 1
    finally:
        stop.set()
        attacker.join()
    assert seen == {b"inside"}
    assert refused, "the attack never hit: the test shows nothing"
