"""`maniple pipeline`, as people type it, and the worked example of docs/pipelines.md."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import MANIPLE, Shell, copied_home
from tests.living import ROOT, Source, write_hand

EXAMPLE = ROOT / "docs" / "examples" / "pipeline"

GREETINGS = """
[pipeline]
name = "greetings"
version = "1.0.0"
description = "Greets twice."

[inputs]
who = "string"
times = "int?"

[steps.one]
hand = "greeter"
with = { who = "${inputs.who}", fail = "${inputs.who == 'nobody'}", wait = "${inputs.who == 'forever'}" }
undo = { hand = "greeter" }

[steps.two]
hand = "greeter"
for_each = "${range(default(inputs.times, 1))}"
with = { who = "${steps.one.text} ${index}", fail = "${inputs.who == 'somebody'}" }

[outputs]
texts = "${steps.two}"
"""

PLAIN = """
[pipeline]
name = "NAME"
version = "1.0.0"
description = "Made for a test."

[steps.a]
hand = "HAND"
"""

WIDE = Source(
    """
[hand]
name = "wide"
version = "1.0.0"
description = "Asks for whatever echo can."
entry = "main:Wide"
kind = "task"
autonomy = "full"

[capabilities]
"echo.*" = ["*"]
""",
    """
from runtime import Hand


class Wide(Hand):
    async def run(self) -> object:
        return {}
""",
)


@pytest.fixture(scope="module")
def greetings(shell: Shell, places: Path) -> Iterator[Shell]:
    """The shell, with a pipeline of two greetings added."""
    file = places / "greetings.pipeline.toml"
    file.write_text(GREETINGS)
    ran = shell.run("pipeline", "add", file, "--yes")
    assert ran.code == 0, ran
    assert "kernel.spawn  greeter  acts beyond this machine" in ran.err
    assert "echo.say      *        changes nothing; by the runs it spawns, not by itself" in ran.err
    yield shell
    shell.good("pipeline", "remove", "greetings")
    assert "greetings" not in shell.good("hands")


def test_check_tells_every_problem_and_where(shell: Shell, places: Path) -> None:
    file = places / "wrong.pipeline.toml"
    file.write_text(GREETINGS.replace('"greetings"', '"wrong"').replace("greeter", "greter").replace("who =", "whom ="))
    ran = shell.run("pipeline", "check", file)
    assert ran.code == 1
    assert f'{file}:12:8: no Hand "greter" is installed\n    did you mean "greeter"?' in ran.out
    problems = shell.run("pipeline", "check", file, "--json").table()
    assert problems["ok"] is False
    assert len(problems["problems"]) == ran.out.count(f"{file}:")  # type: ignore[arg-type]
    assert shell.run("pipeline", "add", file, "--yes").code == 1
    assert "wrong" not in shell.good("pipeline", "list")


def test_check_of_a_file_in_order_names_the_next_command(greetings: Shell, places: Path) -> None:
    ran = greetings.run("pipeline", "check", places / "greetings.pipeline.toml")
    assert (ran.code, "`maniple pipeline add" in ran.err) == (0, True)
    assert greetings.run("pipeline", "check", places / "nothing.toml").code == 2


def _secret_file(shell: Shell) -> Path:
    """Give greeter a secret. Returns the file that holds it."""
    shell.good("settings", "greeter", "token=x")
    return max((shell.home / "keys").glob("h-*.secrets"), key=lambda file: file.stat().st_mtime_ns)


def test_a_pipeline_that_this_version_refuses_hides_no_other_and_is_named(greetings: Shell, places: Path) -> None:
    file = places / "torn.pipeline.toml"
    file.write_text(PLAIN.replace("NAME", "torn").replace("HAND", "greeter"))
    greetings.good("pipeline", "add", file, "--yes")
    (inside,) = (greetings.home / "hands").glob("torn-*/torn.pipeline.toml")
    inside.write_text(inside.read_text().replace("hand =", "hnd ="))
    try:
        ran = greetings.run("pipeline", "list")
        assert (ran.code, "greetings" in ran.out, "torn" in ran.out) == (0, True, False), ran
        assert ran.err.startswith("torn cannot be read: torn.pipeline.toml:7:8: ")
        assert "`maniple pipeline add FILE`" in ran.err
        told: Any = greetings.result("pipeline", "list")
        assert [*told["unreadable"]] == ["torn"]
        whole = inside.read_bytes()
        for spoiled in (whole + b"\xff", None):
            inside.write_bytes(spoiled) if spoiled else inside.unlink()
            ran = greetings.run("pipeline", "show", "torn")
            assert (ran.code, f"{inside} cannot be read" in ran.err) == (1, True)
            assert "`maniple pipeline add FILE` again" in ran.err
        inside.write_bytes(whole)
        token = _secret_file(greetings)
        token.write_bytes(b"{")
        ran = greetings.run("pipeline", "list")
        assert (ran.code, "greetings" in ran.out, f"greeter cannot be read: refused: {token} is damaged" in ran.err) == (
            0, True, True,
        )  # fmt: skip
        assert (
            "there is no pipeline 'gretings', did you mean \"greetings\""
            in greetings.run("pipeline", "show", "gretings").err
        )
    finally:
        for file in (greetings.home / "keys").glob("h-*.secrets"):
            file.write_bytes(b"{}")
        greetings.good("remove", "torn")


def test_a_run_of_a_pipeline_can_be_bounded_in_cost_like_any_other(greetings: Shell) -> None:
    greetings.good("budget", "dollars=2/hour")
    try:
        words = ("pipeline", "run", "greetings", "who=Ada", "--wait", "--most")
        assert greetings.run(*words, "dollars=2.50").code == 4
        assert greetings.run(*words, "dollars=1.50").code == 0
        assert greetings.run(*words, "much").code == 2
    finally:
        greetings.good("budget", "--unset", "dollars")


def test_what_cannot_be_asked_is_not_added(shell: Shell, places: Path) -> None:
    file = places / "asked.pipeline.toml"
    file.write_text(GREETINGS.replace('"greetings"', '"asked"'))
    ran = shell.run("pipeline", "add", file)
    assert (ran.code, f"`maniple pipeline add {file} --yes`" in ran.err) == (2, True)


def test_a_hand_that_asks_for_all_methods_of_another_is_checked_by_what_it_was_granted_of_them(
    shell: Shell, places: Path
) -> None:
    hand = write_hand(places / "wide", WIDE)
    file = places / "wide-pipeline.pipeline.toml"
    file.write_text(PLAIN.replace("NAME", "wide-pipeline").replace("HAND", "wide"))
    shell.good("install", hand, "--yes")
    shell.good("pipeline", "check", file)
    shell.good("revoke", "wide", "echo.say")
    ran = shell.run("pipeline", "check", file)
    assert ran.code == 1
    assert '"wide" asks for "echo.say" = ["*"], and was not granted that' in ran.out
    shell.good("grant", "wide", "echo.say", "*")
    shell.good("pipeline", "check", file)


def test_list_shows_what_a_pipeline_takes_and_whom_it_runs(greetings: Shell) -> None:
    rows: Any = greetings.result("pipeline", "list")["pipelines"]
    (row,) = rows
    assert row["inputs"] == {"who": "string", "times": "int?"}
    assert (row["steps"], row["hands"]) == (2, ["greeter"])
    assert "who=string times=int?" in greetings.good("pipeline", "list")
    assert "lent" in greetings.good("grants", "greetings")


def test_run_reads_inputs_as_their_types_say_and_prints_the_outputs(greetings: Shell) -> None:
    ran = greetings.run("pipeline", "run", "greetings", "who=Ada", "times=2", "--watch", "--json")
    told = ran.table()
    texts: Any = told["value"]
    assert [one["text"] for one in texts["texts"]] == ["Hello, Hello, Ada! 0!", "Hello, Hello, Ada! 1!"]
    steps: Any = told["steps"]
    assert [(step["name"], step["state"]) for step in steps][:2] == [("one", "done"), ("two", "done")]
    assert (steps[1]["items"], steps[1]["done"]) == (2, 2)
    assert "one: done\n" in ran.err


@pytest.mark.wide
def test_who_only_waits_is_told_of_a_step_that_asks(shell: Shell, places: Path) -> None:
    file = places / "asking.pipeline.toml"
    file.write_text(PLAIN.replace("NAME", "asking").replace('"HAND"', '"greeter"\napproval = "it is late"'))
    shell.result("pipeline", "add", file, "--yes")
    waiting = shell.begin("pipeline", "run", "asking", "--wait")
    assert waiting.stderr is not None
    assert b"is under way" in waiting.stderr.readline()
    told = waiting.stderr.readline().decode()
    assert re.fullmatch(r"asking asks for kernel.spawn greeter: `maniple approve \d+` or `maniple deny \d+`\n", told)
    shell.good("deny", told.split("`")[1].split()[-1])
    waiting.communicate(timeout=20)
    assert waiting.returncode == 1
    shell.result("pipeline", "remove", "asking")


@pytest.mark.wide
def test_a_terminal_shows_a_tree_that_is_drawn_over(greetings: Shell) -> None:
    mine, theirs = os.openpty()
    words = [*MANIPLE, "pipeline", "run", "greetings", "who=Ada", "times=2", "--watch"]
    environment = greetings.environment(COLUMNS="100", TERM="xterm", NO_COLOR="1")
    shown = subprocess.Popen(words, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    drawn = b""
    with contextlib.suppress(OSError):  # the other end is closed when the command has ended
        while piece := os.read(mine, 4096):
            drawn += piece
    os.close(mine)
    assert shown.wait(30) == 0
    last = re.sub(r"\x1b\[\d*[KAJ]|\r", "", drawn.decode().rpartition("\x1b[K" + "greetings")[2]).splitlines()
    assert [line.split()[:2] for line in last[1:]] == [
        ["├─", "one"], ["├─", "two"], ["├─", "two[0]"], ["└─", "two[1]"],
    ]  # fmt: skip
    assert all("done" in line for line in last)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("times=2",), "`who` is missing"),
        (("who=Ada", "times=two"), "`times`"),
        (("who=Ada", "hwo=Ada"), 'did you mean "who"?'),
    ],
)
def test_run_refuses_inputs_that_do_not_fit(greetings: Shell, words: tuple[str, ...], why: str) -> None:
    ran = greetings.run("pipeline", "run", "greetings", *words)
    assert (ran.code, why in ran.err) == (2, True), ran


def test_a_run_that_fails_ends_the_command_with_1_and_says_where_to_look(greetings: Shell) -> None:
    ran = greetings.run("pipeline", "run", "greetings", "who=somebody", "--watch")
    assert ran.code == 1
    assert "two[0]: failed: unkind: it does not greet today\n" in ran.err
    assert "undo of one: done\n" in ran.err
    assert "the run failed: two[0]: it does not greet today (unkind)" in ran.err
    (look,) = re.findall(r"`maniple (pipeline show greetings --run r-\w+)`", ran.err)
    shown = greetings.good(*look.split())
    assert re.search(r"\n  two\[0\] +│ *█+ *│ +[\d.]+s  failed\n", shown)
    assert re.search(r"\n  undo of one +│ *█+ *│ +[\d.]+s  done$", shown.rstrip())


def test_show_draws_the_graph_and_for_programs_tells_the_run(greetings: Shell) -> None:
    shown = greetings.good("pipeline", "show", "greetings")
    assert "one      greeter; undone by greeter\n  └ two  greeter; after one; for each of ${range(" in shown
    run = greetings.good("pipeline", "run", "greetings", "who=Ada").strip()
    greetings.good("pipeline", "run", "greetings", "who=Eve", "--wait")
    told = greetings.result("pipeline", "show", "greetings", "--run", run)
    whole: Any = told["run"]
    assert whole["run"] == run
    assert greetings.run("pipeline", "show", "greetings", "--run", "r-nothing").code == 1


def test_cancel_ends_a_run_and_who_waits_for_it(greetings: Shell) -> None:
    waiting = greetings.begin("pipeline", "run", "greetings", "who=forever", "--wait")
    assert waiting.stderr is not None
    run = waiting.stderr.readline().decode().split()[0]
    greetings.good("cancel", run)
    _, words = waiting.communicate(timeout=30)
    assert (waiting.returncode, b"the run was cancelled: stopped by its operator" in words) == (1, True), words
    assert "greeter" not in greetings.good("ps")


@pytest.mark.parametrize("command", [("show",), ("run",), ("remove",)])
def test_a_hand_that_is_no_pipeline_and_one_that_is_not_there_are_told(greetings: Shell, command: tuple[str]) -> None:
    ran = greetings.run("pipeline", *command, "greeter")
    assert (ran.code, "greeter is a Hand, not a pipeline" in ran.err) == (1, True)
    ran = greetings.run("pipeline", *command, "gretings")
    assert (ran.code, "`maniple pipeline list`" in ran.err) == (1, True)
    assert "greeter" in greetings.good("hands")


def test_an_upgrade_shows_only_what_is_new(greetings: Shell, places: Path) -> None:
    file = places / "greetings.pipeline.toml"
    greetings.good("pipeline", "run", "greetings", "who=Ada", "--wait")
    assert "was begun with" not in greetings.good("pipeline", "show", "greetings")
    file.write_text(GREETINGS.replace("1.0.0", "1.1.0"))
    ran = greetings.run("pipeline", "add", file, "--yes")
    assert "Next: `maniple pipeline run greetings who=… --watch`" in ran.err
    assert "was begun with greetings 1.0.0, whose steps may be others than those above\n" in greetings.good(
        "pipeline", "show", "greetings"
    )
    assert (ran.code, "It asks for nothing more." in ran.err) == (0, True), ran
    assert greetings.good("pipeline", "list").split("\n")[1].split()[1] == "1.1.0"


def test_without_a_kernel_the_commands_end_with_3(still: Shell, places: Path) -> None:
    file = places / "greetings.pipeline.toml"
    file.write_text(GREETINGS)
    for words in (("check", file), ("add", file), ("list",), ("run", "x"), ("show", "x"), ("remove", "x")):
        assert still.run("pipeline", *words).code == 3, words


def test_the_folder_of_a_pipeline_is_checked_and_verified_as_any_hand_is(greetings: Shell, tmp_path: Path) -> None:
    hand: Any = greetings.result("show", "greetings")["hand"]
    folder = shutil.copytree(greetings.home / "hands" / hand["folder"], tmp_path / "greetings")
    assert greetings.run("check", folder).code == 0
    assert greetings.run("verify", folder).code == 0
    file = folder / "greetings.pipeline.toml"
    file.write_text(file.read_text().replace("steps.one.text", "steps.none.text"))
    ran = greetings.run("check", folder)
    assert (ran.code, 'there is no step "none"' in ran.out) == (1, True)
    assert greetings.run("verify", folder).code == 5
    file.unlink()
    assert "is not there" in greetings.run("check", folder).out


# the worked example --------------------------------------------------------------------------------------------------


def test_the_example_of_the_page_does_what_the_page_shows(furnished: Shell, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    assert page.count("```toml\n[inputs]") == 1
    (shown,) = re.findall(r"```toml\n(\[inputs\].*?)```", page, re.DOTALL)
    assert (EXAMPLE / "weather-report.pipeline.toml").read_text(encoding="utf-8").endswith(shown)
    (console,) = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shell = copied_home(furnished, tmp_path / "home")
    shell.good("up")
    maniple = f'maniple() {{ {" ".join(MANIPLE)} "$@"; }}; '
    try:
        for block in console.split("$ ")[1:]:
            command, _, expected = block.partition("\n")
            done = subprocess.run(
                ["sh", "-c", maniple + command], cwd=tmp_path, env=shell.environment(), text=True, timeout=60, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout
            at = 0
            for line in expected.splitlines():
                if line != "…":
                    assert line in done.stdout[at:], f"{command}\n{done.stdout}\nhas no {line!r}"
                    at = done.stdout.index(line, at)
    finally:
        shell.run("down")
