"""Whoever may not read or enter what a command needs is told which, and how to see who may."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from kernel.cli import commands
from tests.cli.shell import MANIPLE, Ran, Shell, copied_home, is_one_clear_line
from tests.cli.test_errors import ALONE, words_of
from tests.living import ROOT
from tests.spread import spread

WITHOUT_PRIVILEGE = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: without them, modes hold for root, too
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


def _without_privilege(*words: str | Path, shell: Shell) -> "subprocess.CompletedProcess[bytes]":
    """Run a command for which the modes of files hold, whoever runs these tests."""
    command = [sys.executable, "-I", "-c", WITHOUT_PRIVILEGE, *MANIPLE, *map(str, words)]
    return subprocess.run(command, capture_output=True, env=shell.environment(), check=False)


EACH_IN_TURN: Final = """
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
from kernel.cli.main import run
told = {}
for name, words in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    told[name] = code, out.getvalue(), err.getvalue()
json.dump(told, sys.stdout)
"""
"""Runs commands in one process: what each comes to."""


@pytest.mark.wide
@pytest.mark.parametrize("is_named", [True, False])
def test_whoever_may_not_enter_a_home_is_not_told_that_there_is_none(
    is_named: bool, made: Shell, tmp_path: Path
) -> None:
    """By every command that needs one: what would make a home there is not what he wants."""
    home = copied_home(made, tmp_path / "home").home
    names = sorted(commands.all_commands().keys() - ALONE)
    words = {name: [*(["--home", str(home)] if is_named else []), *words_of(name)] for name in names}
    home.chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGE, sys.executable, "-c", EACH_IN_TURN, str(ROOT)],
        input=json.dumps(words).encode(),
        capture_output=True,
        env=Shell(tmp_path / "none" if is_named else home).environment(),
        check=False,
    )
    home.chmod(0o700)
    assert done.returncode == 0, done.stderr.decode()
    told = {name: Ran(*ran) for name, ran in json.loads(done.stdout).items()}
    assert sorted(told) == names
    for name, ran in told.items():
        assert (ran.code, ran.out) == (1, ""), (name, ran)
        assert is_one_clear_line(ran), (name, ran)
        assert f"the home {home} cannot be used: Permission denied; `ls -ld {home}` shows who may use it" in ran.err, (
            name,
            ran,
        )


@pytest.mark.parametrize(
    ("shut", "words"),
    spread(
        [
            (".", ("ps",)),
            (".", ("up",)),
            (".", ("audit", "verify")),
            (".", ("logs", "echo")),
            (".", ("init",)),
            ("home.toml", ("up",)),
            ("run", ("ps",)),
            ("run", ("up",)),
            ("log", ("audit", "tail")),
            ("log", ("runs",)),
            ("keys", ("keys",)),
            ("output", ("logs", "echo")),
        ],
        6,
    ),
)
def test_what_may_not_be_read_is_told(shut: str, words: tuple[str, ...], made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    (shell.home / shut).chmod(0)
    done = _without_privilege(*words, shell=shell)
    (shell.home / shut).chmod(0o700)
    assert done.returncode in (1, 3), done
    assert is_one_clear_line(Ran(done.returncode, done.stdout.decode(), done.stderr.decode())), done
    assert os.fsencode(shell.home / shut) in done.stderr, done
