"""The next command to type acts on the home that was named: whoever types it as it stands needs to add nothing."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from kernel.cli.hints import with_home
from tests.cli.shell import Shell, is_one_clear_line
from tests.living import ECHO, Kernel, make_home, write_hand


@pytest.mark.parametrize(
    ("text", "home", "told"),
    [
        ("`maniple up`", "", "`maniple up`"),
        ("`maniple up`, then `maniple ps`", "h", "`maniple --home h up`, then `maniple --home h ps`"),
        ("`maniple init`, or another with --home", "h", "`maniple --home h init`, or another with --home"),
        ("`maniple init --home /x`", "h", "`maniple init --home /x`"),
        ("`maniple up`", "my home", "`maniple --home 'my home' up`"),
        ("`maniple up`", r"a\1b", r"`maniple --home 'a\1b' up`"),
        ("`maniple up`", "a\n'b\udcff\\", r"`maniple --home $'a\x0a\x27b\xff\x5c' up`"),
        ("`maniple up`", "a\u3164", r"`maniple --home $'a\xe3\x85\xa4' up`"),
        ("the Hand maniple up, `ls -ld`", "h", "the Hand maniple up, `ls -ld`"),
    ],
)
def test_every_hint_names_the_home_once(text: str, home: str, told: str) -> None:
    assert with_home(text, home) == told


@pytest.mark.parametrize("name", [b"a\nb", b"it's\x1b[2J\\", b"\xe2\x80\xae"])
def test_a_hint_is_one_line_and_leads_a_shell_to_the_home_whatever_its_name(name: bytes, tmp_path: Path) -> None:
    home = os.fsencode(tmp_path) + b"/" + name
    ran = Shell(tmp_path / "none").run("--home", os.fsdecode(home), "ps")
    assert is_one_clear_line(ran)
    hint = re.search(r"--home (.*) init`", ran.err)
    assert hint is not None, ran.err
    told = subprocess.run(["bash", "-c", f"printf %s {hint[1]}"], capture_output=True, check=True)
    assert told.stdout == home


@pytest.mark.wide
def test_hints_on_stderr_and_stdout_name_the_home_that_was_named(tmp_path: Path) -> None:
    home, nobody = tmp_path / "my home", Shell(tmp_path / "none")
    named = f"`maniple --home {shlex.quote(str(home))} "
    assert f"{named}init`" in nobody.run("--home", home, "ps").err
    assert f"{named}up`" in nobody.run("init", "--no-hands", "--home", home).err
    assert f"{named}up`" in nobody.run("init", "--no-hands", "--home", home).err
    try:
        nobody.good("up", f"--home={home}")
        assert (
            f"{named}methods echo`"
            in nobody.run("--home", home, "install", write_hand(tmp_path / "echo", ECHO), "--yes").err
        )
        assert "`maniple up`" in nobody.good("--home", home, "call", "echo.say", "text=`maniple up`")
        assert f"{named}resume echo`" in nobody.good("--home", home, "pause", "echo")
    finally:
        nobody.run("down", "--home", home)


def test_a_folder_is_told_so_that_a_shell_takes_it_as_one_word(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "none")
    into = tmp_path / "my work"
    assert f"then `maniple new late --into {shlex.quote(str(into))}`" in shell.run("new", "late", "--into", into).err
    into.mkdir()
    folder = shell.good("new", "late", "--into", into).strip()
    word = shlex.quote(folder)
    assert f"`maniple check {word}`" in shell.run("new", "late", "--into", into).err
    assert f"`maniple install {word}`" in shell.run("check", folder).err
    Path(folder, "main.py").rename(into / "main.py")
    assert f"`maniple check {word}` again" in shell.run("check", folder).err
    assert f"`maniple check {word}`" in shell.run("install", folder, "--yes").err
    key = into / "k.key"
    assert f"`maniple seal DIR --key {shlex.quote(str(key))}`" in shell.run("keys", "new", key, "--name", "k").err
    shell.good("seal", folder, "--key", key)
    (into / "main.py").rename(Path(folder, "main.py"))
    assert f"`maniple seal {word}`" in shell.run("verify", folder, "--key", f"{key}.pub").err
    Path(folder, "HAND.toml").write_bytes(b"\xff")
    assert f"`maniple check {word}`" in shell.run("check", folder).err
    Path(folder, "HAND.toml").unlink()
    os.mkfifo(Path(folder, "HAND.toml"))
    assert f"`maniple check {word}`" in shell.run("check", folder).err


def test_so_are_places_that_are_not_there_yet_and_hands_that_are_not_as_sealed(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        shell, folder = Shell(kernel.home), write_hand(tmp_path / "my echo", ECHO)
        to = tmp_path / "my proofs" / "log"
        assert f"`maniple audit export {shlex.quote(str(to))}`" in shell.run("audit", "export", to).err
        shell.good("seal", folder)
        Path(folder, "more.py").write_text("")
        assert f"`maniple seal {shlex.quote(str(folder))}`" in shell.run("install", folder, "--yes").err
        Path(folder, "HAND.seal").write_text("none")
        assert "`maniple seal DIR`" in shell.run("install", folder, "--yes").err
