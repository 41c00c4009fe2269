"""What is said to an agent while it works: it is read, or answered, and never takes an answer away that was finished."""

import pytest
from msgspec.structs import replace

from runtime.agent.actions import MakeCall, Outcome
from runtime.models.messages import Answer
from tests.runtime.agent.driven import BRIEF, Drive, call, looks, says, texts

SCHEMA: dict[str, object] = {"type": "object", "required": ["count"]}


def test_what_is_said_while_tools_run_is_read_with_their_results() -> None:
    drive = Drive([looks(), says("done")], meanwhile={1: "only the left one"})
    assert drive.last.endswith("only the left one")
    assert drive.result.answer == "done"


def test_what_is_said_before_the_last_answer_is_answered_too() -> None:
    drive = Drive([says("done"), says("done again")], meanwhile={1: "and the right one"})
    assert [one.role for one in drive.asked[1].messages] == ["user", "assistant", "user"]
    assert drive.result.answer == "done again"


def test_interrupted_it_ends_at_once_with_what_it_has() -> None:
    drive = Drive([says("I looked", call("desk_look", name="left"))])
    drive.machine.on_stop("enough")
    assert (drive.result.code, drive.result.why, drive.result.answer) == ("interrupted", "enough", "I looked")
    assert drive.machine.on_outcome(1, Outcome(value="late")) == []


def test_when_its_time_is_nearly_over_it_ends_with_what_it_has_and_only_once() -> None:
    drive = Drive([says("I looked", call("desk_look", name="left"))])
    drive.machine.on_time_nearly_over()
    assert (drive.result.code, drive.result.answer) == ("time", "I looked")
    assert drive.result.made == ('desk_look({"name":"left"}) -> r1',)
    assert drive.machine.on_time_nearly_over() == []


@pytest.mark.parametrize("limit", [{"steps": 1}, {"tokens": 640}, {"micro_dollars": 5}, {"window": 2_000}])
def test_an_answer_that_was_finished_is_kept_where_a_limit_leaves_nothing_for_what_was_said_then(
    limit: dict[str, int],
) -> None:
    answer = replace(says("done"), micro_dollars=5)
    drive = Drive([answer], brief=replace(BRIEF, **limit), meanwhile={1: "and the right one " * 900})
    assert (drive.result.code, drive.result.answer, len(drive.asked)) == ("", "done", 1)
    (note,) = drive.result.notes
    assert note.startswith("What was said to it last is not answered: ")
    assert texts(drive.result.session[-1]).startswith("and the right one"), "the next run may answer it"


@pytest.mark.parametrize(
    ("then", "code", "answer"),
    [
        (("over_most", "dear"), "", "done"),
        (("over_budget", "used up"), "", "done"),
        (("key", "refused"), "key", "done"),
        (looks(), "", "done"),  # at its last step, where no tool is called any more
        (says("done again"), "", "done again"),
    ],
)
def test_a_finished_answer_counts_until_there_is_another(
    then: Answer | tuple[str, str], code: str, answer: str
) -> None:
    drive = Drive([says("done"), then], brief=replace(BRIEF, steps=2), meanwhile={1: "and the right one"})
    assert (drive.result.code, drive.result.answer) == (code, answer)
    assert bool(drive.result.notes) == (not code and answer == "done")


def test_who_goes_on_after_a_finished_answer_has_finished_nothing() -> None:
    brief = replace(BRIEF, steps=3)
    drive = Drive([says("done"), looks(), looks("right")], brief=brief, meanwhile={1: "and the right one"})
    assert (drive.result.code, drive.result.answer) == ("steps", "done")


def test_of_a_schema_the_value_is_kept() -> None:
    brief = replace(BRIEF, steps=1, schema=SCHEMA)
    assert Drive([says('{"count": 3}')], brief=brief, meanwhile={1: "more"}).result.answer == {"count": 3}
    drive = Drive([says("none")], brief=brief, meanwhile={1: "more"})
    assert (drive.result.code, drive.result.answer) == ("steps", "none"), "which is no answer of its schema"


def test_what_had_returned_when_the_run_is_stopped_is_part_of_its_work() -> None:
    drive = Drive([])
    first, second = call("desk_note", text="a"), call("desk_note", text="bc")
    made = [one for one in drive.machine.on_answer(says("", first, second)) if isinstance(one, MakeCall)]
    drive.machine.on_outcome(made[0].number, Outcome(value={"text": "written"}))
    drive.machine.on_stop("enough")
    assert drive.result.made == ('desk_note({"text":"a"}) -> r1', 'desk_note({"text":"bc"}) (no result)')
    said = texts(drive.result.session[-1])
    assert '"written"' in said
    assert said.count("not known whether this call was carried out") == 1
