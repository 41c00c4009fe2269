"""A part of a home that is a folder where a file should be, or the other way round, is told in words, with what to do."""

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.shell import Shell, copied_home, is_one_clear_line
from tests.spread import spread

LOG = {
    "log": "folder", "log/entries": "folder", "log/snapshot": "file", "log/checkpoint": "file", "log/checkpoints": "file",
    "log/entries/000000.jsonl": "file",
}  # fmt: skip
PARTS = LOG | {
    "compiled": "folder", "hands": "folder", "journal": "folder", "journal/keys": "folder", "journal/runs": "folder",
    "keys": "folder", "output": "folder", "run": "folder", "scratch": "folder", "state": "folder", "journal/reserve": "file",
    "journal/keys/000000.jsonl": "file", "keys/log.key": "file", "keys/kernel.pub": "file", "run/bus": "file",
    "run/kernel.log": "file", "run/lock": "file",
}  # fmt: skip
ANEW = (
    "compiled",
    "log/checkpoints",
    "log/snapshot",
    "output",
    "run",
    "scratch",
    "journal/reserve",
    "run/bus",
    "run/lock",
)


@pytest.mark.parametrize("name", spread(PARTS, 3))
def test_a_part_that_is_of_another_type_is_named_with_what_to_do(name: str, made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    path = shell.home / name
    if os.path.lexists(path):
        path.rename(tmp_path / "kept")
    if PARTS[name] == "file":
        path.mkdir()
    else:
        path.touch()
    found = "a folder" if PARTS[name] == "file" else "a file"
    for words in (("up",), ("up", "--foreground"), *([("audit", "verify")] if name in LOG else [])):
        ran = shell.run(*words)
        assert (ran.code, ran.out) == (1, "")
        assert f"{path} is {found}, where a {PARTS[name]} should be: move it away" in ran.err
        assert is_one_clear_line(ran)
        assert "Errno" not in ran.err
        assert ("from a backup" in ran.err) == (name not in (*ANEW, "run/kernel.log"))
    if name in ANEW:
        path.rename(tmp_path / "away")
        shell.good("up")
        shell.good("down")


@pytest.mark.wide
def test_links_count_as_what_they_lead_to(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    for name in ("compiled", "journal"):
        (shell.home / name).rename(tmp_path / name)
        (shell.home / name).symlink_to(tmp_path / name)
    shell.good("up")
    shell.good("down")
    shutil.rmtree(tmp_path / "compiled")
    ran = shell.run("up")
    assert (ran.code, f"{shell.home}/compiled is a link that leads nowhere" in ran.err) == (1, True)


def test_a_pipe_where_the_newest_checkpoint_should_be_is_told_and_not_waited_for(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    path = shell.home / "log" / "checkpoint"
    path.unlink()
    os.mkfifo(path)
    for command in (("up",), ("audit", "verify"), ("audit", "prove", "0")):
        assert f"{path} is not a plain file, where a file should be" in shell.run(*command).err


@pytest.mark.wide
def test_a_pipe_where_the_kernel_says_what_goes_wrong_is_told_and_not_waited_for(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    path = shell.home / "run" / "kernel.log"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    asked = shell.begin("up")
    try:
        said = asked.communicate(timeout=10)[1].decode()
    finally:
        asked.kill()
    assert f"{path} is a pipe, where a file should be: move it away" in said
    path.unlink()
    shell.good("up")
    shell.good("down")


def refused_at_once(shell: Shell, *words: str) -> str:
    """What a command says that ends with 1, in seconds."""
    asked = shell.begin(*words)
    try:
        said = asked.communicate(timeout=10)[1].decode()
    finally:
        asked.kill()
    assert asked.returncode == 1
    return said


def test_logs_wait_for_nobody_where_a_pipe_is_in_the_place_of_what_was_printed(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    path = shell.home / "output" / "odd.log"
    os.mkfifo(path)
    said = refused_at_once(shell, "logs", "odd")
    assert f"{path} is not a plain file: move it away" in said


def test_a_pipe_where_the_logs_public_key_should_be_is_told_and_not_waited_for(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    path = shell.home / "keys" / "log.pub"
    path.unlink()
    os.mkfifo(path)
    said = refused_at_once(shell, "audit", "verify")
    assert f"{path} holds no verifier key" in said
