"""What a Hand says reaches the operator's screen as characters to see, whichever command shows it, and never acts on it."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from kernel.cli import screen
from tests.cli.shell import COMMAND_S, MANIPLE, Shell, is_one_clear_line
from tests.living import Source, write_hand
from tests.spread import spread

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[1A\r\x9b31m\x7f\u202etxt\nmaniple: all is well"
OURS = re.compile(r"\x1b\[(0|1|2|31|32|33|34)m")

HOSTILE = Source(
    """
[hand]
name = "hostile"
version = "1.0.0"
description = "Says what moves a cursor."
entry = "main:Hostile"
kind = "task"
autonomy = "full"
""",
    f"""
import json

from runtime import Failure, Hand

EVIL = {EVIL!r}


class Hostile(Hand):
    async def run(self, fail: bool = False) -> object:
        print(EVIL)
        print(json.dumps({{"event": EVIL, "level": EVIL, "timestamp": EVIL, EVIL: EVIL}}))
        await self.progress(1, 2, EVIL)
        if fail:
            raise Failure("unkind", EVIL)
        return {{EVIL: [EVIL]}}
""",
)

LISTENER = Source(
    """
[hand]
name = "siren"
version = "1.0.0"
description = "Answers with what moves a cursor."
entry = "main:Siren"
kind = "service"
autonomy = "full"

[provides."siren.sing"]
summary = "Streams it"
resource = "none"
effect = "read"
idempotent = true
params = {}
returns = { text = "string" }

[provides."siren.wreck"]
summary = "Fails by it"
resource = "none"
effect = "read"
idempotent = true
params = {}
returns = {}
""",
    f"""
from runtime import Call, Failure, Hand

EVIL = {EVIL!r}


class Siren(Hand):
    async def sing(self, call: Call) -> dict[str, object]:
        await call.send(EVIL.encode())
        return {{"text": EVIL}}

    async def wreck(self, call: Call) -> dict[str, object]:
        raise Failure("unkind", EVIL)
""",
)


@pytest.fixture(scope="module")
def beset(shell: Shell, places: Path) -> Shell:
    shell.good("install", write_hand(places / "hostile", HOSTILE), "--yes")
    shell.good("install", write_hand(places / "siren", LISTENER), "--yes")
    shell.run("start", "hostile", "--wait")
    shell.run("start", "hostile", "fail:=true", "--wait")
    shell.run("call", "siren.wreck")
    return shell


def on_a_terminal(shell: Shell, *words: str) -> str:
    """All that a command writes to a terminal, which are both its stdout and its stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MANIPLE, *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=shell.environment(TERM="xterm", COLUMNS="4000"),
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:
        pass  # the other side is closed: its process ended
    finally:
        os.close(ours)
    process.wait(COMMAND_S)
    return said.decode().replace("\r\n", "\n")


def acts_on_a_screen(text: str) -> list[str]:
    """The characters of a text that do, our own colours and the line that is drawn anew left out."""
    plain = OURS.sub("", text).replace("\r\x1b[K", "")
    return sorted({ascii(char) for char in plain if not char.isprintable() and char != "\n"})


@pytest.mark.parametrize(
    "words",
    spread(
        [
            "start hostile --wait",
            "start hostile fail:=true --wait",
            "start hostile --wait --json",
            "call siren.sing",
            "call siren.wreck",
            "logs hostile",
            "logs hostile --json",
            "runs",
            "runs --json",
            "ps",
            "audit tail",
            "audit tail --json",
            "audit search unkind",
            "audit search unkind --json",
            "status",
        ],
        5,
    ),
)
def test_nothing_a_hand_says_acts_on_a_terminal(words: str, beset: Shell) -> None:
    said = on_a_terminal(beset, *words.split())
    assert said
    assert acts_on_a_screen(said) == []


@pytest.mark.parametrize("words", ["start hostile fail:=true --wait", "call siren.wreck"])
def test_a_peers_words_are_escaped_in_a_file_too_and_cannot_begin_a_line(words: str, beset: Shell) -> None:
    ran = beset.run(*words.split())
    assert ran.code == 1
    assert acts_on_a_screen(ran.err) == []
    assert not [line for line in ran.err.splitlines() if line.startswith("maniple: all is well")]


def test_what_is_escaped_in_json_is_the_same_value(beset: Shell) -> None:
    ran = beset.run("start", "hostile", "--wait", "--json")
    assert acts_on_a_screen(ran.out) == []
    assert ran.table()["value"] == {EVIL: [EVIL]}
    assert json.loads(screen.safe_json(json.dumps("a\x9b\U000e0001\x7f", ensure_ascii=False))) == "a\x9b\U000e0001\x7f"


def test_streamed_bytes_go_into_a_file_as_they_are(beset: Shell) -> None:
    assert beset.run("call", "siren.sing").out == EVIL


def test_lines_of_the_log_stay_byte_for_byte_where_no_terminal_is(beset: Shell) -> None:
    lines = beset.good("audit", "tail", "-n", "5", "--json").encode().splitlines()
    written = b"".join(path.read_bytes() for path in sorted((beset.home / "log" / "entries").iterdir())).splitlines()
    assert set(lines) <= set(written)


def test_a_folder_that_is_checked_says_nothing_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[2Jb"
    folder.mkdir()
    ran = Shell(tmp_path / "none").run("check", folder)
    assert ran.code == 1
    assert is_one_clear_line(ran)
    assert acts_on_a_screen(ran.err) == []
    (folder / "HAND.toml").write_text("x = 1\n")
    for command in ("check", "seal"):
        ran = Shell(tmp_path / "none").run(command, folder)
        assert (ran.code, acts_on_a_screen(ran.out + ran.err)) == (1, [])


@pytest.mark.wide
def test_a_colour_is_ours_alone_whoever_writes_one_like_it(beset: Shell) -> None:
    painted = "\x1b[31mred\x1b[0m"
    assert screen.safe(painted) == "\\u{1b}[31mred\\u{1b}[0m"
    assert screen.safe("a\r\nb") == "a\\r\nb"
    assert screen.fields([("why", "\x1b[31mred")]) == "why  \\u{1b}[31mred"
    beset.good("call", "memory.store", "own", f"text=a red word: {painted}")  # found by its words at once
    try:
        for words in (("memory", "search", "red"), ("memory", "search", "red", "--explain")):
            assert "\\u{1b}[31mred\\u{1b}[0m" in on_a_terminal(beset, *words)
    finally:
        beset.good("call", "memory.erase", "own")


def test_a_state_has_our_colour_on_a_terminal(beset: Shell) -> None:
    assert "\x1b[31mfailed   \x1b[0m" in on_a_terminal(beset, "audit", "search", "unkind")


def test_what_there_is_not_has_no_row_on_a_terminal_either(beset: Shell) -> None:
    assert "template" not in on_a_terminal(beset, "status")
