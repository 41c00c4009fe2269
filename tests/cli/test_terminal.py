"""What is asked at a terminal: nothing typed is no value, a question's answer is about what was shown, lines are cleared."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import Shell, copied_home
from tests.cli.terminals import Terminal


def test_nothing_typed_is_no_secret_and_the_one_before_is_kept(shell: Shell) -> None:
    shell.good("settings", "greeter", "--secret", "token", stdin="kept\n")
    secrets = [path.read_bytes() for path in (shell.home / "keys").glob("*.secrets")]
    for typed, told in (("\n", "is empty"), ("\x04", "no value for `token` was typed")):
        terminal = Terminal(shell, "settings", "greeter", "--secret", "token")
        terminal.answer("(not shown): ", typed)
        assert (terminal.end(), told in terminal.output) == (2, True), terminal.output
    assert [path.read_bytes() for path in (shell.home / "keys").glob("*.secrets")] == secrets


def test_a_skill_is_not_installed_over_what_changed_while_somebody_was_asked(shell: Shell, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "SKILL.md").write_text(f"---\nname: {name}\ndescription: Helps.\n---\nHelp.\n")
    terminal = Terminal(shell, "skills", "install", tmp_path / "first")
    terminal.answer("Install it?", "")
    shell.good("skills", "install", tmp_path / "second", "--yes")
    terminal.answer("Install it?", "y\n")
    assert (terminal.end(), "type the same again" in terminal.output) == (1, True), terminal.output
    rows = shell.result("skills", "list")["skills"]
    assert isinstance(rows, list)
    assert [row["name"] for row in rows if not row["of"]] == ["second"]
    shell.good("skills", "remove", "second")


def test_a_question_that_is_broken_off_says_that_nothing_was_done(shell: Shell, tmp_path: Path) -> None:
    shell.good("new", "modest", "--into", tmp_path)
    for words, asked, told in (
        (("install", tmp_path / "modest"), "Install it? [y/N]: ", "nothing was installed"),
        (("remove", "greeter", "--purge"), "for ever? [y/N]: ", "nothing was removed"),
    ):
        terminal = Terminal(shell, *words)
        terminal.answer("[y/N]: ", "\x04")
        assert terminal.end() == 130, terminal.output
        assert f"{asked}\r\nmaniple: {told}" in terminal.output, terminal.output


def test_how_far_a_check_is_does_not_stand_before_what_it_found(made: Shell, tmp_path: Path) -> None:
    shell = copied_home(made, tmp_path / "home")
    (path,) = (shell.home / "log" / "entries").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"seq":0', b'"seq":7', 1))
    terminal = Terminal(shell, "audit", "verify")
    assert terminal.end() == 5
    assert "0 entries\r\x1b[Kmaniple: the log" in terminal.output


def test_the_line_of_who_waits_fits_a_narrow_terminal(shell: Shell) -> None:
    """One that wraps is not drawn over: each look would leave a line more."""
    run = shell.good("start", "greeter", "wait:=true").strip()
    terminal = Terminal(shell, "wait", run, columns=12)
    terminal.answer("%", "")
    shell.good("cancel", run)
    widest = terminal.widest()
    assert (terminal.end(), 4 < widest < 12) == (1, True), terminal.output


@pytest.mark.wide
def test_a_tree_that_is_drawn_over_fits_its_terminal_wherever_the_result_goes(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "steps.pipeline.toml"
    head = '[pipeline]\nname = "steps"\nversion = "1.0.0"\ndescription = "Greets often."\n'
    steps = "".join(f'[steps.step_{at}]\nhand = "greeter"\nwith = {{ wait = true }}\n' for at in range(12))
    file.write_text(head + steps)
    shell.good("pipeline", "add", file, "--yes")
    terminal = Terminal(shell, "pipeline", "run", "steps", "--watch", columns=30, lines=8, stdout=subprocess.DEVNULL)
    terminal.answer("A\x1b[K", "")
    assert ("7 lines more" in terminal.output, terminal.widest() < 30) == (True, True)
    shell.good("stop", "steps")
    assert terminal.end() == 1
    assert max(int(up) for up in re.findall(r"\x1b\[(\d+)A", terminal.output)) < 8
    assert "step_11" in terminal.output, "at the end the whole tree stands there"
    shown = Terminal(shell, "pipeline", "show", "steps")
    assert shown.end() == 0
    bars = [re.sub(r"\x1b\[\d*m", "", line).rstrip() for line in shown.output.splitlines() if "│" in line]
    assert (len(bars) > 8, max(map(len, bars)) <= 80) == (True, True)
    shell.good("pipeline", "remove", "steps")


def test_what_is_granted_is_never_cut(shell: Shell) -> None:
    """What stands behind the dots could be anything, and somebody looks at it to see whether it is too much."""
    terminal = Terminal(shell, "grants", "assistant", columns=40)
    assert (terminal.end(), "assistant.step, assistant.said" in terminal.output) == (0, True), terminal.output
    assert terminal.output.count("each time") == 3
    assert "…" not in terminal.output
