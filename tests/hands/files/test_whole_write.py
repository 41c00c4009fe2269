"""A file is the whole old one or the whole new one, and nobody's change is lost."""

import hashlib
import multiprocessing
import os
import random
import resource as rlimits
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk

whole_write = hand_module("files", "whole_write")
FileRefused = hand_module("files", "file_refusal").FileRefused
Failure = hand_module("files", "main").Failure


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def folder(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def put(root: Path, name: str, content: bytes, expect: str | None = None) -> None:
    with folder(root) as fd, ExitStack() as held:
        draft = whole_write.Draft(fd)
        held.callback(draft.drop)
        draft.write(content)
        draft.settle(0o644)
        whole_write.put(draft, name, expect, f"r/{name}", nullcontext())


def drafts(root: Path) -> list[str]:
    return [name for name in os.listdir(root) if name.startswith(".maniple-")]


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises((FileRefused, Failure)) as refused:
        work()
    return str(refused.value.code)


@pytest.mark.parametrize("name", ["a", "\U0001f600" * 63, "ü" * 127])
def test_a_name_for_what_another_program_put_there_is_one_that_a_folder_takes(root: Path, name: str) -> None:
    (root / name).touch()
    (root / name).rename(root / whole_write.conflict_name(name))


def test_a_write_makes_and_replaces(desk: Desk, root: Path) -> None:
    reply = desk.write("root/a.txt", b"one ", b"two")
    assert (root / "a.txt").read_bytes() == b"one two"
    assert reply == {"size": 7, "sha256": sha(b"one two")}
    desk.write("root/a.txt", b"three")
    assert (root / "a.txt").read_bytes() == b"three"
    assert drafts(root) == []


def test_absent_means_that_the_name_is_free(desk: Desk, root: Path) -> None:
    desk.write("root/a", b"first", expect="absent")
    assert code_of(lambda: desk.write("root/a", b"second", expect="absent")) == "exists"
    assert (root / "a").read_bytes() == b"first"
    with pytest.raises(FileExistsError):
        put(root, "a", b"third", "absent")
    assert drafts(root) == []


def test_an_expected_digest_is_compared(desk: Desk, root: Path) -> None:
    desk.write("root/a", b"old")
    desk.write("root/a", b"new", expect=sha(b"old"))
    assert code_of(lambda: desk.write("root/a", b"newer", expect=sha(b"old"))) == "conflict"
    assert code_of(lambda: desk.write("root/gone", b"x", expect=sha(b"old"))) == "conflict"
    assert (root / "a").read_bytes() == b"new"
    assert not (root / "gone").exists()
    assert drafts(root) == []


def test_an_expectation_that_is_no_digest_is_told(desk: Desk) -> None:
    assert code_of(lambda: desk.write("root/a", b"x", expect="ABC")) == "arguments"


@pytest.mark.parametrize("change", ["replaced", "in place", "in place, same size and time", "removed"])
def test_a_change_between_compare_and_swap_is_a_conflict_and_is_not_lost(
    root: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The other program acts in the one instant that counts: after the comparison, before the exchange."""
    target = root / "a"
    target.write_bytes(b"old")
    real = whole_write.rename_flags
    acted: list[bool] = []

    def interposed(*arguments: object) -> None:
        if not acted:
            acted.append(True)
            before = target.stat()
            if change == "replaced":
                (root / "other").write_bytes(b"theirs")
                (root / "other").rename(target)
            elif change == "in place":
                target.write_bytes(b"theirs")
            elif change == "removed":
                target.unlink()
            else:
                target.write_bytes(b"0ld")
                os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        real(*arguments)

    monkeypatch.setattr(whole_write, "rename_flags", interposed)  # a real program would miss the instant
    assert code_of(lambda: put(root, "a", b"new", sha(b"old"))) == "conflict"
    if change == "removed":
        assert not target.exists()
    else:
        assert target.read_bytes() == (b"0ld" if "same" in change else b"theirs")
    assert drafts(root) == []


def test_a_filesystem_that_cannot_exchange_gets_a_second_look(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        whole_write.platform, "machine", lambda: "unknown"
    )  # renameat2 has no number; the test's own disk can exchange
    put(root, "a", b"old", "absent")
    put(root, "a", b"new", sha(b"old"))
    assert (root / "a").read_bytes() == b"new"
    assert code_of(lambda: put(root, "a", b"x", sha(b"old"))) == "conflict"
    with pytest.raises(FileExistsError):
        put(root, "a", b"x", "absent")
    assert drafts(root) == []


def test_of_many_writers_that_expect_the_same_one_wins(root: Path) -> None:
    (root / "a").write_bytes(b"old")
    won: list[int] = []
    codes: list[str] = []

    def write(number: int) -> None:
        try:
            put(root, "a", b"%d" % number, sha(b"old"))
        except FileRefused as refused:
            codes.append(refused.code)
        else:
            won.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert codes == ["conflict"] * 7
    assert (root / "a").read_bytes() == b"%d" % won[0]
    assert drafts(root) == []


def test_a_write_never_goes_through_a_link(desk: Desk, root: Path) -> None:
    (root / "a").write_bytes(b"old")
    os.link(root / "a", root / "twin")
    (root / "soft").symlink_to("../secret")
    (root / "way").symlink_to("..")
    desk.write("root/a", b"new")
    assert (root / "twin").read_bytes() == b"old"
    assert code_of(lambda: desk.write("root/soft", b"x")) == "symbolic link"
    assert code_of(lambda: desk.write("root/way/secret", b"x")) == "symbolic link"
    assert (root.parent / "secret").read_text() == "secret"
    assert (root / "soft").is_symlink()


def test_what_is_no_file_is_not_replaced(desk: Desk, root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    for name in ("root/fifo", "root/folder", "root"):
        assert code_of(lambda name=name: desk.write(name, b"x")) == "not a file"  # type: ignore[misc]
    assert code_of(lambda: desk.write("root/none/a", b"x")) == "not found"
    assert drafts(root) == []


def test_a_device_is_not_replaced(desk: Desk, root: Path) -> None:
    try:
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make a device")
    assert code_of(lambda: desk.write("root/null", b"x")) == "not a file"
    assert stat.S_ISCHR((root / "null").stat().st_mode)


@pytest.mark.parametrize("expect", [None, "absent", sha(b"old")])
def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_reply(
    root: Path, monkeypatch: pytest.MonkeyPatch, expect: str | None
) -> None:
    """The order of sync and rename is what a power cut would test; it is read off the calls themselves."""
    order: list[str] = []
    fsync, rename, flags = os.fsync, os.rename, whole_write.rename_flags

    def synced(fd: int) -> None:
        order.append("sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file")
        fsync(fd)

    def renamed(*arguments: object, **folders: int) -> None:
        order.append("rename")
        rename(*arguments, **folders)  # type: ignore[arg-type]

    def renamed_by_flags(*arguments: object) -> None:
        order.append("rename")
        flags(*arguments)

    if expect != "absent":
        (root / "a").write_bytes(b"old")
    # Each calls the real one too. Which of them a disk has done shows only when power is cut, which no test can.
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(whole_write, "rename_flags", renamed_by_flags)
    put(root, "a", b"new", expect)
    assert order == ["sync file", "rename", "sync folder"]


def test_folders_are_made_on_request(desk: Desk, root: Path) -> None:
    desk.write("root/x/y/z", b"deep", make_folders=True)
    assert (root / "x/y/z").read_bytes() == b"deep"
    (root / "link").symlink_to("..")
    assert code_of(lambda: desk.write("root/link/new/z", b"x", make_folders=True)) == "symbolic link"
    assert not (root.parent / "new").exists()


def test_the_mode_is_kept_without_set_uid(desk: Desk, root: Path) -> None:
    (root / "a").write_bytes(b"old")
    (root / "a").chmod(0o4751)
    desk.write("root/a", b"new")
    assert (root / "a").stat().st_mode & 0o7777 == 0o751


def test_a_read_only_file_is_not_replaced(desk: Desk, root: Path) -> None:
    if os.geteuid() == 0:
        (root / "a").write_bytes(b"old")
        if subprocess.run(["chattr", "+i", root / "a"], check=False, capture_output=True).returncode:
            pytest.skip("root may write everything, and this filesystem has no immutable files")
        try:
            assert code_of(lambda: desk.write("root/a", b"new")) == "permission"
        finally:
            subprocess.run(["chattr", "-i", root / "a"], check=True)
    else:
        (root / "a").write_bytes(b"old")
        (root / "a").chmod(0o444)
        assert code_of(lambda: desk.write("root/a", b"new")) == "permission"
    assert (root / "a").read_bytes() == b"old"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk to fill")
    try:
        with folder(small) as fd:
            desk = Desk(fd, tmp_path)
            try:
                desk.write("root/a", b"old" * 1000)
                too_much = [bytes(256 * 1024)] * 8
                assert code_of(lambda: desk.write("root/a", *too_much)) == "disk full"
                assert (small / "a").read_bytes() == b"old" * 1000
                assert drafts(small) == []
                desk.write("root/a", b"new")
                assert (small / "a").read_bytes() == b"new"
                with suppress(OSError):
                    (small / "rest").write_bytes(bytes(2 * 1024 * 1024))
                with pytest.raises(Failure, match=r"bin_days = 0"):
                    desk.run(desk.hand.delete(FakeCall("root/a")))
                assert list((small / ".maniple-bin").iterdir()) == []
            finally:
                desk.close()
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_file_above_the_limit_is_too_large(desk: Desk, root: Path) -> None:
    before = rlimits.getrlimit(rlimits.RLIMIT_FSIZE)
    rlimits.setrlimit(rlimits.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        assert code_of(lambda: desk.write("root/a", bytes(60_000), bytes(60_000))) == "too large"
    finally:
        rlimits.setrlimit(rlimits.RLIMIT_FSIZE, before)
    assert os.listdir(root) == []


def test_a_cancelled_upload_leaves_nothing(desk: Desk, root: Path) -> None:
    async def broken() -> object:
        yield b"half"
        raise ConnectionError("the caller is gone")

    with pytest.raises((ConnectionError, Failure)):
        desk.run(desk.hand.write(FakeCall("root/a", upload=broken())))  # type: ignore[arg-type]
    assert os.listdir(root) == []


def _write_for_ever(root: str, old: bytes, new: bytes, said: int) -> None:
    contents = (new, old)
    at = 0
    with folder(Path(root)) as fd:
        while True:
            draft = whole_write.Draft(fd)
            for start in range(0, len(old), 65536):
                draft.write(contents[at % 2][start : start + 65536])
            draft.settle(0o644)
            expect = sha(contents[(at + 1) % 2]) if at % 3 else None
            whole_write.put(draft, "a", expect, "r/a", nullcontext())
            draft.drop()
            at += 1
            os.write(said, b".")


def test_kill_in_the_middle_of_a_write_leaves_a_whole_file(root: Path) -> None:
    """Forty writers killed at instants chosen by seed; what they leave is hidden and swept. A dozen mostly see no fault."""
    chance = random.Random(2)
    old, new = b"o" * 300_000, b"n" * 300_000
    fork, left = multiprocessing.get_context("fork"), 0
    for _ in range(40):
        (root / "a").write_bytes(old)
        hear, said = os.pipe()
        writer = fork.Process(target=_write_for_ever, args=(str(root), old, new, said))
        writer.start()
        os.close(said)
        os.read(hear, 1)  # it has begun
        threading.Event().wait(chance.random() * 0.01)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        os.close(hear)
        assert (root / "a").read_bytes() in (old, new)
        left += len(drafts(root))
        with folder(root) as fd:
            whole_write.sweep(fd)
        assert os.listdir(root) == ["a"]
    assert left, "no kill hit a write: the test shows nothing"


def test_a_sweep_spares_what_is_being_written(root: Path) -> None:
    with folder(root) as fd:
        live = whole_write.Draft(fd)
        (root / ".maniple-0123456789abcdef.part").write_bytes(b"left by a killed write")
        (root / ".maniple-notes").write_bytes(b"not a draft")
        assert whole_write.sweep(fd) == 1
        assert sorted(drafts(root)) == sorted([live.name, ".maniple-notes"])
        live.drop()


def test_what_a_killed_hand_left_is_swept_at_the_next_start(root: Path, root_fd: int, tmp_path: Path) -> None:
    first = Desk(root_fd, tmp_path)
    first.write("root/deep/a", b"x", make_folders=True)
    (root / "deep/.maniple-0123456789abcdef.part").write_bytes(b"left")
    first.close()
    second = Desk(root_fd, tmp_path)
    assert os.listdir(root / "deep") == ["a"]
    second.close()
    assert (tmp_path / "state/folders-written").read_text() == ""


def test_a_folder_locked_for_too_long_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(whole_write, "LOCK_WAIT", 0.01)  # the real wait is five seconds
    with folder(root) as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert code_of(lambda: put(root, "a", b"x")) == "busy"
    assert os.listdir(root) == []
