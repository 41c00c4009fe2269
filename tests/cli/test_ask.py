"""People ask Hands that think: what is printed, waited for and taken back."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli import asking, replies
from kernel.cli.client import Client, Reply
from kernel.cli.frame import Session
from tests.cli.providers import scripted_home
from tests.cli.shell import Shell
from tests.spread import spread
from tests.system.fates import until

SCRIPT: Final = "\n".join(
    json.dumps(turn)
    for turn in (
        {"when": "what is my name", "times": 0, "text": "You have not told me."},
        {"when": "I am Ada", "times": 0, "text": "Hello, \x1b[31mAda."},
        {"when": "read it", "times": 0, "at": 0,
         "calls": [{"name": "web_fetch", "arguments": {"url": "https://example.org/"}}]},
        {"when": "in plain words", "times": 0, "at": 0,
         "calls": [{"name": "pages_read", "arguments": {"url": "https://example.org/"}}]},
        {"when": "denied", "times": 0, "text": "Then I do without."},
        {"when": "take long", "times": 0, "delay": 30, "text": "Late."},
        {"when": "look at both", "times": 0, "at": 0, "delay": 3, "text": "Both are empty."},
        {"when": "Only the left one.", "times": 0, "at": 1, "text": "The left one is empty."},
        {"when": "the secret is", "times": 0, "text": "I have read the file."},
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def shell(furnished: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home of its own, as `init` makes it, whose route is a script."""
    with scripted_home(furnished, tmp_path_factory.mktemp("ask") / "home", SCRIPT) as shell:
        yield shell


def test_a_question_is_answered_on_stdout_and_nothing_in_it_acts_on_a_terminal(shell: Shell) -> None:
    ran = shell.run("ask", "I am Ada")
    assert (ran.code, ran.out) == (0, "Hello, \\u{1b}[31mAda.\n")
    assert shell.good("ask", "-", stdin="I am\nI am Ada\n") == ran.out


def test_a_model_that_is_tried_shows_its_answer_escaped_and_without_its_thoughts(shell: Shell) -> None:
    try:
        for text, shown in (("\\u001b[31mred", "\\u{1b}[31mred\n"), ("", "it gave no text")):
            shell.good("settings", "model", f'script={{"thinking": "It is wanted.", "text": "{text}", "times": 0}}')
            told = shell.good("models", "test", "scripted/script")
            assert (shown in told, "wanted" in told) == (True, False), told
        assert shell.result("models", "test", "scripted/script")["answer"]["said"] == "script"  # type: ignore[index]
    finally:
        shell.good("settings", "model", f"script={SCRIPT}")


def test_each_question_stands_alone(shell: Shell) -> None:
    shell.good("ask", "I am Ada")
    assert shell.good("ask", "what is my name") == "You have not told me.\n"


def test_the_whole_outcome_is_there_for_programs(shell: Shell) -> None:
    told = shell.result("ask", "I am Ada")
    assert (told["outcome"], told["value"]["steps"]) == ("done", 1)  # type: ignore[index]
    assert shell.result("models")["routes"] == {"default": ["scripted/script"]}
    assert {row["model"] for row in shell.result("usage")["usage"]} == {"scripted/script"}  # type: ignore[attr-defined]


def test_a_file_goes_with_a_question(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the secret is 4711")
    assert shell.good("ask", "look", "--file", tmp_path / "a.txt") == "I have read the file.\n"
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe")
    (tmp_path / "c.txt").write_text("x" * (256 * 1024 + 1))
    for name, why in (
        ("b.bin", "neither UTF-8 text nor a picture"),
        ("c.txt", "longer than 256 KiB"),
        ("d.txt", "No such file"),
    ):
        ran = shell.run("ask", "look", "--file", tmp_path / name)
        assert (ran.code, why in ran.err) == (2, True), ran


def test_a_pipe_is_read_if_somebody_writes_into_it_and_nobody_waits_for_one_or_for_a_device(
    shell: Shell, tmp_path: Path
) -> None:
    """A shell's `<(COMMAND)` is such a pipe."""
    assert shell.good("ask", "look", "--file", "/dev/stdin", stdin="the secret is 4711") == "I have read the file.\n"
    os.mkfifo(tmp_path / "pipe")
    for words in (
        ("ask", "look", "--file"), ("pipeline", "check"), ("memory", "import", "--hand", "assistant"),
        ("audit", "verify", "--checkpoint"),
    ):  # fmt: skip
        ran = shell.run(*words, tmp_path / "pipe")
        assert (ran.code, "a pipe that nobody writes into" in ran.err) == (2, True), ran
    ran = shell.run("settings", "model", "--secret-file", f"openai_key={tmp_path / 'pipe'}")
    assert (ran.code, "a pipe that nobody writes into" in ran.err) == (2, True), ran
    ran = shell.run("ask", "look", "--file", "/dev/zero")
    assert (ran.code, "is a device" in ran.err) == (2, True), ran


def test_what_cannot_be_asked_is_told(shell: Shell) -> None:
    for words, code, why in (
        (("ask", " "), 2, "the question is empty"),
        (("ask", "--hand", "nobody", "hello"), 1, "no Hand 'nobody' is installed"),
        (("ask", "--hand", "web", "hello"), 1, "is a service"),
        (("ask", "--hand", "data-pipeline", "hello"), 1, "task"),
        (("ask", "no turn fits this"), 1, "the run failed"),
        (("chat", "--name", "a b"), 2, "is not a name for a conversation"),
        (("chat", "web"), 1, "is a service and takes no questions"),
        (("chat", "nobody"), 1, "no Hand 'nobody' is installed"),
    ):
        ran = shell.run(*words)
        assert (ran.code, why in ran.err) == (code, True), ran


@pytest.mark.parametrize("words", ["read it", pytest.param("in plain words", marks=pytest.mark.wide)])
def test_a_call_that_waits_for_a_yes_is_told_while_the_answer_is_awaited(shell: Shell, words: str) -> None:
    asking = shell.begin("ask", words)
    assert asking.stderr is not None
    told = asking.stderr.readline().decode()
    call = _waiting(shell)[0]
    assert f"web.fetch https://example.org/: `maniple approve {call}` or `maniple deny {call}`" in told
    shell.good("deny", call, "--why", "no")
    out, err = asking.communicate(timeout=30)
    assert (asking.returncode, out) == (0, b"Then I do without.\n"), err


def test_who_sees_a_run_end_before_its_answer_is_told_what_prints_its_work_so_far(shell: Shell) -> None:
    before = {"outcome": "failed", "code": "steps", "text": "10 steps", "run": "r-1"}
    ended = replies.Outcome(**before, value={"answer": "", "made": ["files_read({}) -> r1"]})
    assert asking.next_command("tidy", ended).startswith("`maniple wait r-1` for its work so far, `maniple logs tidy`")
    nothing = replies.Outcome(**before, value={"answer": "", "made": []})
    assert asking.next_command("tidy", nothing) == "`maniple logs tidy` and `maniple run-show r-1`"
    assert "for its work so far" not in shell.run("ask", "no turn fits this").err


@pytest.mark.parametrize(
    ("number", "code"), spread([("SIGINT", 130), ("SIGHUP", -signal.SIGHUP), ("SIGTERM", -signal.SIGTERM)], 1)
)
def test_an_interrupted_question_is_taken_back_with_its_run(shell: Shell, number: str, code: int) -> None:
    """By Ctrl-C, by a terminal that closes, by the end of all: nobody hears the answer, which would be paid for."""
    begun = shell.begin("ask", "take long")
    run = until(lambda: _runs(shell), "its run")[0]
    begun.send_signal(signal.Signals[number])
    begun.communicate(timeout=30)
    assert begun.returncode == code
    until(lambda: run not in _runs(shell), "it has ended")


@pytest.mark.wide
def test_a_question_whose_process_is_killed_ends_with_its_run(shell: Shell) -> None:
    """Which can take nothing back itself."""
    before = _waits(shell)
    begun = shell.begin("ask", "take long")
    until(lambda: _waits(shell) > before, "it waits for its run")
    run = _runs(shell)[0]
    begun.kill()
    begun.communicate(timeout=30)
    until(lambda: run not in _runs(shell), "it has ended")
    said = shell.result("run-show", run)
    assert "the process that waited for its answer is gone" in json.dumps(said)


@pytest.mark.wide
def test_who_is_killed_and_only_waited_for_a_run_leaves_it_going_on(shell: Shell) -> None:
    before = _waits(shell)
    other = shell.begin("start", "assistant", "task=take long", "--wait")
    until(lambda: _waits(shell) > before, "it waits for its run")
    run = _runs(shell)[0]
    other.kill()
    other.communicate(timeout=30)
    assert run in _runs(shell)
    shell.result("cancel", run)


@pytest.mark.wide
def test_whose_kernel_is_killed_is_told_what_waits_for_the_run_that_goes_on(shell: Shell) -> None:
    before = _waits(shell)
    asked = shell.begin("ask", "take long")
    until(lambda: _waits(shell) > before, "it waits for its run")
    (run,) = _runs(shell)
    os.kill(json.loads(shell.good("status", "--json"))["pid"], signal.SIGKILL)
    _, err = asked.communicate(timeout=30)
    shell.good("up")
    assert (asked.returncode, f"`maniple wait {run}`".encode() in err) == (3, True), err
    until(lambda: _runs(shell) == [run], "it goes on")
    shell.good("cancel", run)


@pytest.mark.wide
def test_whose_kernel_is_killed_while_a_chat_asks_is_told_that_the_conversation_lacks_it(shell: Shell) -> None:
    before = _waits(shell)
    chat = shell.begin("chat", "--name", "cut", stdin=subprocess.PIPE)
    assert chat.stdin is not None
    chat.stdin.write(b"take long\n")
    chat.stdin.flush()
    until(lambda: _waits(shell) > before, "it waits for its run")
    (run,) = _runs(shell)
    os.kill(json.loads(shell.good("status", "--json"))["pid"], signal.SIGKILL)
    _, err = chat.communicate(timeout=30)
    shell.good("up")
    shell.good("cancel", run)
    assert f"`maniple wait {run}` prints its result; this conversation has neither" in err.decode()


@pytest.mark.wide
def test_a_terminal_that_has_closed_takes_its_question_back(shell: Shell) -> None:
    """Of which more than one signal may tell, and on which nothing can be drawn any more."""
    ours, theirs = os.openpty()
    begun = shell.begin("ask", "take long", stdin=theirs, stderr=theirs)
    os.close(theirs)
    run = until(lambda: _runs(shell), "its run")[0]
    until(lambda: b"\x1b[K" in os.read(ours, 4096), "its line is drawn")
    os.close(ours)
    for _ in range(2):
        begun.send_signal(signal.SIGHUP)
    begun.communicate(timeout=30)
    assert begun.returncode == -signal.SIGHUP
    until(lambda: run not in _runs(shell), "it has ended")


class _Pressed(Client):
    """A link at which Ctrl-C is pressed while a run begins."""

    def call(self, method: str, *words: Any, **more: Any) -> Reply:
        """As it is, with Ctrl-C before the answer is read."""
        reply = super().call(method, *words, **more)
        if method == "kernel.start":
            os.kill(os.getpid(), signal.SIGINT)
        return reply


def test_a_question_that_is_interrupted_while_its_run_begins_leaves_none(shell: Shell) -> None:
    before = signal.getsignal(signal.SIGINT)
    with _Pressed(str(shell.home)) as client, pytest.raises(asking.QuestionCancelled) as taken:
        asking.ask(Session(str(shell.home), json=False), client, "assistant", asking.Question(text="take long"))
    assert taken.value.run
    until(lambda: taken.value.run not in _runs(shell), "it has ended")
    assert signal.getsignal(signal.SIGINT) is before


def _waiting(shell: Shell) -> list[str]:
    rows = shell.result("approvals")["approvals"]
    assert isinstance(rows, list)
    return [str(row["call"]) for row in rows]


@pytest.mark.wide
def test_who_sees_it_go_wrong_can_tell_it_while_it_works(shell: Shell) -> None:
    begun = shell.begin("ask", "look at both")
    run = _thinks(shell)
    assert shell.run("tell", run, "Only", "the left one.").code == 0
    out, err = begun.communicate(timeout=30)
    assert (begun.returncode, out) == (0, b"The left one is empty.\n"), err
    assert "steered: Only the left one." in json.dumps(shell.result("run-show", run))


@pytest.mark.wide
def test_who_tells_it_to_stop_has_the_work_so_far(shell: Shell) -> None:
    begun = shell.begin("ask", "take long")
    shell.result("tell", _thinks(shell), "--stop", "that is enough")
    _, err = begun.communicate(timeout=20)
    assert begun.returncode == 1
    assert b"interrupted" in err
    assert b"that is enough" in err


@pytest.mark.wide
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("tell", "r-0000000000000000", "x"), 1, "no run r-0000000000000000 is live: see `maniple ps`"),
        (("tell", "assistant", "x"), 2, "assistant is not a run's id: see `maniple ps`"),
        (("tell", "r-0000000000000000"), 2, "there is no message"),
    ],
)
def test_what_cannot_be_told_says_why(shell: Shell, words: tuple[str, ...], code: int, told: str) -> None:
    ran = shell.run(*words)
    assert ran.code == code
    assert told in ran.err


@pytest.mark.wide
def test_a_hand_that_does_not_listen_is_named_with_what_makes_it(shell: Shell) -> None:
    begun = shell.begin("ask", "take long")
    run = _thinks(shell)
    shell.good("revoke", "assistant", "kernel.subscribe")
    try:
        ran = shell.run("tell", run, "x")
        assert ran.code == 1
        assert "assistant does not hear you while it works" in ran.err
        assert "maniple grant assistant kernel.subscribe operator.said" in ran.err
        assert shell.run("ask", "I am Ada").code == 0, "it works all the same"
    finally:
        shell.good("grant", "assistant", "kernel.subscribe", "operator.said")
        begun.send_signal(signal.SIGINT)
        begun.communicate(timeout=30)


def _thinks(shell: Shell) -> str:
    """The run that asks its model now."""

    def thinking() -> list[str]:
        return [run for run in _runs(shell) if '"model.stream"' in json.dumps(shell.result("run-show", run))]

    return until(thinking, "it asks its model")[0]


def _waits(shell: Shell) -> int:
    """How often somebody has waited for a run until now."""
    return len(shell.good("audit", "search", "--kind", "call", "--method", "kernel.wait", "--json").splitlines())


def _runs(shell: Shell) -> list[str]:
    rows = shell.result("ps")["runs"]
    assert isinstance(rows, list)
    return [str(row["run"]) for row in rows if row["hand"] == "assistant"]


def test_without_a_model_it_says_so(shell: Shell) -> None:
    shell.good("settings", "model", "routes:={}")
    ran = shell.run("ask", "hello")
    assert "No language model is set up" in ran.out
    assert "No language model was used" in ran.err
