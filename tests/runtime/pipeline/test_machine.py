"""A pipeline's machine, event by event: what begins when, what a failure leads to, and what is returned."""

from collections.abc import Callable

import pytest

from manifests.pipeline.keys import KEYS
from runtime.pipeline.actions import Begin, End
from runtime.pipeline.machine import HOPELESS
from tests.runtime.pipeline.driven import DONE, Drive, pipeline

AT = {key.path: key for key in KEYS}
FAILED = End(code="broken", text="it broke")


def failing(*names: str, times: int = 1_000, code: str = "broken") -> Callable[[Begin], End]:
    """These pieces fail so many times, all others are done."""
    left = dict.fromkeys(names, times)

    def answer(begin: Begin) -> End:
        name = str(begin.name)
        if left.get(name, 0) > 0:
            left[name] -= 1
            return End(code=code, text="it broke")
        return DONE

    return answer


TWO = """
[inputs]
start = "int"
[steps.first]
hand = "adder"
with = { a = "${inputs.start}" }
[steps.second]
hand = "adder"
with = { a = "${steps.first.sum + 1}", text = "from ${inputs.start} on", more = [1, "${steps.first.sum}"] }
[outputs]
total = "${steps.second.sum}"
"""


def test_a_steps_output_is_the_next_ones_input_and_the_outputs_are_returned() -> None:
    drive = Drive(pipeline(TWO), {"start": 4}, answer=lambda begin: End(value={"sum": begin.given["a"]}))
    assert [begin.given for begin in drive.begun] == [{"a": 4}, {"a": 5, "text": "from 4 on", "more": [1, 4]}]
    assert drive.result.value == {"total": 5}
    assert drive.machine.progress == (2, 2)


def test_a_step_whose_expression_cannot_be_worked_out_fails_and_is_not_tried_again() -> None:
    second = 'with = { a = "${steps.first.sum + 1}"'
    text = TWO.replace(second, f"retry = {{ times = 3 }}\n{second}")
    drive = Drive(pipeline(text), {"start": 4}, answer=lambda _: End(value={"other": 1}))
    assert drive.names == ["first"]
    assert (drive.result.code, drive.result.step) == ("expression", "second")
    assert drive.result.text == "`steps.first.sum + 1`: steps.first has no 'sum'"


def test_items_go_side_by_side_as_many_as_the_step_says_and_come_back_in_their_order() -> None:
    made = pipeline("""
[steps.each]
hand = "worker"
for_each = [1, 2, 3, 4, 5]
parallel = 2
with = { number = "${item}", at = "${index}" }
[outputs]
all = "${steps.each}"
""")
    drive = Drive(
        made,
        answer=lambda begin: End(value=begin.given["number"]),
        choose=lambda open_: len(open_) - 1,  # the latest first
    )
    assert drive.result.value == {"all": [1, 2, 3, 4, 5]}
    assert max(told.running for told in drive.events) == 2
    assert [begin.given["at"] for begin in drive.begun] == [0, 1, 2, 3, 4]
    assert drive.notes == ["each: over 5 items"]


def test_an_empty_list_is_done_at_once() -> None:
    made = pipeline('[steps.each]\nhand = "worker"\nfor_each = []\n[outputs]\nall = "${steps.each}"\n')
    assert Drive(made).result.value == {"all": []}


def test_a_list_that_is_none_fails_the_step() -> None:
    made = pipeline('[inputs]\nlist = "any"\n[steps.each]\nhand = "worker"\nfor_each = "${inputs.list}"\n')
    assert Drive(made, {"list": 3}).result.code == "expression"


def test_a_list_that_is_none_gives_null_where_the_failure_is_passed_over() -> None:
    each = '[steps.each]\nhand = "worker"\nfor_each = "${inputs.list}"\non_failure = "skip"\n'
    made = pipeline(f'[inputs]\nlist = "any"\n{each}[outputs]\nall = "${{steps.each}}"\n')
    assert Drive(made, {"list": 3}).result.value == {"all": None}


def test_what_stands_in_for_a_step_whose_list_is_none_gives_all_of_its_output() -> None:
    each = '[steps.each]\nhand = "worker"\nfor_each = "${inputs.list}"\non_failure = "other"\n[steps.other]\nhand = "other"\n'
    made = pipeline(f'[inputs]\nlist = "any"\n{each}[outputs]\nall = "${{steps.each}}"\n')
    answer = lambda begin: FAILED if begin.hand == "worker" else End(value=7)  # noqa: E731
    assert Drive(made, {"list": 3}, answer=answer).result.value == {"all": 7}
    assert Drive(made, {"list": [1, 2]}, answer=answer).result.value == {"all": [7, 7]}


WHEN = """
[inputs]
go = "bool"
[steps.maybe]
hand = "worker"
when = "${inputs.go}"
[steps.after]
hand = "worker"
needs = ["maybe"]
with = { got = "${steps.maybe.ok}" }
"""


@pytest.mark.parametrize(("go", "names", "got"), [(True, ["maybe", "after"], True), (False, ["after"], None)])
def test_a_step_that_is_not_to_run_is_null_to_those_that_need_it(go: bool, names: list[str], got: object) -> None:
    drive = Drive(pipeline(WHEN), {"go": go})
    assert (drive.names, drive.begun[-1].given, drive.result.code) == (names, {"got": got}, "")


RETRY = """
[steps.flaky]
hand = "worker"
retry = { times = 3, backoff = "100ms" }
"""


def test_a_step_is_tried_again_after_longer_and_longer_waits() -> None:
    drive = Drive(pipeline(RETRY), answer=failing("flaky", times=3))
    assert drive.result.code == ""
    assert [begin.tries for begin in drive.begun] == [1, 2, 3, 4]
    assert drive.slept == [100, 200, 400]
    assert drive.notes[0] == "flaky: waits, 0.1s to try 2: broken: it broke"


def test_after_its_last_try_a_step_has_failed() -> None:
    drive = Drive(pipeline(RETRY), answer=failing("flaky"))
    assert (len(drive.begun), drive.result.code, drive.result.step) == (4, "broken", "flaky")


@pytest.mark.parametrize(("code", "tries"), [("capability", 1), ("arguments", 1), ("cancelled", 1), ("ended", 4)])
def test_what_trying_again_does_not_mend_is_not_tried_again(code: str, tries: int) -> None:
    assert len(Drive(pipeline(RETRY), answer=failing("flaky", code=code)).begun) == tries


def test_the_reference_names_every_code_that_is_not_tried_again() -> None:
    assert f"{', '.join(sorted(HOPELESS))}." in AT["retry.on"].doc


@pytest.mark.parametrize(("code", "tries"), [("busy", 4), ("broken", 1), ("arguments", 4)])
def test_only_the_codes_that_are_named_are_tried_again(code: str, tries: int) -> None:
    text = RETRY.replace('"100ms"', '"100ms", on = ["busy", "arguments"]')
    assert len(Drive(pipeline(text), answer=failing("flaky", code=code)).begun) == tries


def test_a_wait_is_never_longer_than_an_hour() -> None:
    text = '[steps.flaky]\nhand = "worker"\nretry = { times = 20, backoff = "10m" }\n'
    drive = Drive(pipeline(text), answer=failing("flaky"))
    assert max(drive.slept) == 3_600_000


FAILURE = """
[steps.a]
hand = "worker"
on_failure = "FAILURE"
[steps.b]
hand = "worker"
needs = ["a"]
with = { a = "${steps.a}" }
"""


def test_a_failure_that_stops_lets_nothing_else_begin() -> None:
    drive = Drive(pipeline(FAILURE.replace("FAILURE", "stop")), answer=failing("a"))
    assert (drive.names, drive.result.code, drive.result.text, drive.result.step) == (["a"], "broken", "it broke", "a")


def test_a_failure_that_is_passed_over_gives_null() -> None:
    drive = Drive(pipeline(FAILURE.replace("FAILURE", "skip")), answer=failing("a"))
    assert (drive.names, drive.begun[-1].given, drive.result.code) == (["a", "b"], {"a": None}, "")


STAND_IN = (
    FAILURE.replace("FAILURE", "other")
    + """
[steps.other]
hand = "spare"
with = { why = "${failure.code}", of = "${failure.step}" }
"""
)


def test_a_step_that_stands_in_gives_its_output_in_the_place_of_the_other() -> None:
    drive = Drive(pipeline(STAND_IN), answer=failing("a"))
    assert drive.names == ["a", "other for a", "b"]
    assert drive.begun[1].given == {"why": "broken", "of": "a"}
    assert (drive.begun[2].given, drive.result.code) == ({"a": {"ok": True}}, "")


def test_a_step_that_stands_in_runs_only_then_and_fails_the_pipeline_when_it_fails() -> None:
    assert Drive(pipeline(STAND_IN)).names == ["a", "b"]
    drive = Drive(pipeline(STAND_IN), answer=failing("a", "other for a"))
    assert (drive.names, drive.result.step) == (["a", "other for a"], "other for a")


def test_a_step_that_runs_when_another_fails_is_let_end_and_undone() -> None:
    made = pipeline("""
[steps.long]
hand = "worker"
undo = { hand = "undoer", with = { of = "${output.ok}" } }
[steps.short]
hand = "worker"
[steps.after]
hand = "worker"
needs = ["long"]
""")
    drive = Drive(made, answer=failing("short"), choose=lambda open_: len(open_) - 1)
    assert drive.names == ["long", "short", "undo of long"]
    assert drive.begun[-1].given == {"of": True}
    assert (drive.result.step, drive.result.undone) == ("short", ("long",))


def test_a_step_that_fails_after_another_has_no_stand_in_any_more() -> None:
    made = pipeline(STAND_IN + '[steps.c]\nhand = "worker"\n')
    drive = Drive(made, answer=failing("a", "c"), choose=lambda open_: len(open_) - 1)
    assert (drive.names, drive.result.step) == (["a", "c"], "c")


UNDO = """
[steps.a]
hand = "worker"
undo = { hand = "undoer" }
[steps.each]
hand = "worker"
needs = ["a"]
for_each = ["x", "y", "z"]
undo = { hand = "undoer", with = { item = "${item}" } }
[steps.b]
hand = "worker"
needs = ["each"]
[finally.clean]
hand = "cleaner"
with = { outcome = "${outcome}", step = "${default(failure.step, '')}" }
"""


def test_what_was_done_is_undone_in_the_reverse_order_and_then_the_end_comes() -> None:
    drive = Drive(pipeline(UNDO), answer=failing("b"))
    end = ["undo of each[2]", "undo of each[1]", "undo of each[0]", "undo of a", "finally clean"]
    assert drive.names[-5:] == end
    assert drive.result.undone == ("each[2]", "each[1]", "each[0]", "a")
    assert drive.begun[-5].given == {"item": "z"}
    assert drive.begun[-1].given == {"outcome": "failed", "step": "b"}


def test_items_that_were_done_before_one_failed_are_undone() -> None:
    drive = Drive(pipeline(UNDO), answer=failing("each[1]"))
    assert drive.result.undone == ("each[0]", "a")
    assert (drive.result.step, "each[2]" in drive.names) == ("each[1]", False)


def test_an_undoing_that_fails_is_told_and_the_others_go_on() -> None:
    drive = Drive(pipeline(UNDO), answer=failing("b", "undo of each[1]"))
    assert drive.result.undone == ("each[2]", "each[0]", "a")
    assert (drive.result.left, drive.result.step) == (("each[1]",), "b")


def test_nothing_is_undone_when_all_is_done() -> None:
    drive = Drive(pipeline(UNDO))
    assert drive.result.undone == ()
    assert drive.begun[-1].given == {"outcome": "done", "step": ""}


def test_a_failure_at_the_end_fails_the_pipeline_unless_it_may_fail() -> None:
    assert Drive(pipeline(UNDO), answer=failing("finally clean")).result.step == "finally clean"
    skips = pipeline(UNDO.replace('hand = "cleaner"', 'hand = "cleaner"\non_failure = "skip"'))
    assert Drive(skips, answer=failing("finally clean")).result.code == ""
    assert Drive(skips, answer=failing("finally clean", "b")).result.step == "b"


def test_the_steps_at_the_end_run_as_their_when_says_one_after_the_other() -> None:
    made = pipeline("""
[steps.a]
hand = "worker"
[finally.if_failed]
hand = "cleaner"
when = "${outcome == 'failed'}"
[finally.always]
hand = "cleaner"
""")
    assert Drive(made).names == ["a", "finally always"]
    drive = Drive(made, answer=failing("a"))
    assert drive.names == ["a", "finally if_failed", "finally always"]


def test_outputs_that_cannot_be_worked_out_fail_the_pipeline_and_undo_it() -> None:
    made = pipeline('[steps.a]\nhand = "w"\nundo = { hand = "u" }\n[outputs]\nx = "${steps.a.none + 1}"\n')
    drive = Drive(made)
    assert (drive.result.step, drive.result.code, drive.result.undone) == ("outputs", "expression", ("a",))


def test_a_wait_for_the_next_try_ends_when_another_step_has_failed() -> None:
    made = pipeline("""
[steps.flaky]
hand = "worker"
retry = { times = 5, backoff = "1h" }
[steps.other]
hand = "worker"
""")
    answers = {"flaky": FAILED, "other": FAILED}
    drive = Drive(made, answer=lambda begin: answers[str(begin.name)])
    assert drive.names == ["flaky", "other"]
    assert drive.result.step == "other"


def test_the_whole_pipeline_has_at_most_so_many_runs_at_once() -> None:
    text = "".join(f'[steps.s{number}]\nhand = "worker"\n' for number in range(9))
    made = pipeline(text)
    assert max(told.running for told in Drive(made).events) == 8


ASKED = """
[steps.each]
hand = "adder"
for_each = ["a", "b"]
parallel = 2
with = { a = "${item}" }
approval = "${item} goes out"
retry = { times = 2, on = ["broken", "denied"] }
"""


def test_a_piece_is_asked_about_until_it_has_begun_and_its_further_tries_are_not() -> None:
    answers = iter([End(code="denied", text="no"), FAILED, DONE, DONE])
    one = ASKED.replace('["a", "b"]', '["a"]')
    drive = Drive(pipeline(one), answer=lambda _: next(answers))
    assert [(begin.tries, begin.asks) for begin in drive.begun] == [(1, "a goes out"), (2, "a goes out"), (3, "")]
    assert drive.result.code == ""


@pytest.mark.parametrize("why", ["", " \n", None])
def test_a_step_whose_reason_comes_out_empty_asks_all_the_same(why: object) -> None:
    text = ASKED.replace("${item} goes out", "${item}").replace('["a", "b"]', '"${inputs.reasons}"')
    drive = Drive(pipeline(text + '[inputs]\nreasons = "list"\n'), {"reasons": [why]})
    if why is None:  # which has no spelling
        assert (drive.names, drive.result.code) == ([], "expression")
    else:
        assert [begin.asks for begin in drive.begun] == ["so says its pipeline"]


def test_a_denied_step_is_not_tried_again_unless_its_retry_says_so() -> None:
    text = ASKED.replace(', on = ["broken", "denied"]', "")
    drive = Drive(pipeline(text), answer=failing("each[0]", code="denied"))
    assert (drive.names, drive.result.code) == (["each[0]", "each[1]"], "denied")


@pytest.mark.parametrize("says_yes", [True, False])
def test_what_nobody_has_answered_when_the_pipeline_fails_is_taken_back(*, says_yes: bool) -> None:
    undo = 'undo = { hand = "undoer" }\n[steps.other]\nhand = "adder"\n'
    drive = Drive(
        pipeline(ASKED + undo), answer=failing("other"), choose=lambda open_: len(open_) - 1, says_yes=lambda: says_yes
    )
    assert [type(action).__name__ for action in drive.actions].count("TakeBack") == 2
    assert drive.result.step == "other"
    assert drive.result.undone == (("each[0]", "each[1]") if says_yes else ())
