"""What a command began and could not finish is not left behind, and what lies in its way does not hold it up."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kernel.cli import package
from kernel.cli.exits import Ended
from tests.cli.shell import Shell, is_one_clear_line
from tests.living import ECHO, Kernel, make_home, write_hand

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk that is full after so many bytes; skips the test where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@needs_root
@pytest.mark.parametrize("size", ["4k", "8k"])
@pytest.mark.parametrize("words", [("new", "greeter"), ("new", "greeter", "--service")])
def test_a_new_hand_that_finds_no_room_leaves_no_folder(words: tuple[str, ...], size: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        ran = Shell(tmp_path / "none").run(*words, "--into", disk)
        assert ran.code == 1
        assert is_one_clear_line(ran) or "no space left" in ran.err
        assert os.listdir(disk) == []


@needs_root
def test_a_new_key_that_finds_no_room_leaves_neither_half(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4k") as disk:
        ran = Shell(tmp_path / "none").run("keys", "new", disk / "ada.key", "--name", "ada")
        assert ran.code == 1
        assert "no space left" in ran.err
        assert os.listdir(disk) == []


@needs_root
def test_an_install_that_finds_no_room_says_where_and_leaves_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    (home / "hands").rmdir()
    with small_disk(home / "hands", "64k") as disk, Kernel(home):
        shell = Shell(home)
        folder = Path(shell.good("new", "greeter", "--into", tmp_path).strip())
        (folder / "large").write_bytes(bytes(100_000))
        ran = shell.run("install", folder, "--yes")
        assert ran.code == 1
        assert f"{disk}/greeter-0.1.0-" in ran.err
        assert "no space left" in ran.err
        assert os.listdir(disk) == []
        (folder / "large").unlink()
        shell.good("install", folder, "--yes")


@needs_root
def test_a_seal_that_finds_no_room_leaves_no_part_of_it(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "none")
    shell.good("keys", "new", tmp_path / "ada.key", "--name", "ada")
    with small_disk(tmp_path / "disk", "12k") as disk:
        folder = shell.good("new", "greeter", "--into", disk).strip()
        before = sorted(os.listdir(folder))
        ran = shell.run("seal", folder, "--key", tmp_path / "ada.key")
        assert ran.code == 1
        assert sorted(os.listdir(folder)) == before


def test_what_a_killed_seal_left_is_not_sealed(tmp_path: Path) -> None:
    """It would be missing as soon as the seal stands in its place."""
    shell = Shell(tmp_path / "none")
    key = shell.good("keys", "new", tmp_path / "ada.key", "--name", "ada").strip()
    folder = write_hand(tmp_path / "hand", ECHO)
    (folder / "HAND.seal.new").write_text("half")
    assert "2 files sealed" in shell.good("seal", folder, "--key", tmp_path / "ada.key")
    assert "every one as sealed" in shell.good("verify", folder, "--key", key)
    assert sorted(os.listdir(folder)) == ["HAND.seal", "HAND.toml", "main.py"]


def test_of_those_that_write_one_file_at_once_each_writes_it_whole(tmp_path: Path) -> None:
    """As two installs of Hands do that have the same module."""
    path, contents = tmp_path / "file", [bytes([letter]) * 1_000_000 for letter in b"abcd"]
    with ThreadPoolExecutor(len(contents)) as threads:
        for _ in range(20):
            list(threads.map(partial(package.write, str(path)), contents))
            assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


def test_a_key_whose_public_half_is_there_already_is_not_half_made(tmp_path: Path) -> None:
    (tmp_path / "ada.key.pub").write_text("somebody's\n")
    ran = Shell(tmp_path / "none").run("keys", "new", tmp_path / "ada.key", "--name", "ada")
    assert ran.code == 1
    assert os.listdir(tmp_path) == ["ada.key.pub"]
    assert (tmp_path / "ada.key.pub").read_text() == "somebody's\n"


@pytest.mark.wide
def test_homes_side_by_side_are_made_at_the_same_time(tmp_path: Path) -> None:
    shells = [Shell(tmp_path / name) for name in ("a", ".a")]
    making = [shell.begin("init", "--no-hands") for shell in shells]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in making]
    assert [code for _, code in ends] == [0, 0], ends
    assert sorted(os.listdir(tmp_path)) == [".a", "a"]
    for shell in shells:
        shell.good("audit", "verify")


def test_one_home_is_made_by_one_init_of_several(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    making = [shell.begin("init", "--no-hands") for _ in range(3)]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in making]
    assert sorted(code for _, code in ends) == [0, 1, 1], ends
    assert not [err for err, _ in ends if b"Traceback" in err]
    assert os.listdir(tmp_path) == ["home"]
    shell.good("audit", "verify")


def test_a_link_in_the_place_of_an_unfinished_home_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept\n")
    (tmp_path / ".home.unfinished").symlink_to(precious)
    ran = Shell(tmp_path / "home").run("init", "--no-hands")
    assert ran.code == 1
    assert is_one_clear_line(ran)
    assert (precious / "file").read_text() == "kept\n"


@pytest.mark.wide
def test_a_home_is_made_behind_the_link_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to("disk")
    shell = Shell(tmp_path / "home")
    shell.good("init", "--no-hands")
    assert (tmp_path / "home").is_symlink()
    assert (tmp_path / "disk" / "home.toml").is_file()
    shell.good("up")
    shell.good("down")


@needs_root
def test_a_mount_point_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with small_disk(tmp_path / "home", "4k") as disk:
        ran = Shell(disk).run("init")
        assert (ran.code, is_one_clear_line(ran)) == (1, True)
        assert f"`maniple init --home {disk}/home`" in ran.err
    assert os.listdir(tmp_path) == ["home"]


def test_a_manifest_that_changes_while_its_folder_is_read_is_not_sealed_as_it_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Shell(tmp_path / "none").good("new", "swift", cwd=tmp_path)
    folder = tmp_path / "swift"
    assert package.read(str(folder)).manifest.hand.autonomy == "readonly"
    walk = package.read_files

    def changed(*words: Any, **more: Any) -> dict[str, bytes]:  # another program would miss the instant
        text = (folder / "HAND.toml").read_text()
        (folder / "HAND.toml").write_text(text.replace('"readonly"', '"full"'))
        return walk(*words, **more)

    monkeypatch.setattr(package, "read_files", changed)
    with pytest.raises(Ended, match="has changed while it was read"):
        package.read(str(folder))


@pytest.mark.parametrize("command", ["check", "seal", "verify", "install"])
def test_a_pipe_in_the_place_of_a_manifest_is_told_at_once(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "pipes"
    folder.mkdir()
    os.mkfifo(folder / "HAND.toml")
    ran = Shell(tmp_path / "none").run(command, folder)
    assert (ran.code, ran.out) == (1, "")
    assert is_one_clear_line(ran)
    assert "HAND.toml is not a plain file" in ran.err


@pytest.mark.parametrize(
    "words",
    [("call", "a." + "b" * 127), ("call", "files.read", "é" * 1025), ("show", "x" * 1025), ("start", "x" * 1025)],
)
def test_names_too_long_for_a_message_are_told_and_not_sent(words: tuple[str, ...], shell: Shell) -> None:
    ran = shell.run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert is_one_clear_line(ran)
    assert "characters" in ran.err


def test_the_longest_names_are_sent(shell: Shell) -> None:
    assert shell.run("call", "a." + "b" * 126).code != 2
    assert "a name has 1 to 256 letters" in shell.run("show", "x" * 1024).err, "the kernel's word, and not this end's"


def test_the_files_of_all_folders_together_have_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "SIZE_MAX", 100)
    for name, size in (("a/b/one", 60), ("a/two", 0), ("c/three", 40)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    assert sorted(package.read_files(str(tmp_path))) == ["a/b/one", "a/two", "c/three"]
    (tmp_path / "c" / "four").write_bytes(b"x")
    with pytest.raises(Ended, match="holds more than"):
        package.read_files(str(tmp_path))
