"""Every path that a command takes, where it leads to nothing that can be used: told at once, with what to type next."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click
import pytest

from kernel.cli import commands, named_files
from kernel.cli.main import CommandGroup
from tests.cli.shell import Ran, Shell, is_one_clear_line
from tests.cli.test_forbidden import EACH_IN_TURN, WITHOUT_PRIVILEGE
from tests.living import ROOT

FILE: Final = ("missing", "folder", "shut", "shut folder", "pipe", "below what is shut", "below a file")
FOLDER: Final = ("missing", "file", "shut", "shut folder", "pipe", "below what is shut", "below a file")
NEW: Final = ("file", "folder", "shut", "shut folder", "pipe", "below what is shut", "below a file", "below nothing")
INTO: Final = ("folder", "shut folder", "pipe", "below what is shut", "below a file", "below nothing")
"""What a path may lead to, where a file is read, a folder is read, something new is made, or a file is written."""

TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "answer 1 yes --key PATH": FILE,
    "approve 1 --key PATH": FILE,
    "deny 1 --key PATH": FILE,
    "artifacts --to PATH": (),
    "ask --file PATH hello": FILE,
    "audit export PATH": NEW,
    "audit prove --since PATH": FILE,
    "audit show 1 --body PATH": FILE,
    "audit verify --checkpoint PATH": FILE,
    "audit verify --from PATH": FOLDER,
    "audit verify --key PATH": FILE,
    "audit verify-proof PATH": FILE,
    "audit verify-proof PROOF --since PATH": FILE,
    "call time.now --upload PATH": FILE,
    "call time.now --output PATH": INTO,
    "check PATH": FOLDER,
    "install PATH --yes": FOLDER,
    "keys add PATH --hands *": FILE,
    "keys new PATH --name a.b": NEW,
    "keys rotate 00000000 PATH --yes": FILE,
    "mcp add x --yes --files PATH -- true": FOLDER,
    "mcp add x --yes --code PATH -- true": ("missing", "file", "pipe", "below what is shut", "below a file"),
    "mcp add x --yes --read PATH -- true": ("missing", "file", "pipe", "below what is shut", "below a file"),
    "mcp add x --yes --certificates PATH https://127.0.0.1:1/": FILE,
    "mcp add x --yes --client a --issuer https://b.c --client-key PATH https://127.0.0.1:1/": FILE,
    "memory backup PATH": NEW,
    "memory export PATH": NEW,
    "memory import PATH --shared s": FILE,
    "memory restore PATH --shared s --yes": FILE,
    "new some --into PATH": FOLDER,
    "pipeline add PATH --yes": FILE,
    "pipeline check PATH": FILE,
    "replay RUN --against PATH": ("missing", "shut", "shut folder", "pipe", "below what is shut", "below a file"),
    "replay RUN --save PATH": ("file", "shut", "shut folder", "pipe", "below what is shut", "below a file"),
    "roots add r PATH": ("missing", "file", "shut", "pipe", "below what is shut", "below a file"),
    "seal PATH": FOLDER,
    "seal HAND --key PATH": FILE,
    "settings model --secret-file anthropic_key=PATH": FILE,
    "skills install PATH --yes": FOLDER,
    "skills show PATH": FOLDER,
    "verify PATH": FOLDER,
    "verify HAND --key PATH": FILE,
}  # fmt: skip
"""Each command and option that takes a path, and what it cannot use there."""


def make(what: str, at: Path) -> Path:
    """A path that leads to that."""
    match what:
        case "file" | "shut":
            at.write_text("x\n")
        case "folder" | "shut folder":
            at.mkdir()
        case "pipe":
            os.mkfifo(at)
        case "below what is shut":
            at.mkdir()
            (at / "inner").write_text("x\n")
        case "below a file":
            at.write_text("x\n")
        case _:
            pass
    if "shut" in what:
        at.chmod(0)
    return at / "inner" if "below" in what else at


@pytest.fixture(scope="module")
def told(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Ran]]:
    """What each comes to, for which the modes of files hold; in one process, since one for each would take a minute."""
    places = tmp_path_factory.mktemp("given")
    run = str(shell.result("start", "greeter", "who=x", "--wait")["run"])
    hand = shell.good("new", "sealed", "--into", places).strip()
    proof = places / "proof"
    proof.write_text("old 1\n")
    paths, words = dict[str, Path](), dict[str, list[str]]()
    for command, wrong in TABLE.items():
        for what in wrong:
            name = f"{command}: {what}"
            paths[name] = make(what, places / f"at{len(paths)}")
            stands = {"PATH": str(paths[name]), "RUN": run, "HAND": hand, "PROOF": str(proof)}
            words[name] = [_with(word, stands) for word in command.split()]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGE, sys.executable, "-c", EACH_IN_TURN, str(ROOT)],
        input=json.dumps(words).encode(),
        capture_output=True,
        env=shell.environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return {name: (paths[name], Ran(*ran)) for name, ran in json.loads(done.stdout).items()}


def _with(word: str, stands: Mapping[str, str]) -> str:
    for name, text in stands.items():
        word = word.replace(name, text)
    return word


@pytest.mark.parametrize("command", [command for command, wrong in TABLE.items() if wrong])
def test_what_a_command_cannot_use_is_told_with_what_to_type_next(
    command: str, told: dict[str, tuple[Path, Ran]]
) -> None:
    for what in TABLE[command]:
        path, ran = told[f"{command}: {what}"]
        assert ran.code in (1, 2), (what, ran)
        assert is_one_clear_line(ran), (what, ran)
        assert str(path) in ran.err or (what.startswith("below") and str(path.parent) in ran.err), (what, ran)
        assert "is not readable" not in ran.err, (what, ran)
        assert what != "below what is shut" or "permission denied" in ran.err.lower(), (what, ran)


def test_each_path_that_a_command_takes_is_tried() -> None:
    tried = {command.partition(" PATH")[0] for command in TABLE}
    for name in commands.all_commands():
        for param in _params(name):
            if isinstance(param.type, click.Path) and param.name != "home":
                assert param.type is named_files.PATH, f"{name}: another would say that it is not readable"
                option = max(param.opts, key=len) if isinstance(param, click.Option) else ""
                begun = [one for one in tried if one == name or one.startswith(f"{name} ")]
                assert [one for one in begun if one.endswith(option)], f"{name} {option} is not tried"


def _params(name: str) -> Iterator[click.Parameter]:
    found: click.Command = CommandGroup("maniple", commands.TOP, about="")
    for word in name.split():
        assert isinstance(found, CommandGroup)
        below = found.get_command(click.Context(found), word)
        assert below is not None
        found = below
    yield from found.params


def test_a_pipe_that_somebody_reads_is_written(shell: Shell, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["wc", "-c", pipe], stdout=subprocess.PIPE) as reader:
        shell.good("roots", "add", "piped", tmp_path)
        (tmp_path / "file").write_bytes(b"x" * 300_000)
        (tmp_path / "file").chmod(0o644)
        tmp_path.chmod(0o755)
        shell.good("call", "files.read", "piped/file", "--output", pipe)
        shell.good("roots", "remove", "piped")
        assert reader.stdout is not None
        assert reader.stdout.read().split()[0] == b"300000"
