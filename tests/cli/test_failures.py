"""A command that fails with --json tells a program so: one object on stdout, the same of every command."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kernel.cli import commands, ends, failures
from kernel.cli.exits import Exit, NotDone
from kernel.cli.main import run
from tests.cli.shell import Ran, Shell
from tests.cli.test_errors import ALONE, OF_THE_HOME, found, words_of
from tests.living import Source, write_hand
from wire import headers

HALFWAY = Source(
    """
[hand]
name = "halfway"
version = "1.0.0"
description = "Breaks off in the middle of a stream."
entry = "main:Halfway"
kind = "service"
autonomy = "full"

[provides."halfway.give"]
summary = "Give some bytes, then fail"
resource = "none"
effect = "read"
idempotent = true
""",
    """
from runtime import Call, Failure, Hand


class Halfway(Hand):
    async def give(self, call: Call) -> None:
        await call.send(b"some bytes")
        raise Failure("broken", "there are no more")
""",
)

WITH_JSON = sorted(name for name in commands.all_commands() if any(one.name == "json" for one in found(name).params))


def _ran(capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> Ran:
    """What a command comes to, in this process."""
    code = run(list(words))
    return Ran(code, *capsys.readouterr())


def _is_told(ran: Ran, outcome: str, code: str) -> bool:
    """Whether both a person and a program are told the same."""
    told = ran.table()
    return told == {
        "outcome": outcome, "code": code, "text": ran.err.removeprefix("maniple: ").rstrip("\n"),
        "grant": told.get("grant"), "exit": ran.code,
    }  # fmt: skip


def test_most_commands_have_a_result_for_programs() -> None:
    assert len(WITH_JSON) > 80


def test_a_kernel_that_does_not_run_is_told_by_every_command(made: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    for name in sorted({*WITH_JSON} - ALONE - OF_THE_HOME):
        ran = _ran(capsys, ["--home", str(made.home), *words_of(name), "--json"])
        assert ran.code == 3, (name, ran)
        assert _is_told(ran, "failed", "no kernel"), (name, ran)


def test_a_home_that_is_not_there_is_told_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in sorted({*WITH_JSON} - ALONE):
        ran = _ran(capsys, ["--home", str(tmp_path / "none"), *words_of(name), "--json"])
        assert ran.code == 1, (name, ran)
        assert _is_told(ran, "failed", "failed"), (name, ran)


@pytest.mark.parametrize("name", WITH_JSON)
def test_wrong_usage_is_told_by_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran = _ran(capsys, [*name.split(), "--json", "--no-such-option"])
    assert ran.code == 2
    assert _is_told(ran, "failed", "usage"), ran


def test_words_of_another_program_ask_for_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ran(capsys, ["mcp", "add", "--no-such-option", "--", "x", "--json"]).out == ""


def test_a_result_that_tells_how_it_failed_stays_the_only_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "HAND.toml").write_text("[hand]\n")
    ran = _ran(capsys, ["check", str(tmp_path), "--json"])
    assert (ran.code, ran.table()["ok"]) == (1, False)


def test_what_a_command_raises_of_files_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "HAND.toml").write_text("[hand]\n")
    ran = _ran(capsys, ["seal", str(tmp_path), "--key", str(tmp_path / "none"), "--json"])
    told = ran.table()
    assert (ran.code, told["exit"], told["outcome"]) == (1, 1, "failed")
    assert f"{tmp_path}/HAND.toml:" in str(told["text"])


def test_a_refused_call_is_told_with_its_code(shell: Shell) -> None:
    ran = shell.run("call", "files.read", "../x", "--json")
    assert (ran.code, _is_told(ran, "refused", "resource")) == (4, True), ran


@pytest.mark.parametrize(
    "words", ["start greetr", "pause greetr", "grant greetr echo.say *", "grants greetr", "runs greetr", "logs greetr"]
)
def test_a_hand_that_is_not_there_is_told_with_one_code(words: str, shell: Shell) -> None:
    ran = shell.run(*words.split(), "--json")
    assert (ran.code, _is_told(ran, "failed", "unknown hand"), 'did you mean "greeter"' in ran.err) == (
        1,
        True,
        True,
    ), ran


def test_a_call_that_failed_is_told_with_its_code(shell: Shell) -> None:
    ran = shell.run("call", "files.read", "nowhere/x", "--json")
    assert (ran.code, _is_told(ran, "failed", "unknown root")) == (1, True), ran


@pytest.mark.parametrize(
    ("end", "outcome", "code", "grant"),
    [
        (headers.Failed(number=1, code="late", text="it came late"), "failed", "late", ""),
        (headers.Refused(number=1, code="capability", why="no", grant='"a.b" = ["x"]'), "refused", "capability", "x"),
        (headers.Refused(number=1, code="no provider", why="nobody provides it"), "failed", "no provider", ""),
        (headers.Cancelled(number=1, why="its Hand stopped"), "cancelled", "cancelled", ""),
    ],
)
def test_the_code_is_told_even_where_the_text_has_it(
    end: headers.Failed | headers.Refused | headers.Cancelled, outcome: str, code: str, grant: str
) -> None:
    error = ends.to_error(end)
    told = failures.as_json(error, str(error), error.code)
    assert (told["outcome"], told["code"], grant in str(told["grant"])) == (outcome, code, True)


def test_a_call_whose_time_is_up_is_told_with_where_its_provider_may_have_failed_to_start() -> None:
    end = headers.Failed(number=1, code="deadline", text="it did not end within its time")
    told = "it did not end within its time (deadline)"
    assert str(ends.to_error(end, "memory.get")) == f"{told}: `maniple runs memory` shows if memory starts and why not"
    assert str(ends.to_error(end, "run")) == told


@pytest.mark.parametrize("code", ["raised", "returns", "poison", "ended"])
def test_a_call_over_which_its_provider_broke_is_told_with_what_shows_more(code: str) -> None:
    end = headers.Failed(number=1, code=code, text="KeyError: 'x'")
    assert str(ends.to_error(end, "mcp-feed.add")) == f"KeyError: 'x' ({code}): `maniple logs mcp-feed` shows more"


def test_a_run_that_failed_is_told_as_before(shell: Shell) -> None:
    ran = shell.run("start", "greeter", "fail=true", "--wait", "--json")
    told = ran.table()
    assert (ran.code, told["outcome"], told["code"], told["text"]) == (1, "failed", "unkind", "it does not greet today")


def test_bytes_that_went_out_are_followed_by_nothing(shell: Shell, places: Path) -> None:
    shell.good("install", write_hand(places / "halfway", HALFWAY), "--yes")
    ran = shell.run("call", "halfway.give", "--json")
    assert (ran.code, ran.out, "broken" in ran.err) == (1, "some bytes", True), ran


@pytest.mark.parametrize(
    ("reason", "lacking", "told"),
    [
        ("template", "user namespaces", "no Hand can run here: this machine lacks user namespaces; `maniple "),
        ("ended", "user namespaces", "no Hand can run here: this machine lacks user namespaces; `maniple "),
        ("ended", "", "in any words"),
        ("conflict", "user namespaces", "in any words"),
    ],
)
def test_that_no_run_can_be_made_is_known_by_the_code_of_the_failure_and_not_by_its_words(
    reason: str,
    lacking: str,
    told: str,
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The machine that lacks something is a fake: this one may lack nothing."""

    def refuse(_: object) -> None:
        raise NotDone("in any words", reason, Exit.REFUSED)

    monkeypatch.setattr("kernel.cli.live_runs.fetch_all", refuse)
    monkeypatch.setattr("kernel.cli.machine.inspect", lambda _: ())
    monkeypatch.setattr("kernel.cli.machine.lacking", lambda _: lacking)
    ran = _ran(capsys, ["--home", str(shell.home), "ps"])
    assert ran.code == Exit.REFUSED
    assert ran.err.startswith(f"maniple: {told}"), ran


@pytest.mark.parametrize(
    ("code", "text", "shown"),
    [
        ("full", "the disk is full", "the disk is full"),
        ("no match", "no match: nothing was changed", "no match: nothing was changed"),
        ("full", "it was not carefully read", "it was not carefully read (full)"),
        ("disk", "2 diskettes", "2 diskettes (disk)"),
        ("arguments", "x is no number", "x is no number"),
    ],
)
def test_a_failures_code_is_added_unless_its_text_has_it_as_a_word(code: str, text: str, shown: str) -> None:
    assert str(ends.to_error(headers.Failed(number=0, code=code, text=text), "files.read", "a")) == shown
