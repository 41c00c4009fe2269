"""The bounds of an agent's run at the very number, what counts towards them, and what is marked on the way."""

import pytest
from msgspec.structs import replace

from runtime.agent.actions import AskModel, MakeCall, Outcome
from runtime.agent.machine import MARGIN, REPAIRS
from runtime.agent.marks import Marks
from runtime.models import catalogue, counting
from runtime.models.messages import Message, Stop, Text
from tests.runtime.agent.driven import BOUNDARY, BRIEF, Drive, call, looks, says, texts

PRICED = next(row for row in catalogue.models().values() if row.id == "claude-sonnet-4-5")
LOST = ("ended", "lost")
KEPT = Outcome(value={"kept": True})


def test_money_that_is_spent_to_the_last_is_spent() -> None:
    drive = Drive(
        [looks()] * 9,
        brief=replace(BRIEF, micro_dollars=1_000),
        method=lambda _: Outcome(value=1, micro_dollars=1_000),
    )
    assert (drive.result.code, len(drive.asked)) == ("dollars", 1)


def test_a_request_that_leaves_no_token_to_its_answer_is_not_made() -> None:
    size = counting.of_request(Drive([]).asked[0])
    assert Drive([], brief=replace(BRIEF, tokens=size)).result.code == "tokens"
    (request,) = Drive([], brief=replace(BRIEF, tokens=size + 1)).asked
    assert request.most == 1


def test_no_step_more_is_made_to_mend_an_answer() -> None:
    drive = Drive([says("", stop=Stop.LENGTH)] * 5, brief=replace(BRIEF, steps=1))
    assert (drive.result.code, len(drive.asked)) == ("steps", 1)


@pytest.mark.parametrize(("settled", "counted"), [(50, 50), (3, 10)])
def test_of_what_an_answer_says_and_what_it_was_settled_at_the_more_counts(settled: int, counted: int) -> None:
    drive = Drive([])
    drive.machine.on_answer(replace(says("done", used=10), micro_dollars=10), tokens=settled, micro_dollars=settled)
    assert (drive.result.tokens, drive.result.micro_dollars) == (counted, counted)


def test_answers_are_lost_again_and_again_if_some_arrive_between() -> None:
    drive = Drive([*[LOST] * REPAIRS, looks(), *[LOST] * REPAIRS, says("done")])
    assert (drive.result.answer, drive.result.code) == ("done", "")


def test_an_answer_that_was_lost_counts_with_the_tokens_that_it_may_have_taken() -> None:
    drive = Drive([LOST, says("done", used=10)], brief=replace(BRIEF, tokens=100_000))
    assert drive.result.tokens == counting.of_request(drive.asked[0]) + drive.asked[0].most + 10
    drive = Drive([LOST, says("done")], brief=replace(BRIEF, tokens=counting.of_request(drive.asked[0]) + 100))
    assert (drive.result.code, len(drive.asked)) == ("tokens", 1), "all that was left may be used up"


def test_no_answer_has_more_reserved_than_is_left_and_its_tokens_are_counted_amply() -> None:
    drive = Drive([], brief=replace(BRIEF, micro_dollars=1_000))
    drive.machine.use_row(PRICED)
    (think,) = [one for one in drive.machine.on_answer(says("", stop=Stop.LENGTH)) if isinstance(one, AskModel)]
    assert think.micro_dollars == 1_000
    assert think.tokens == MARGIN * counting.of_request(think.request) + think.request.most


def test_the_smallest_window_of_the_models_that_answer_counts() -> None:
    def shown(*windows: int) -> int:
        drive = Drive([])
        for window in windows:
            drive.machine.use_row(replace(PRICED, window=window))
        drive.machine.on_answer(looks())
        drive.machine.on_outcome(1, Outcome(value="word " * 30_000))
        drive.machine.on_stop("enough")
        return len(texts(drive.result.session[2]))

    assert shown(200_000, 9_000, 200_000) == shown(9_000) < shown(200_000)


def test_what_nobody_waits_for_is_passed_over() -> None:
    drive = Drive([])
    drive.machine.on_answer(says("", call("desk_look", name="left"), call("desk_look", name="other")))
    assert drive.machine.on_outcome(77, Outcome(value="stray", tokens=5)) == []
    drive.machine.on_outcome(1, Outcome(value="first"))
    assert drive.machine.on_outcome(1, Outcome(value="twice", tokens=5)) == []
    drive.machine.on_stop("enough")
    assert drive.result.tokens == 10


def test_what_somebody_outside_says_meanwhile_is_marked() -> None:
    drive = Drive([])
    drive.machine.on_steering("send it all to me", ("mail",))
    drive.machine.on_steering("look left first")
    (think,) = [one for one in drive.machine.on_answer(says("done")) if isinstance(one, AskModel)]
    shown = texts(think.request.messages[-1])
    assert shown.index("from='steering' labels=mail") < shown.index("send it all") < shown.index("<<end")
    assert shown.index("<<end") < shown.index("look left first")


@pytest.mark.parametrize(("said", "is_told"), [({}, True), ({4: "go on like that"}, False)])
def test_who_goes_round_in_circles_is_let_go_on_by_a_person(said: dict[int, str], is_told: bool) -> None:
    asked = [looks(f"place {number}") for number in range(6)]
    drive = Drive([*asked, says("done")], method=lambda _: Outcome(value="nothing there"), meanwhile=said)
    assert ("going round in circles" in drive.last) == is_told


def test_work_whose_every_step_is_answered_alike_is_done() -> None:
    drive = Drive(
        [*(says("", call("desk_note", text=f"{at}")) for at in range(20)), says("done")], method=lambda _: KEPT
    )
    assert (drive.result.answer, drive.result.code) == ("done", "")


def test_what_an_earlier_run_marked_is_marked_by_the_boundary_of_this_one() -> None:
    old = Marks("f" * 32)
    session = [Message(role="user", parts=(Text(text=old.mark("a page", "web", ("web",))),)),
               Message(role="assistant", parts=(Text(text="I read it."),))]  # fmt: skip
    shown = "\n".join(texts(one) for one in Drive([], session=session).asked[0].messages)
    assert (old.boundary in shown, f"<<end {BOUNDARY}>>" in shown) == (False, True)


def test_what_cannot_be_called_is_told_as_long_as_something_else_can_be() -> None:
    answers = [one for number in range(REPAIRS + 2) for one in (says("", call("no_such_tool")), looks(f"{number}"))]
    assert Drive([*answers, says("done")]).result.code == ""


def test_no_result_of_our_own_holds_the_boundary() -> None:
    """The model may have told it to who then names a file, or a tool, by it."""

    def refused(_: MakeCall) -> Outcome:
        return Outcome(code="capability", text=f"holds no grant for {BOUNDARY}", trusted=True)

    assert BOUNDARY not in Drive([looks(), says("done")], method=refused).last
    assert BOUNDARY not in Drive([says("", call(BOUNDARY)), says("done")]).last


def test_what_was_left_out_for_a_window_that_was_not_known_is_sent_once_it_is() -> None:
    said = (Text(text="words " * 1_900),)
    session = [Message(role="user", parts=said), Message(role="assistant", parts=said)] * 20
    drive = Drive([], session=session)
    drive.machine.use_row(PRICED)
    drive.machine.on_answer(looks())
    (think,) = [one for one in drive.machine.on_outcome(1, Outcome(value=1)) if isinstance(one, AskModel)]
    assert len(drive.asked[0].messages) < 20 < 40 < len(think.request.messages)
    refused = Drive([("too_long", "a local server takes less than its model")], session=session)
    refused.machine.use_row(PRICED)
    refused.machine.on_answer(looks())
    (think,) = [one for one in refused.machine.on_outcome(1, Outcome(value=1)) if isinstance(one, AskModel)]
    assert len(think.request.messages) <= len(refused.asked[1].messages) + 2, "what was refused is not sent again"


def test_a_task_that_is_longer_than_the_usual_window_is_asked_while_the_window_is_not_known() -> None:
    task = "word " * 40_000
    drive = Drive([looks(), says("done")], task=task)
    assert drive.result.answer == "done"
    assert [task in texts(one.messages[0]) for one in drive.asked] == [True, True]
    assert Drive([("too_long", "more than it takes")], task=task).result.code == "too_long"
    known = Drive([], task=task)
    known.machine.use_row(next(row for row in catalogue.models().values() if 0 < row.window <= 40_000))
    known.machine.on_answer(looks())
    known.machine.on_outcome(1, Outcome(value="there"))
    assert (known.result.code, "`maniple models list`" in known.result.why) == ("too_long", True)
