"""Runs `maniple` as people do: as a process, with its stdout, its stderr and its exit code (acts)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.cli import forked, json_page
from tests.living import ROOT

MANIPLE = [sys.executable, "-I", str(ROOT / "kernel" / "cli" / "__main__.py")]
COMMAND_S = 60.0


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> object:
        """Its stdout, decoded as JSON."""
        return json.loads(self.out)

    def table(self) -> dict[str, object]:
        """Its stdout, decoded as a JSON object."""
        value = self.json()
        assert isinstance(value, dict)
        return value


class Shell:
    """Runs commands on one home. Commands see nothing of the caller's environment that could change a result.

    What they print with --json must be what docs/json.md says.
    """

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
        """Run a command to its end: forked from a warm process, or by exec if `by_exec`, or if stdin exceeds a pipe."""
        stdin_bytes = stdin.encode() if isinstance(stdin, str) else stdin
        environment = self.environment(**variables)
        if not by_exec and len(stdin_bytes) <= forked.STDIN_MAX:
            code, out, err = forked.run([*map(str, words)], stdin_bytes, str(cwd or Path.cwd()), environment, COMMAND_S)
            if "--json" in words:
                wrong = json_page.differences([*map(str, words)], out.decode())
                assert not wrong, wrong
            return Ran(code, out.decode(), err.decode())
        done = subprocess.run(
            [*MANIPLE, *map(str, words)],
            input=stdin_bytes,
            capture_output=True,
            timeout=COMMAND_S,
            cwd=cwd,
            env=environment,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *words: str | Path, stdin: str | bytes = "", cwd: Path | None = None) -> str:
        """Run a command that must succeed, and return its stdout."""
        ran = self.run(*words, stdin=stdin, cwd=cwd)
        assert ran.code == 0, f"{words}: {ran}"
        return ran.out

    def result(self, *words: str | Path) -> dict[str, object]:
        """Run a command that must succeed with --json, and return the object that it prints."""
        value = json.loads(self.good(*words, "--json"))
        assert isinstance(value, dict)
        return value

    def begin(
        self, *words: str | Path, stdin: int = subprocess.DEVNULL, stderr: int = subprocess.PIPE, **variables: str
    ) -> "subprocess.Popen[bytes]":
        """Start a command without waiting for it. stdin, stderr: as for Popen; variables: of its environment."""
        return subprocess.Popen(
            [*MANIPLE, *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=self.environment(**variables),
        )

    def environment(self, **variables: str) -> dict[str, str]:
        """The environment of a command."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "MANIPLE_HOME": str(self.home),
            "LANG": "C.UTF-8",
        } | variables


def copied_home(shell: Shell, to: Path) -> Shell:
    """Copy a home, whose kernel must not run, without its socket; owners are kept. Returns a shell on the copy."""
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
    """Whether a command's error has the right form: one line, no traceback, and a command to type next."""
    return (
        ran.err.count("\n") == 1 and ran.err.startswith("maniple: ") and "Traceback" not in ran.err and "`" in ran.err
    )


def installed_versions(shell: Shell) -> set[tuple[str, str]]:
    """Names and versions of the installed Hands."""
    rows = shell.result("hands")["hands"]
    assert isinstance(rows, list)
    return {(row["name"], row["version"]) for row in rows}
