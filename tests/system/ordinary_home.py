"""A home of somebody who is not root, from `init` to `down`; run by test_ordinary_user.py as a process of that user.

`python -m tests.system.ordinary_home FOLDER`; FOLDER is empty and the user's own. Ends with 0 when all held.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.cli import forked
from tests.cli.shell import Shell
from tests.living import Source, write_hand
from tests.system.fates import living, until

PR_SET_CHILD_SUBREAPER = 36

READER = Source(
    """
[hand]
name = "reader"
version = "1.0.0"
description = "Reads one file, and how much memory this machine has."
entry = "main:Reader"
kind = "task"
autonomy = "readonly"

[capabilities]
"files.read" = ["data/**"]
"machine.stats" = ["*"]
""",
    """
import os

from runtime import Hand


class Reader(Hand):
    async def run(self, path: str) -> object:
        async with self.kernel.stream("files.read", path) as stream:
            text = b"".join([chunk async for chunk in stream])
        machine = await self.kernel.call("machine.stats")
        return {"text": text.decode(), "memory": machine.value["memory"]["total_bytes"], "user": os.getuid()}
""",
)


PROGRAM = Source(
    """
[hand]
name = "program"
version = "1.0.0"
description = "Says what it has."
command = ["./main.py"]
kind = "service"
autonomy = "readonly"

[provides."program.say"]
summary = "Say it"
resource = "none"
effect = "read"
""",
    """
#!/bin/sh
read -r hello <&3
echo '{"type":"ready"}' >&3
while read -r line <&3; do
    case $line in
        *'"type":"stop"'*) exit 0 ;;
        *'"type":"call"'*)
            id=${line#*'"id":'}
            (echo x > main.py) 2>&-; (: > "$HOME/x") && said=scratch
            echo "{\\"type\\":\\"done\\",\\"id\\":${id%%,*},\\"value\\":\\"$PWD $said $(wc -l < main.py)\\"}" >&3 ;;
    esac
done
""",
)


def _adopt() -> None:
    """From now on whoever loses its parent below this process becomes its child, so that nobody is missed."""
    assert ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def _everybody() -> list[psutil.Process]:
    return living(psutil.Process().children(recursive=True))


def _reads_within_its_grant_only(shell: Shell, folder: Path) -> None:
    shell.good("install", write_hand(folder / "reader", READER), "--yes")
    for root in ("data", "private"):
        (folder / root).mkdir()
        (folder / root / "note.txt").write_text(f"of {root}")
        shell.good("roots", "add", root, folder / root)
    told = shell.result("start", "reader", "path=data/note.txt", "--wait")["value"]
    assert told == {"text": "of data", "memory": psutil.virtual_memory().total, "user": os.getuid()}
    ran = shell.run("start", "reader", "path=private/note.txt", "--wait")
    assert ran.code != 0, ran
    assert "holds no grant for files.read on 'private/note.txt'" in ran.err
    assert "of private" not in ran.out


def _reads_beside_a_closed_root(shell: Shell, folder: Path) -> None:
    """A root that was closed to the user keeps nobody from the others, and cannot be named anew."""
    (closed := folder / "closed").mkdir()
    shell.good("roots", "add", "closed", closed)
    closed.chmod(0)
    shell.good("restart", "files")
    assert shell.good("call", "files.read", "data/note.txt") == "of data"
    ran = shell.run("call", "files.list", "closed")
    assert "or its folder was gone or closed when this Hand started" in ran.err, ran
    ran = shell.run("roots", "add", "again", closed)
    assert (ran.code, "closed cannot be read: Permission denied" in ran.err) == (1, True), ran
    shell.good("roots", "remove", "closed")


def _runs_programs(shell: Shell, folder: Path) -> None:
    secret = folder / "home" / "keys" / "operator.key"
    told = shell.result("call", "shell.run", f"command=echo ran | tr r R > f; cat f; cat {secret}; id -u")["value"]
    assert isinstance(told, dict)
    assert (told["stdout"], told["exit_status"]) == (f"Ran\n{os.getuid()}\n", 0), told
    shell.good("install", write_hand(folder / "program", PROGRAM), "--yes")
    assert str(shell.result("call", "program.say")["value"]).endswith(" scratch 12")
    (printed := folder / "home" / "output" / "program.log").chmod(0)  # as a run of this user's can, by its descriptor
    shell.good("restart", "program")
    assert printed.stat().st_mode & 0o777 == 0o600


def _runs_a_module(shell: Shell, folder: Path) -> None:
    shell.good("new", "guest", "--wasm", "--into", folder)
    shell.good("install", folder / "guest", "--yes")
    assert shell.result("start", "guest", "word=hi", "--wait")["value"] == {"heard": {"word": "hi"}}


def _remembers(shell: Shell) -> None:
    for text in ("I bought an automobile.", "Whales are mammals."):
        shell.good("call", "memory.store", "own", f"text={text}")
    until(lambda: shell.result("call", "memory.stats", "own")["value"]["waiting"] == 0, "vectors")  # type: ignore[index]
    found: Any = shell.result("memory", "search", "a car")["results"]
    assert [row["fragment"] for row in found] == [1, 2]


def _is_told_what_runs_lack(shell: Shell) -> None:
    """Where a layer is told as lacking, `maniple doctor` is named, and so that says what it would stop and what gives it."""
    findings: Any = shell.result("doctor")["findings"]
    (user,) = [one for one in findings if one["what"] == "user"]
    assert "user-id" in shell.result("status")["lacking"]  # type: ignore[operator]
    assert (user["state"], user["mend"]) == ("weak", "run Maniple as root")
    assert user["why"].startswith("what it stops: ")


def _lives(shell: Shell, folder: Path) -> None:
    """The whole life of a home."""
    shell.good("init")
    shell.good("up")
    for hand in ("files", "machine"):
        shell.good("start", hand)
    _is_told_what_runs_lack(shell)
    _reads_within_its_grant_only(shell, folder)
    _reads_beside_a_closed_root(shell, folder)
    _runs_programs(shell, folder)
    _runs_a_module(shell, folder)
    _remembers(shell)
    assert shell.good("call", "files.read", "data/note.txt") == "of data"
    shell.good("call", "memory.set", "own", "key=colour", "value=blue")
    assert shell.result("memory", "get", "colour")["value"] == "blue"
    assert shell.good("memory", "verify") == "you, the operator: whole\n"
    processes = shell.result("call", "machine.processes", "match=python")["value"]
    assert isinstance(processes, dict)
    assert processes["processes"]
    forked.end()
    assert len(_everybody()) >= 4  # the kernel, its template, `files` and `machine`
    assert {tuple(one.uids()) for one in _everybody()} == {(os.getuid(),) * 3}
    shell.good("down")
    forked.end()
    until(lambda: not _everybody(), "no process is left")
    assert shell.result("audit", "verify")["ok"] is True


def main(folder: Path) -> None:
    """Live it as nobody special, and leave no process behind even where something did not hold."""
    assert os.getuid() == os.geteuid() != 0
    assert 0 not in os.getgroups()
    _adopt()
    try:
        _lives(Shell(folder / "home"), folder)
    finally:
        for one in _everybody():
            one.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
