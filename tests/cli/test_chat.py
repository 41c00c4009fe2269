"""People talk with Hands that think: what is printed, remembered and left out."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.cli.providers import scripted_home
from tests.cli.shell import Shell

SCRIPT: Final = "\n".join(
    json.dumps(turn)
    for turn in (
        {"when": "what is my name", "times": 0, "at": 1, "text": "You told me: Ada."},
        {"when": "what is my name", "times": 0, "text": "You have not told me."},
        {"when": "I am Ada", "times": 0, "text": "Hello, \x1b[31mAda."},
        {"when": "say it slowly", "times": 0, "gap": 0.4, "text": "Well,\nthat takes me a while to say."},
    )
)


@pytest.fixture(scope="module")
def shell(furnished: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home of its own, as `init` makes it, whose route is a script."""
    with scripted_home(furnished, tmp_path_factory.mktemp("chat") / "home", SCRIPT) as shell:
        yield shell


def test_a_conversation_goes_on_where_it_was_left_and_names_keep_them_apart(shell: Shell) -> None:
    first = shell.run("chat", "--name", "one", stdin="I am Ada\n")
    assert first.out.endswith("Hello, \\u{1b}[31mAda.\n")
    again = shell.run("chat", "--name", "one", stdin="what is my name\n/history\n")
    assert again.out.startswith("You told me: Ada.\n> I am Ada\n")
    assert "one continues after 2 messages" in again.err
    assert shell.good("chat", "--name", "other", stdin="what is my name\n") == "You have not told me.\n"
    found = shell.good("chat", "--name", "one", stdin="/search nothing\n/new other\n/history\n")
    assert found == "> what is my name\nYou have not told me.\n"
    empty = shell.run("chat", "--name", "empty", stdin="/history\n/search Ada\n/new fresh\n")
    assert (empty.code, empty.out) == (0, "")
    assert all(words in empty.err for words in ("nothing was said in it yet", "nothing was found", "fresh begins"))


def test_a_conversation_with_a_removed_hand_does_not_pass_to_another_of_its_name(shell: Shell, tmp_path: Path) -> None:
    """Identities are immutable: who seals a Hand under a name that was free does not read what its forerunner was told."""
    folder = shell.good("new", "talker", "--agent", "--into", tmp_path).strip()
    keys = []
    for _ in range(2):
        shell.good("install", folder, "--yes")
        ran = shell.run("chat", "talker", stdin="what is my name\nI am Ada\n/help\n")
        assert "You have not told me." in ran.out, ran
        keys += re.findall("--session ([^ `]+)`", ran.err)
        shell.good("remove", "talker", "--yes")
    assert len(set(keys)) == 2
    assert "I am Ada" in shell.good("memory", "export", "--session", keys[0])


def _chat_at_its_first_words(shell: Shell, name: str) -> subprocess.Popen[bytes]:
    talk = shell.begin("chat", "--name", name, stdin=subprocess.PIPE)
    assert talk.stdin is not None
    assert talk.stdout is not None
    talk.stdin.write(b"say it slowly\n")
    talk.stdin.flush()
    assert talk.stdout.readline() == b"Well,\n"
    return talk


def test_in_a_conversation_words_are_there_before_the_answer_is_and_once(shell: Shell) -> None:
    talk = _chat_at_its_first_words(shell, "slow")
    assert shell.result("ps")["runs"], "it thinks still"
    out, err = talk.communicate(timeout=30)
    assert (talk.returncode, out) == (0, b"that takes me a while to say.\n"), err
    found = shell.good("chat", "--name", "slow", stdin="/history\n")
    assert found == "> say it slowly\nWell,\nthat takes me a while to say.\n"


def test_an_answer_that_cannot_be_kept_is_shown_and_told_to_be_missing(shell: Shell) -> None:
    talk = _chat_at_its_first_words(shell, "unkept")
    shell.good("pause", "memory")
    out, err = talk.communicate(timeout=30)
    shell.good("resume", "memory")
    assert (talk.returncode, out) == (0, b"that takes me a while to say.\n"), err
    assert b"`maniple resume memory`; this conversation has neither the question nor its answer" in err


@pytest.mark.wide
def test_a_file_that_is_gone_can_be_left_out_of_a_question(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "gone.txt"
    file.write_text("the secret is 4711")
    talk = shell.begin("chat", "--name", "attaching", stdin=subprocess.PIPE)
    assert talk.stdin is not None
    assert talk.stderr is not None
    talk.stdin.write(f"/attach {file}\n".encode())
    talk.stdin.flush()
    assert b"goes with the next question" in talk.stderr.readline()
    file.unlink()
    out, err = talk.communicate(b"look\n/attach\nI am Ada\n", timeout=30)
    assert b"gone.txt cannot be read: No such file or directory; " in err
    assert b"; /attach alone removes all files" in err
    assert (talk.returncode, out.count(b"Ada.")) == (0, 1)


def test_what_failed_is_not_remembered_and_the_conversation_goes_on(shell: Shell) -> None:
    ran = shell.run("chat", "--name", "mixed", stdin="no turn fits this\n/nothing\nI am Ada\n/history\n/quit\nnever\n")
    assert ran.code == 0
    assert "the run failed" in ran.err
    assert "there is no /nothing" in ran.err
    assert ran.out.count("I am Ada") == 1
    assert "no turn" not in ran.out
    assert "never" not in ran.out
