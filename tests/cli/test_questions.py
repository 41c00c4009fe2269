"""A Hand's question waits for the operator through everything, and is answered by a sentence."""

import json
from typing import IO

import pytest

from tests.cli.shell import Shell
from tests.living import Source, write_hand
from tests.system.fates import until

ASKER = Source(
    """
[hand]
name = "asker"
version = "1.0.0"
description = "Asks."
entry = "main:Asker"
kind = "task"
autonomy = "full"

[capabilities]
"ask.person" = ["*"]
""",
    """
from runtime import CallFailed, CallRefused, Hand


class Asker(Hand):
    async def run(self, **more: object) -> object:
        try:
            reply = await self.kernel.call("ask.person", "", more)
        except CallRefused as end:
            return f"refused: {end.code}"
        except CallFailed as end:
            return f"failed: {end.code}"
        return {"said": reply.value["answer"], "labels": list(reply.labels)}
""",
)


@pytest.fixture(scope="module")
def asking(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The home with `ask` and a Hand that asks."""
    shell.good("install", write_hand(tmp_path_factory.mktemp("questions") / "asker", ASKER), "--yes")
    return shell


class Asked:
    """A run that asks, begun by a command that waits for its end, and its question."""

    def __init__(self, shell: Shell, *words: str) -> None:
        before = {row["call"] for row in rows(shell)}
        self._waiting = shell.begin("start", "asker", *words, "--wait")
        (self.row,) = until(lambda: [row for row in rows(shell) if row["call"] not in before], "a question")
        self.number = str(self.row["call"])

    def stderr(self) -> IO[bytes]:
        """What the command that waits says."""
        assert self._waiting.stderr is not None
        return self._waiting.stderr

    def end(self) -> object:
        """What the run returned."""
        out, _ = self._waiting.communicate(timeout=60)
        return json.loads(out)


def rows(shell: Shell) -> list[dict[str, object]]:
    """What `maniple questions` tells."""
    found = shell.result("questions")["questions"]
    assert isinstance(found, list)
    return found


def test_a_question_is_shown_and_answered_and_its_run_goes_on(asking: Shell) -> None:
    one = Asked(asking, "question=Which hotel? \u202eevil", 'choices:=["Adler", "Post"]')
    assert one.row["choices"] == ["Adler", "Post"]
    shown = asking.good("questions")
    assert "Which hotel?" in shown
    assert "\u202e" not in shown
    wrong = asking.run("answer", one.number, "Ritz")
    assert (wrong.code, "none of the choices" in wrong.err) == (2, True)
    assert "is answered" in asking.good("answer", one.number, "Post")
    assert one.end() == {"said": "Post", "labels": ["person"]}
    assert rows(asking) == []
    assert "all valid" in asking.good("audit", "verify")


def test_a_question_outlives_the_kernel(asking: Shell) -> None:
    asking.good("start", "asker", "question=Still there?")
    (row,) = until(lambda: rows(asking), "a question")
    asking.good("down")
    asking.good("up")
    (again,) = until(lambda: rows(asking), "the question")
    assert again["call"] == row["call"]
    asking.result("answer", str(row["call"]), "yes, here")
    until(lambda: "done" in asking.good("runs", "asker"), "the end of its run")


def test_whatever_is_granted_a_question_waits_and_no_rule_answers_it(asking: Shell) -> None:
    one = Asked(asking, "question=Forged?", "answer=of course")
    ruled = asking.run("approve", one.number, "--rule")
    assert (ruled.code != 0, "no rule answers that" in ruled.err) == (True, True)
    asking.good("deny", one.number, "--why", "I answer myself")
    assert one.end() == "refused: denied"


@pytest.mark.wide
def test_a_plain_yes_means_yes_and_any_text_is_an_answer(asking: Shell) -> None:
    one = Asked(asking, "question=May I?")
    asking.good("approve", one.number)
    assert one.end() == {"said": "yes", "labels": ["person"]}
    one = Asked(asking, "question=How?")
    asking.good("answer", one.number, 'with "care" = ja\n')
    assert one.end() == {"said": 'with "care" = ja\n', "labels": ["person"]}


@pytest.mark.wide
def test_a_yes_that_is_none_of_the_choices_does_not_use_the_question_up(asking: Shell) -> None:
    one = Asked(asking, "question=Which hotel?", 'choices:=["Adler", "Post"]')
    for more in ((), ("--with", "answer=Ritz")):
        refused = asking.run("approve", one.number, *more)
        assert (refused.code, "none of its choices" in refused.err) == (2, True)
        assert f"`maniple answer {one.number} TEXT`" in refused.err
    asking.good("approve", one.number, "--with", "answer=Post")
    assert one.end() == {"said": "Post", "labels": ["person"]}


@pytest.mark.wide
def test_a_question_has_its_lines_and_what_its_hand_filled_in_is_seen(asking: Shell) -> None:
    one = Asked(asking, "question=Which?\nThink of the price.\ranswer", "answer=of \u202ecourse")
    shown = asking.good("questions").splitlines()
    at = next(number for number, line in enumerate(shown) if line.startswith("question"))
    assert shown[at : at + 2] == ["question   Which?", "           Think of the price.\\ranswer"]
    assert "filled in  of \\u{202e}course" in shown
    asking.good("deny", one.number)
    assert one.end() == "refused: denied"


def test_what_is_no_question_is_not_answered(asking: Shell) -> None:
    assert asking.run("answer", "999999", "yes").code != 0
    assert asking.run("answer", "first", "yes").code == 2


def test_whoever_waits_for_a_run_is_told_the_question_and_how_it_is_answered(asking: Shell) -> None:
    one = Asked(asking, "question=Which hotel? \u202eevil", 'choices:=["Adler", "Post"]')
    err = one.stderr()
    told = until(lambda: err.readline().decode(), "the question")
    while "asks you" not in told:
        told = until(lambda: err.readline().decode(), "the question")
    assert told.startswith("asker asks you: Which hotel?")
    assert told.endswith(f"evil (Adler, Post): `maniple answer {one.number} TEXT` or `maniple deny {one.number}`\n")
    assert "\u202e" not in told
    assert f"`maniple answer {one.number} TEXT`" in asking.good("approvals")
    asking.good("answer", one.number, "Post")
    one.end()


def test_a_question_that_is_not_there_is_looked_for_among_questions(asking: Shell) -> None:
    for number, code in (("2", 1), ("x", 2)):
        ran = asking.run("answer", number, "yes")
        assert (ran.code, "`maniple questions`" in ran.err, "approv" in ran.err) == (code, True, False), ran
