"""The table of commands, their files, their help and their completion are one thing."""

import ast
import importlib
import os
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from kernel.cli import commands
from kernel.cli.frame import HELP
from kernel.cli.main import cli
from tests.cli.shell import MANIPLE, Shell
from tests.living import ROOT
from tests.spread import spread

FOLDER = ROOT / "kernel" / "cli"


def _files_of_commands() -> set[str]:
    """Modules in which a function is made a command."""
    found = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(each, ast.Call) and getattr(each.func, "id", "") == "command" for each in node.decorator_list
            ):
                found.add(path.stem)
                assert node.name == path.stem, f"{path.name} has the command {node.name}"
    return found


def test_every_row_has_its_file_and_every_file_its_row() -> None:
    assert {commands.module_of(name) for name in commands.all_commands()} == _files_of_commands()


def test_each_group_of_the_table_is_in_a_section() -> None:
    assert set(commands.GROUPS) <= set(commands.TOP)
    assert set(commands.DEFAULTS) <= set(commands.GROUPS)


@pytest.mark.parametrize("name", commands.all_commands())
def test_every_command_has_a_manual_page_that_names_its_arguments(name: str) -> None:
    root = cli()
    ctx = click.Context(root, info_name="maniple", help_option_names=[*HELP])
    found: click.Command | None = root
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(ctx, word)
        assert found is not None
        ctx = click.Context(found, info_name=word, parent=ctx)
    assert found is not None
    page = found.get_help(ctx)
    assert page.startswith(f"Usage: maniple {name}")
    assert "--home" in page
    module = importlib.import_module(f"kernel.cli.{commands.module_of(name)}")
    assert (module.__doc__ or "").startswith(f"`maniple {name}`")


def test_help_shows_every_command_in_its_section(tmp_path: Path) -> None:
    ran = Shell(tmp_path).run("--help")
    assert ran.code == 0
    for title, rows in commands.SECTIONS.items():
        section = ran.out.partition(f"\n{title}:\n")[2]
        for name, text in rows.items():
            line = next(line for line in section.splitlines() if line.startswith(f"  {name} "))
            assert text[:20] in line


def test_no_command_at_all_shows_help_and_is_wrong_usage(tmp_path: Path) -> None:
    ran = Shell(tmp_path).run()
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: maniple" in ran.err


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(name: str, tmp_path: Path) -> None:
    assert "_MANIPLE_COMPLETE" in Shell(tmp_path).good("completion", name)


@pytest.mark.parametrize(
    ("name", "words", "wanted"),
    [
        ("bash", ["bash", "--noprofile", "--norc", "-c", ". $0 && complete -p maniple"], "_maniple_completion"),
        ("zsh", ["zsh", "-f", "-c", ". $0 && print ${_comps[maniple]}"], "_maniple_completion"),  # no compinit before
        ("zsh", ["zsh", "-f", "-c", "autoload compinit && compinit && . $0 && print ${_comps[maniple]}"], "_maniple_c"),
        (
            "fish",
            ["fish", "--no-config", "-c", "source $argv[1]; complete --do-complete 'maniple ini'"],
            "init\tCreate the home: fresh keys, a new log",
        ),
    ],
)
def test_a_shell_that_was_set_up_in_no_other_way_completes(
    name: str, words: list[str], wanted: str, tmp_path: Path
) -> None:
    """The words that the manual page tells, read by the shell itself: for zsh, also where its own set-up was never made."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: `apt install {name}`")
    script, programs = tmp_path / "completion", tmp_path / "programs"
    script.write_text(Shell(tmp_path).good("completion", name))
    programs.mkdir()
    (programs / "maniple").write_text("#!/bin/sh\nexec " + shlex.join(MANIPLE) + ' "$@"\n')
    (programs / "maniple").chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    ran = subprocess.run([*words, script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert wanted in ran.stdout


def _completed(shell: Shell, words: str) -> set[str]:
    count = len(words.split()) - (0 if words.endswith(" ") else 1)
    ran = shell.run(COMP_WORDS=words, COMP_CWORD=str(count), _MANIPLE_COMPLETE="bash_complete")
    return {line.partition(",")[2] for line in ran.out.splitlines()}


def test_completion_knows_commands_options_and_installed_hands(shell: Shell) -> None:
    assert _completed(shell, "maniple au") == {"audit"}
    assert {"verify", "verify-proof"} <= _completed(shell, "maniple audit ve")
    assert "--wait" in _completed(shell, "maniple start echo --w")
    assert _completed(shell, "maniple show gr") == {"greeter"}


@pytest.mark.parametrize("command", ["call", "methods"])
def test_completion_knows_the_methods_of_hands(command: str, shell: Shell) -> None:
    assert _completed(shell, f"maniple {command} ec") == {"echo.say"}


@pytest.mark.parametrize(
    "words", spread(["run-show", "replay", "cancel", "erase", "stop", "decide", "audit search --run"], 2)
)
def test_completion_knows_the_runs_that_began_last(words: str, shell: Shell) -> None:
    run = str(shell.result("start", "greeter", "--wait")["run"])
    assert run in _completed(shell, f"maniple {words} r-")
    assert _completed(shell, f"maniple {words} {run[:-2]}") == {run}


@pytest.mark.parametrize("words", spread(["show gr", "run-show r-", "stop r"], 1))
def test_completion_of_names_is_empty_where_there_is_no_home(words: str, tmp_path: Path) -> None:
    assert not any(_completed(Shell(tmp_path / "none"), f"maniple {words}"))


def test_it_says_which_maniple_it_is(tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    ran = Shell(tmp_path / "none").run("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"maniple {version}\n", "")
