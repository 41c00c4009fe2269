"""Runs `maniple` as people do: a process of its own, with its output, its words and its exit code (acts)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.cli import forked
from tests.living import ROOT

MANIPLE = [sys.executable, "-I", str(ROOT / "kernel" / "cli" / "__main__.py")]
WITHIN = 60.0


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> object:
        """Its result."""
        return json.loads(self.out)

    def table(self) -> dict[str, object]:
        """Its result, which is an object."""
        told = self.json()
        assert isinstance(told, dict)
        return told


class Shell:
    """A shell with one home. Nothing of the caller's environment that could change a result reaches a command."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(
        self,
        *words: str | Path,
        stdin: str | bytes = "",
        cwd: Path | None = None,
        by_exec: bool = False,
        **variables: str,
    ) -> Ran:
        """Run a command to its end, forked where its imports are; by exec if told so, or given more than a pipe takes."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        environment = self.environment(**variables)
        if not by_exec and len(given) <= forked.LONGEST:
            code, out, err = forked.run([*map(str, words)], given, str(cwd or Path.cwd()), environment, WITHIN)
            return Ran(code, out.decode(), err.decode())
        done = subprocess.run(
            [*MANIPLE, *map(str, words)],
            input=given,
            capture_output=True,
            timeout=WITHIN,
            cwd=cwd,
            env=environment,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *words: str | Path, stdin: str | bytes = "", cwd: Path | None = None) -> str:
        """The output of a command that succeeds."""
        ran = self.run(*words, stdin=stdin, cwd=cwd)
        assert ran.code == 0, f"{words}: {ran}"
        return ran.out

    def told(self, *words: str | Path) -> dict[str, object]:
        """The JSON object that a command that succeeds prints."""
        value = json.loads(self.good(*words, "--json"))
        assert isinstance(value, dict)
        return value

    def begin(
        self, *words: str | Path, stdin: int = subprocess.DEVNULL, stderr: int = subprocess.PIPE, **variables: str
    ) -> "subprocess.Popen[bytes]":
        """Start a command that goes on. stdin, stderr: as of Popen; variables: of its environment."""
        return subprocess.Popen(
            [*MANIPLE, *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=self.environment(**variables),
        )

    def environment(self, **variables: str) -> dict[str, str]:
        """What a command sees."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "MANIPLE_HOME": str(self.home),
            "LANG": "C.UTF-8",
        } | variables


def copied_home(shell: Shell, to: Path) -> Shell:
    """A shell with a copy of a home, whose kernel must not run; its socket is left out. Runs own what they owned."""
    shutil.copytree(shell.home, to, ignore=shutil.ignore_patterns("bus"))
    for path in (to, *to.rglob("*")):
        owner = (shell.home / path.relative_to(to)).lstat()
        os.lchown(path, owner.st_uid, owner.st_gid)
    return Shell(to)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def is_one_clear_line(ran: Ran) -> bool:
    """Whether an error is told as it should be: one line, no traceback, and a command to type next."""
    return (
        ran.err.count("\n") == 1 and ran.err.startswith("maniple: ") and "Traceback" not in ran.err and "`" in ran.err
    )


def versions(shell: Shell) -> set[tuple[str, str]]:
    """Names and versions of the Hands that are installed."""
    rows = shell.told("hands")["hands"]
    assert isinstance(rows, list)
    return {(row["name"], row["version"]) for row in rows}
