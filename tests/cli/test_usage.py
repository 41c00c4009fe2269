"""What was typed wrongly, and what is not there, is told in our own words, with a code and a next command that help."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli.main import run
from tests.cli.shell import Shell, copied_home, is_one_clear_line
from tests.living import ROOT, Source, write_hand

PLAIN = Source(
    """
[hand]
name = "plain"
version = "1.0.0"
description = "Does nothing, and says nothing."
entry = "main:Plain"
kind = "task"
autonomy = "readonly"
""",
    """
from runtime import Hand


class Plain(Hand):
    async def run(self) -> object:
        return None
""",
)


@pytest.fixture(scope="module")
def calm(made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home whose kernel runs, with the Hand `plain`, which never ran. Tests change only Hands of their own."""
    shell = copied_home(made, tmp_path_factory.mktemp("calm") / "home")
    shell.good("up")
    install_plain(shell, "plain", shell.home.parent)
    yield shell
    shell.run("down")


def install_plain(shell: Shell, name: str, place: Path) -> Path:
    """Install such a Hand by this name, made at that place; where its files are then."""
    source = PLAIN._replace(toml=PLAIN.toml.replace("plain", name))
    shell.good("install", write_hand(place / name, source), "--yes")
    (folder,) = (shell.home / "hands").glob(f"{name}-*")
    return folder


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("audit show x", "SEQ: `x` is not a whole number from 0"),
        ("audit show -- -1", "SEQ: `-1` is not a whole number from 0"),
        ("audit tail -n -1", "--lines: `-1` is not a whole number from 0"),
        ("audit tail -n 99999999999999999999999999", "is not a whole number from 0 to 999999999999999"),
        ("audit prove 1e3", "SEQ: `1e3` is not a whole number"),
        ("audit search -n ٣", "is not a whole number from 1"),
        ("runs -n 0", "--most: `0` is not a whole number from 1"),
        ("completion ksh", "SHELL: 'ksh' is not one of 'bash', 'zsh', 'fish'"),
        ("completion", "SHELL is missing"),
        ("call", "METHOD is missing"),
        ("grant a b", "PATTERN is missing"),
        ("keys new file", "--name is missing"),
        ("keys new file --name a+b", "--name: a key name is not empty and holds neither spaces nor '+'"),
        ("roots add Data .", "'Data' is not a name for a root: write small letters and digits"),
        ("budget tokens=10/week", "tokens: "),
        ("budget dollars=2/day,3/day", "dollars: two amounts are for the same window: leave one out"),
        ("audit search --run nope", "nope is not a run's id"),
        ("audit export log.zip", "log.zip is neither a folder's name nor ends in .tar or .tar.gz"),
        ("plans -n 0", "--most: `0` is not a whole number from 1 to 500"),
        ("artifacts -n 501", "--most: `501` is not a whole number from 1 to 500"),
        ("memory search x -n 0", "--most: `0` is not a whole number from 1 to 100"),
        ("memory list -n 0", "--most: `0` is not a whole number from 1"),
        ("ps extra words", "it takes no more arguments, and was given extra words"),
        ("ps --jsonn", 'there is no option --jsonn, did you mean "--json"'),
        ("ps --home", "--home needs a value after it"),
        ("start web --wait=3", "--wait takes no value: see `maniple start --help`"),
        ("keys list --json=3", "--json takes no value: see `maniple keys list --help`"),
    ],
)
def test_wrong_usage_is_told_in_our_own_words(words: str, told: str, tmp_path: Path) -> None:
    ran = Shell(tmp_path / "none").run(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert is_one_clear_line(ran)
    assert told in ran.err


def test_a_command_that_is_like_none_leads_to_the_help_and_in_a_group_to_its_commands(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "none")
    assert shell.run("nonsense").err == "maniple: there is no command `nonsense`: see `maniple --help`\n"
    told = shell.run("roots", "nonsense").err
    assert "it has list, add and remove: see `maniple roots --help`" in told


@pytest.mark.parametrize("command", ["logs", "runs", "grants", "show", "start", "stop", "pause", "remove"])
def test_a_hand_that_is_not_installed_is_told_alike_by_all(command: str, calm: Shell) -> None:
    ran = calm.run(command, "nope")
    assert (ran.code, ran.out) == (1, "")
    assert is_one_clear_line(ran)
    assert "no Hand 'nope' is installed" in ran.err


@pytest.mark.parametrize("command", ["logs", "runs"])
def test_a_hand_that_never_ran_is_no_error(command: str, calm: Shell) -> None:
    ran = calm.run(command, "plain")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("plain has ")


def test_a_hand_that_was_removed_still_has_its_runs_and_one_that_never_ran_is_gone(calm: Shell, tmp_path: Path) -> None:
    for name in ("first", "second"):
        install_plain(calm, name, tmp_path)
    run = str(calm.result("start", "first", "--wait")["run"])
    calm.good("remove", "first")
    assert run in calm.good("runs", "first")
    assert "maniple run-show" in calm.run("runs", run).err
    calm.good("remove", "second")
    assert calm.run("runs", "second").code == 1


@pytest.mark.parametrize("words", ["logs x", "runs x", "ps", "up", "audit tail", "keys"])
def test_a_home_that_is_not_there_is_told_with_how_to_make_one(words: str, tmp_path: Path) -> None:
    ran = Shell(tmp_path / "none").run(*words.split())
    assert ran.code == 1
    assert "there is no home" in ran.err
    assert "`maniple init`" in ran.err


@pytest.mark.parametrize("words", ["init", "up", "ps", "runs", "logs x", "keys", "audit verify"])
def test_a_home_that_lost_its_file_is_to_be_restored_and_not_made(words: str, still: Shell, tmp_path: Path) -> None:
    broken = copied_home(still, tmp_path / "broken")
    (broken.home / "home.toml").unlink()
    ran = broken.run(*words.split())
    assert (ran.code, ran.out) == (1, "")
    assert is_one_clear_line(ran)
    assert "home.toml is missing: restore that file" in ran.err
    assert "maniple init" not in ran.err


@pytest.mark.wide
def test_an_install_into_a_home_without_its_hands_folder_says_what_makes_it_anew(still: Shell, tmp_path: Path) -> None:
    still.good("up")
    shutil.rmtree(still.home / "hands")
    folder = write_hand(tmp_path / "plain", PLAIN)
    ran = still.run("install", folder, "--yes")
    assert ran.code == 1
    assert "`maniple up`" in ran.err
    still.good("down")
    still.good("up")
    still.good("install", folder, "--yes")


@pytest.mark.parametrize(
    ("words", "hand"),
    [
        ("memory stats", "memory"), ("memory search x", "memory"), ("plans", "plan"), ("artifacts", "report"),
        ("schedules list", "scheduling"), ("models list", "model"), ("models test", "model"), ("ask hi", "assistant"),
        ("chat", "assistant"), ("call files.read data/x", "files"), ("show time", "time"),
    ],
)  # fmt: skip
def test_what_needs_a_bundled_hand_that_is_not_installed_says_what_installs_it(
    words: str, hand: str, calm: Shell
) -> None:
    ran = calm.run(*words.split(), stdin="x\n")
    assert (ran.code, is_one_clear_line(ran)) == (1, True), ran
    told = (
        f"no Hand '{hand}' is installed: it comes with Maniple, and `maniple install {ROOT}/hands/{hand}` installs it"
    )
    assert ran.err == f"maniple: {told}\n"


def test_that_no_hand_is_granted_anything_is_said_so(calm: Shell) -> None:
    assert calm.run("grants").err == "No Hand is granted anything.\n"
    assert calm.run("grants", "plain").err == "plain is granted nothing.\n"


def test_a_hand_of_another_kind_whose_name_begins_as_a_servers_hides_no_server(calm: Shell, tmp_path: Path) -> None:
    install_plain(calm, "mcp-own", tmp_path)
    assert calm.result("mcp", "list") == {"servers": [], "unreadable": {}}
    ran = calm.run("mcp", "test", "own")
    assert (ran.code, is_one_clear_line(ran)) == (1, True), ran
    assert "mcp-own is not a server that `maniple mcp add` made" in ran.err
    assert "Errno" not in ran.err


def test_a_hand_that_was_altered_is_refused(calm: Shell, tmp_path: Path) -> None:
    folder = install_plain(calm, "altered", tmp_path)
    (folder / "main.py").write_text("print('other')\n")
    for words in (("start", "altered", "--wait"), ("start", "altered")):
        ran = calm.run(*words)
        assert (ran.code, ran.out) == (4, "")
        assert "was changed after sealing" in ran.err
        assert "`maniple install DIR`" in ran.err


def test_a_start_that_misses_a_folder_says_which_and_what_brings_it_back(calm: Shell, tmp_path: Path) -> None:
    folder = install_plain(calm, "mislaid", tmp_path)
    folder.rename(tmp_path / "kept")
    ran = calm.run("start", "mislaid", "--wait")
    assert (ran.code, ran.out) == (4, "")
    assert f"mislaid does not start: {folder} is not there any more: restore it, or `maniple install DIR`" in ran.err
    (tmp_path / "kept").rename(folder)
    calm.good("start", "mislaid", "--wait")


def test_a_root_that_is_gone_keeps_nobody_from_the_others_and_is_told_with_what_to_type(
    calm: Shell, tmp_path: Path
) -> None:
    calm.good("install", ROOT / "hands" / "files", "--yes")
    for name in ("data", "away"):
        (tmp_path / name).mkdir()
        calm.good("roots", "add", name, tmp_path / name)
    (tmp_path / "away").rmdir()
    calm.good("call", "files.list", "data")
    ran = calm.run("call", "files.list", "away")
    assert (ran.code, ran.out) == (1, "")
    assert "away: there is no root 'away', or its folder was gone or closed when this Hand started" in ran.err
    (tmp_path / "away").mkdir()
    assert "`maniple restart files`" in ran.err
    calm.good("restart", "files")
    calm.good("call", "files.list", "away")


@pytest.mark.parametrize("words", [("call", b"kernel.ps\xff"), ("show", b"\xff"), ("start", b"plain", b"a=\xff")])
def test_words_that_are_no_text_are_wrong_usage(words: tuple[str | bytes, ...], calm: Shell) -> None:
    ran = calm.run(*map(os.fsdecode, words))
    assert (ran.code, ran.out) == (2, "")
    assert "UTF-8 text" in ran.err


@pytest.mark.parametrize("command", ["init", "up", "ps"])
def test_a_home_whose_path_is_no_text_is_wrong_usage(command: str, tmp_path: Path) -> None:
    """Its kernel would come up, and no run could be told where its scratch is."""
    home = os.fsdecode(os.fsencode(tmp_path) + b"/a\xffb")
    for ran in (Shell(tmp_path).run("--home", home, command), Shell(tmp_path).run(command, MANIPLE_HOME=home)):
        assert (ran.code, ran.out) == (2, "")
        assert is_one_clear_line(ran)
        assert "UTF-8 text" in ran.err
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("words", [("audit", "export", "none/there/log"), ("new", "greeter", "--into", "none/there")])
def test_a_folder_to_write_into_that_is_missing_is_named(words: tuple[str, ...], still: Shell, tmp_path: Path) -> None:
    ran = still.run(*words, cwd=tmp_path)
    assert ran.code == 1
    assert is_one_clear_line(ran)
    assert "none/there: make it first" in ran.err


@pytest.mark.parametrize("day", ["yesterday", "2026-13-45", "20261126", "2026-W01-1"])
def test_a_day_that_is_none_is_told(still: Shell, day: str) -> None:
    ran = still.run("usage", "--since", day)
    assert (ran.code, "write a day such as" in ran.err) == (2, True), ran


def test_a_search_from_before_all_logs_finds_everything(still: Shell) -> None:
    assert still.good("audit", "search", "--since", "0001-01-01") == still.good("audit", "search")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "`maniple init`, then `maniple up`"), (("audit",), "verify-proof"), (("audit", "tail"), "--follow"),
        (("roots",), "Alone it is `maniple roots list`"), (("start",), "--wait"),
    ],
)  # fmt: skip
def test_h_is_help(words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (run([*words, "-h"]), run([*words, "--help"])) == (0, 0)
    told = capsys.readouterr()
    half = len(told.out) // 2
    assert (told.out[:half], told.err) == (told.out[half:], "")
    assert "  -h, --help" in told.out
    assert says in " ".join(told.out.split())
