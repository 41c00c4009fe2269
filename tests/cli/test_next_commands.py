"""What a person is told to type next can be typed as it stands, and what was mistyped is told with what was meant."""

import shutil
from pathlib import Path

import pytest

from tests.cli.shell import Shell, copied_home
from tests.living import ROOT, Source, write_hand

FORGETFUL = Source(
    """
[hand]
name = "forgetful"
version = "1.0.0"
description = "Needs to be told what it works with, and breaks all the same."
entry = "main:Forgetful"
kind = "task"
autonomy = "readonly"

[capabilities]

[settings.token]
type = "string"
secret = true
required = true

[settings.colour]
type = "string"
required = true
choices = ["red", "blue"]
help = "What to paint with"
""",
    """
from runtime import Hand


class Forgetful(Hand):
    async def run(self, page: str, most: int = 3) -> None:
        raise ValueError(page + "\\x1b[2J")
""",
)
PIPELINE = """
[pipeline]
name = "evening"
version = "1.0.0"
description = "Greets in the evening."

[steps.greet]
hand = "greeter"
"""


@pytest.fixture(scope="module")
def forgetful(shell: Shell, places: Path) -> str:
    """What was said when the Hand `forgetful` was installed."""
    folder = write_hand(places / "forgetful", FORGETFUL)
    ran = shell.run("install", folder, "--yes")
    assert ran.code == 0, ran
    return ran.err


def test_install_tells_first_the_settings_that_it_needs_and_then_the_inputs_of_its_work(
    shell: Shell, places: Path, forgetful: str
) -> None:
    assert "Next: `maniple settings forgetful --secret token colour=…`, without which it does not start" in forgetful
    refused = shell.run("start", "forgetful", "page=x")
    assert "`token` has no value; give --secret token" in refused.err
    shell.good("settings", "forgetful", "colour=red", "--secret", "token", stdin="hush\n")
    assert "What to paint with. One of red, blue." in shell.good("settings", "forgetful")
    again = shell.run("install", places / "forgetful", "--yes").err
    assert "Next: `maniple start forgetful page=… --wait`" in again


def test_a_traceback_stands_below_its_record_and_acts_on_no_terminal(shell: Shell, forgetful: str) -> None:
    shell.good("settings", "forgetful", "colour=red", "--secret", "token", stdin="hush\n")
    assert shell.run("start", "forgetful", "page=oops", "--wait").code == 1
    lines = shell.good("logs", "forgetful").splitlines()
    at = lines.index("    Traceback (most recent call last):")
    assert "a call raised" in lines[at - 1]
    assert any(line.startswith('      File "forgetful/main.py", line ') for line in lines[at:])
    assert lines[-1] == "    ValueError: oops\\u{1b}[2J"


def test_logs_follow_what_comes(shell: Shell) -> None:
    shell.good("start", "greeter", "who=Before", "--wait")
    follower = shell.begin("logs", "greeter", "-f", "-n", "1")
    try:
        assert follower.stdout is not None
        assert follower.stdout.readline(), "it has begun to follow"
        shell.good("start", "greeter", "who=Followed", "--wait")
        assert any(b"printed Followed" in line for line in iter(follower.stdout.readline, b""))
    finally:
        follower.terminate()
        follower.communicate()


def test_where_there_is_no_terminal_install_repeats_all_that_was_typed(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "quoted", "--into", tmp_path).strip()
    spaced = Path(folder).rename(tmp_path / "a folder")
    ran = shell.run("install", spaced, "--effects-as-declared")
    assert f"`maniple install '{spaced}' --effects-as-declared --yes`" in ran.err


def test_one_request_is_told_as_one(shell: Shell) -> None:
    shell.run("start", "greeter", "fail:=true", "--wait")
    runs = shell.result("runs", "greeter")["runs"]
    assert isinstance(runs, list)
    said = shell.run("replay", runs[-1]["run"], "--json").err
    assert said == "The same 1 request, and to the same end, failed unkind: it does not greet today.\n"
    shell.result("erase", runs[-1]["run"], "--yes")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--kind", "refussal"), 2, "did you mean `maniple audit search --kind refusal`?"),
        (("--kind", "xyz"), 2, "there are kernel.start, "),
        (("--hand", "greter"), 1, 'did you mean "greeter"'),
    ],
)
def test_a_search_for_what_no_entry_can_be_says_so(shell: Shell, words: tuple[str, ...], code: int, told: str) -> None:
    ran = shell.run("audit", "search", *words)
    assert (ran.code, ran.out, told in ran.err) == (code, "", True), ran
    assert ran.err.count("\n") == 1


def test_a_mistyped_pipeline_is_told_with_the_one_that_was_meant(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "evening.pipeline.toml"
    file.write_text(PIPELINE)
    shell.good("pipeline", "add", file, "--yes")
    for word in ("run", "show", "remove"):
        ran = shell.run("pipeline", word, "evning")
        assert (ran.code, 'did you mean "evening"' in ran.err) == (1, True), ran
    shell.good("pipeline", "remove", "evening")


def test_check_names_a_command_that_takes_clean(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "cached", "--into", tmp_path).strip()
    (Path(folder) / "__pycache__").mkdir()
    ran = shell.run("check", folder)
    assert (ran.code, "remove it, or add --clean to `maniple install` or `maniple seal`" in ran.out) == (1, True), ran


def test_check_of_a_program_that_linux_cannot_start_says_what_to_write(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "begun", "--into", tmp_path).strip())
    toml = (folder / "HAND.toml").read_text()
    (folder / "HAND.toml").write_text(toml.replace('entry = "main:Begun"', 'command = ["./main.py"]'))
    ran = shell.run("check", folder)
    told = "main.py:1:1: it is neither a program for this machine nor a script"
    assert (ran.code, told in ran.out, "#!/usr/bin/env python3" in ran.out) == (1, True, True), ran


def test_check_and_install_of_the_manifest_itself_name_its_folder(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "pointed", "--into", tmp_path).strip()
    for command in ("check", "install"):
        ran = shell.run(command, Path(folder) / "HAND.toml")
        assert (ran.code, f"HAND.toml is a file: name its folder, {folder}" in ran.err) == (1, True), ran


def test_check_and_install_of_a_pipeline_lead_to_its_own_commands(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "daily.pipeline.toml"
    file.write_text("")
    meant = f"is a pipeline: `maniple pipeline check {file}` checks it, `maniple pipeline add {file}` installs it"
    for command in ("check", "install", "seal"):
        ran = shell.run(command, file)
        assert (ran.code, meant in ran.err) == (1, True), ran


def test_a_task_that_only_answers_calls_is_not_to_be_started(shell: Shell, tmp_path: Path) -> None:
    toml = """
[hand]
name = "answering"
version = "1.0.0"
description = "Has a method called run, and no work of its own."
entry = "main:Answering"
kind = "task"
autonomy = "readonly"

[capabilities]

[provides."answering.run"]
summary = "Say what it was told"
resource = "none"
effect = "read"
params = { text = "string" }
"""
    code = """
from runtime import Call, Hand


class Answering(Hand):
    async def run(self, call: Call, text: str) -> object:
        return {"text": text}
"""
    ran = shell.run("install", write_hand(tmp_path / "answering", Source(toml, code)), "--yes")
    assert "Next: `maniple methods answering`" in ran.err
    assert shell.result("call", "answering.run", "text=hi")["value"] == {"text": "hi"}
    shell.good("remove", "answering")


@pytest.mark.parametrize("method", ["greeter.run", "greeter"])
def test_who_calls_the_work_of_a_task_is_told_what_starts_it(shell: Shell, method: str) -> None:
    ran = shell.run("call", method, "who=Ada")
    told = f"nothing provides '{method}': greeter is a task, and `maniple start greeter` begins its work"
    assert (ran.code, told in ran.err) == (1, True), ran


def test_an_upgrade_that_asks_for_more_says_so(shell: Shell, tmp_path: Path) -> None:
    folder = Path(shell.good("new", "growing", "--into", tmp_path).strip())
    shell.good("install", folder, "--yes")
    toml = (folder / "HAND.toml").read_text()
    (folder / "HAND.toml").write_text(toml.replace("[capabilities]\n", '[capabilities]\n"echo.say" = ["*"]\n'))
    assert "It also asks for:" in shell.run("install", folder, "--yes").err
    assert shell.good("revoke", "growing", "echo.say") == "Taken back. growing holds nothing now.\n"
    shell.good("remove", "growing")


def test_a_folder_that_is_not_there_is_said_to_be_missing(shell: Shell, tmp_path: Path) -> None:
    ran = shell.run("roots", "add", "nowhere", tmp_path / "none")
    assert (ran.code, f"there is no folder '{tmp_path}/none': make it first, or name another" in ran.err) == (1, True)


def test_what_is_no_pipeline_is_not_proposed_as_one(shell: Shell) -> None:
    ran = shell.run("pipeline", "run", "greetr")
    assert (ran.code, "there is no pipeline 'greetr': see `maniple pipeline list`" in ran.err) == (1, True), ran


def test_an_option_that_stands_before_its_command_is_told_where_it_belongs(shell: Shell) -> None:
    ran = shell.run("--json", "ps")
    assert (ran.code, "--json comes after the command, as in `maniple status --json`" in ran.err) == (2, True), ran


def test_required_settings_are_given_one_after_the_other_and_what_is_missing_is_said(
    shell: Shell, tmp_path: Path
) -> None:
    source = Source(FORGETFUL.toml.replace("forgetful", "patient"), FORGETFUL.main)
    shell.run("install", write_hand(tmp_path / "patient", source), "--yes")
    ran = shell.run("settings", "patient", "colour=red")
    assert (ran.code, "It does not start yet: `maniple settings patient --secret token`" in ran.err) == (0, True), ran
    ran = shell.run("settings", "patient", "--secret", "token", stdin="hush\n")
    assert (ran.code, "does not start yet" in ran.err) == (0, False), ran
    ran = shell.run("settings", "patient", "--unset", "colour")
    assert (ran.code, "`colour` has no value; give colour=... (What to paint with)" in ran.err) == (2, True), ran
    shell.good("remove", "patient", "--purge", "--yes")


@pytest.mark.wide
def test_up_names_each_bundled_hand_that_is_of_another_version_of_maniple_with_what_brings_it_to_this_one(
    furnished: Shell, tmp_path: Path
) -> None:
    """It runs with this version's libraries, and may fail with them: nothing told that its own version is the same."""
    shell, ours = copied_home(furnished, tmp_path / "home"), ROOT / "hands" / "time"
    older = shutil.copytree(ours, tmp_path / "time", ignore=shutil.ignore_patterns("__pycache__"))
    (older / "main.py").write_text((ours / "main.py").read_text() + "\nOLDER = True\n")
    own = shutil.copytree(older, tmp_path / "time-2")
    (own / "HAND.toml").write_text((ours / "HAND.toml").read_text().replace('name = "time"', 'name = "time-2"', 1))
    (own / "HAND.toml").write_text((own / "HAND.toml").read_text().replace('"time.', '"time-2.'))
    assert "another version" not in shell.run("up").err
    shell.good("install", own, "--yes")
    shell.good("install", older, "--yes")
    shell.good("down")
    (shell.home / "keys" / f"h-{'0' * 16}.secrets").mkdir()  # which no start can take away
    told = shell.run("up").err
    assert "another version of Maniple" in told
    assert told.splitlines()[-1].endswith(" with this one: time. To upgrade: `maniple install --bundled`")
    shell.good("install", ours, "--yes")
    shell.good("down")
    assert "another version" not in shell.run("up").err
    shell.good("down")
