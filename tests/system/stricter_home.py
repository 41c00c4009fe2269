"""A home on a machine that forbids more than this one; run by test_restricted_machines.py as a process of an ordinary user.

`python -m tests.system.stricter_home WHERE FOLDER`; FOLDER is empty and the user's own. Ends with 0 when all held.
WHERE: what it is that no Hand runs without and that is not there, as `maniple doctor` calls it; or `-mount-namespace`, the
layer that runs do without.
"""

import sys
import time
from pathlib import Path
from typing import Any

from tests.cli.shell import Shell, is_one_clear_line
from tests.living import ECHO, Source, write_hand

WITHIN = 45.0
"""Seconds in which a start is refused that cannot be: it hung for ever."""

TASK = Source(
    """
[hand]
name = "greeter"
version = "1.0.0"
description = "Says hello."
entry = "main:Greeter"
kind = "task"
autonomy = "readonly"
""",
    """
from runtime import Hand


class Greeter(Hand):
    async def run(self) -> object:
        return "hello"
""",
)


def _found(shell: Shell) -> tuple[int, dict[str, Any]]:
    ran = shell.run("doctor", "--json")
    findings: Any = ran.table()["findings"]
    return ran.code, {one["what"]: one for one in findings}


def _no_hand_runs(shell: Shell, lacking: str) -> None:
    code, found = _found(shell)
    assert (code, found[lacking]["state"], found[lacking]["needed"]) == (1, "missing", True), found[lacking]
    said = shell.run("up").err
    assert f"No Hand can run here: this machine lacks {lacking}" in said, said
    for words in (
        ("start", "greeter"),
        ("start", "greeter", "--wait"),
        ("start", "echo"),
        ("call", "echo.say", "text=hi"),
    ):
        began = time.monotonic()
        ran = shell.run(*words)
        assert time.monotonic() - began < WITHIN, words
        assert ran.code == 4, (words, ran)
        assert is_one_clear_line(ran._replace(err=ran.err.splitlines(keepends=True)[-1])), (words, ran)
        assert lacking in ran.err, (words, ran)
        assert "`maniple doctor`" in ran.err, (words, ran)
    assert shell.result("ps")["runs"] == []


def _hands_run_without(shell: Shell, layer: str) -> None:
    code, found = _found(shell)
    assert (code, found["mount namespaces"]["state"]) == (0, "missing"), found
    assert shell.run("up").err == ""
    assert shell.result("start", "greeter", "--wait")["value"] == "hello"
    assert shell.result("call", "echo.say", "text=hi")["value"] == {"text": "hi"}
    runs: Any = shell.result("ps")["runs"]
    assert runs
    assert all(layer in run["lacking"] for run in runs), runs


def main(where: str, folder: Path) -> None:
    """Live there, as far as one can."""
    shell = Shell(folder / "home")
    shell.good("init", "--no-hands")
    shell.good("up")
    for source in (ECHO, TASK):
        shell.good("install", write_hand(folder / source.main.split()[-1].strip('"'), source), "--yes")
    shell.good("down")
    if where.startswith("-"):
        _hands_run_without(shell, where[1:])
    else:
        _no_hand_runs(shell, where)
    shell.good("down")
    assert shell.result("audit", "verify")["ok"] is True


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
