"""A conversation too long for the model is folded: what must stay stays, pairs stay whole, the rest can be read."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.agent.actions import MakeCall, Outcome
from runtime.agent.conversation import Conversation
from runtime.agent.marks import Marks
from runtime.agent.replies import model_params
from runtime.models import counting
from runtime.models.messages import Answer, Image, Message, Text, Thinking, ToolCall, ToolResult
from tests.runtime.agent.driven import BOUNDARY, BRIEF, Drive, call, says, texts
from tests.runtime.agent.test_mending import check_whole
from tests.spread import spread
from wire.codec import encode_body

WINDOW = 9_000
STEPS = 60


def _page(make: MakeCall) -> Outcome:
    return Outcome(value=f"{make.resource}: " + "a page of words " * 120)


def _text(text: str, role: str) -> Message:
    return Message(role="user" if role == "user" else "assistant", parts=(Text(text=text),))


def _turn(place: int) -> Answer:
    thought = Thinking(text="hm", seal=f"seal {place}", provider="p")
    one = says(f"I look at d{place}", call("desk_look", name=f"d{place}", size=place))
    return replace(one, parts=(thought, *one.parts))


def _drive(steps: int = STEPS, window: int = WINDOW, **more: object) -> Drive:
    answers = [*(_turn(place) for place in range(steps)), says("done")]
    brief = replace(BRIEF, window=window, steps=1000)
    return Drive(answers, brief=brief, method=_page, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def drive() -> Drive:
    return _drive(meanwhile={5: "Leave the red drawer shut.", 20: "Be quick."})


def test_no_request_is_longer_than_the_window_leaves_to_it(drive: Drive) -> None:
    assert drive.result.answer == "done"
    assert len(drive.asked) == STEPS + 1
    for request in drive.asked:
        assert counting.of_request(request) + request.most <= WINDOW


def test_the_task_and_what_people_said_are_in_every_request_after_it(drive: Drive) -> None:
    for number, request in enumerate(drive.asked, 1):
        whole = "\n".join(map(texts, request.messages))
        assert whole.count("tidy up") == 1
        assert whole.count("Leave the red drawer shut.") == (number > 5)
        assert whole.count("Be quick.") == (number > 20)


def test_of_what_people_said_in_a_long_conversation_before_the_last_is_left_and_the_whole_can_be_read() -> None:
    said = [f"Question {number}: what lies in drawer {number}, and why?" for number in range(2_000)]
    session = [message for text in said for message in (_text(text, "user"), _text("Nothing.", "assistant"))]
    reads = [says("", call("read_result", id="r1", find="Question 7:")), says("done")]
    drive = Drive(reads, brief=replace(BRIEF, window=WINDOW), session=session, meanwhile={1: "Be quick."})
    assert drive.result.answer == "done", drive.result
    for request in drive.asked:
        assert counting.of_request(request) + request.most <= WINDOW
    first = "\n".join(map(texts, drive.asked[0].messages))
    assert said[-20] in first
    assert said[0] not in first
    assert 'earlier messages are left out; read all of them with read_result(id="r1")' in first
    last = drive.asked[1].messages[-1]
    assert said[7] in texts(last)
    assert "Be quick." in texts(last)


def test_a_task_that_was_too_long_does_not_make_the_next_one_so() -> None:
    long = "".join(f"Line {number} of the question.\n" for number in range(5_000))
    failed = Drive([], brief=replace(BRIEF, window=WINDOW), task=long).result
    assert failed.code == "too_long"
    drive = Drive(
        [says("", call("read_result", id="r1", find="Line 4999 ")), says("done")],
        brief=replace(BRIEF, window=WINDOW), session=failed.session, task="And what is in the left one?",
    )  # fmt: skip
    assert drive.result.answer == "done", drive.result.why
    first = texts(drive.asked[0].messages[0])
    assert first.startswith("Line 0 of the question.")
    assert first.endswith("And what is in the left one?")
    assert 'read it whole with read_result(id="r1")' in first
    assert "Line 4999 of" in texts(drive.asked[1].messages[-1])


def test_each_request_is_one_that_providers_take(drive: Drive) -> None:
    for request in drive.asked:
        check_whole(request.messages)


def test_the_last_turns_stay_whole_with_what_was_thought(drive: Drive) -> None:
    full = drive.result.session
    for number, request in enumerate(drive.asked):
        end = 2 * number + 1
        kept = min(2 * 3, end - 1)
        assert request.messages[len(request.messages) - kept :] == full[end - kept : end]


def test_every_call_is_told_of_and_every_result_can_still_be_read(drive: Drive) -> None:
    whole = "\n".join(
        [*map(texts, drive.asked[-1].messages)]
        + [str(part) for one in drive.asked[-1].messages for part in one.parts if isinstance(part, ToolCall)]
    )
    shown = [place for place in range(STEPS) if f'"d{place}"' in whole or f"'d{place}'" in whole]
    left_out = next(line for line in whole.splitlines() if "earlier lines are left out, with the ids r1 to r" in line)
    assert shown[-1] == STEPS - 1
    assert shown == [*range(shown[0], STEPS)]
    assert int(left_out.split()[0]) >= shown[0]
    again = _drive(30)
    found = Drive(
        [*(_turn(place) for place in range(30)), says("", call("read_result", id="r1")), says("done")],
        brief=replace(BRIEF, window=WINDOW, steps=1000), method=_page,
    )  # fmt: skip
    assert found.last.startswith("d0: a page of words")
    assert again.result.answer == "done"


def test_results_are_left_out_before_turns_are(drive: Drive) -> None:
    requests = [map(texts, one.messages) for one in drive.asked]
    first = next(place for place, request in enumerate(requests) if "[left out: " in "\n".join(request))
    later = next(
        place for place, one in enumerate(drive.asked) if "Earlier turns are left out" in texts(one.messages[0])
    )
    assert first < later
    assert 'read it with read_result(id="r1")' in "\n".join(map(texts, drive.asked[first].messages))


def test_the_beginning_of_a_request_stays_for_many_of_them(drive: Drive) -> None:
    heads = [request.messages[:3] for request in drive.asked]
    changes = sum(before != after for before, after in pairwise(heads[3:]))
    assert changes < STEPS / 3


def test_the_whole_conversation_is_kept(drive: Drive) -> None:
    session = drive.result.session
    answers = [texts(one) for one in session if one.role == "assistant"]
    assert answers == [*(f"I look at d{place}" for place in range(STEPS)), "done"]
    assert not any("left out" in texts(one) for one in session)


def test_a_long_session_before_the_task_is_folded_too() -> None:
    before = _drive(20).result.session
    drive = Drive([says("yes")], session=before, brief=replace(BRIEF, window=WINDOW), task="and now?")
    assert counting.of_request(drive.asked[0]) + drive.asked[0].most <= WINDOW
    check_whole(drive.asked[0].messages)
    assert drive.last.endswith("and now?")


turns = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 3)), min_size=1, max_size=20)


@pytest.mark.wide
@settings(max_examples=60, deadline=None)
@given(sizes=turns, said=st.sets(st.integers(1, 20), max_size=4))
def test_whatever_the_sizes_requests_fit_and_are_whole(sizes: list[tuple[int, int]], said: set[int]) -> None:
    def method(make: MakeCall) -> Outcome:
        size = make.arguments["size"]
        assert isinstance(size, int)
        return Outcome(value=f"{make.number} " + "word " * size, labels=("post",) if size % 2 else ())

    answers = [
        says("I look", *(call("desk_look", name=f"d{place}-{one}", size=size) for one in range(number)))
        for place, (size, number) in enumerate(sizes)
    ]
    brief = replace(BRIEF, window=6_000, steps=1000)
    meanwhile = {place: f"say {place}." for place in said}
    drive = Drive([*answers, says("done"), says("done")], brief=brief, method=method, meanwhile=meanwhile)
    for number, request in enumerate(drive.asked, 1):
        assert counting.of_request(request) + request.most <= 6_000
        check_whole(request.messages)
        whole = "\n".join(map(texts, request.messages))
        assert all(f"say {place}." in whole for place in said if place < number)
        assert "tidy up" in whole
    results = [part for one in drive.result.session for part in one.parts if isinstance(part, ToolResult)]
    assert len(results) == sum(number for _, number in sizes[: drive.result.steps])


def test_what_was_marked_in_an_earlier_run_ends_with_its_mark_however_it_is_folded() -> None:
    memory = Marks("f" * 32).mark("what a page said " * 300, "memory", ("web",))
    before = (
        Message(role="user", parts=(Text(text=f"What you remember of it:\n{memory}"), Text(text="the first task"))),
        Message(role="assistant", parts=(Text(text="done"),)),
    )
    drive = _drive(30, session=before)
    for request in drive.asked:
        whole = "\n".join(map(texts, request.messages))
        assert whole.count(f"<<outside {BOUNDARY} ") == whole.count(f"\n<<end {BOUNDARY}>>")
        assert "the first task" in whole


def test_no_request_is_larger_than_a_message_may_be_however_large_the_window_is() -> None:
    turns = [says("", *(call("desk_look", name=f"d{turn}-{one}") for one in range(8))) for turn in range(4)]
    drive = Drive(
        [*turns, says("done")],
        brief=replace(BRIEF, window=1_000_000),
        method=lambda make: Outcome(value=f"{make.resource} " + "wordofprose" * 3_600),
    )
    assert drive.result.answer == "done"
    sizes = [len(encode_body(model_params(think))) for think in drive.thinks]
    assert max(sizes) > 600_000, "what has room is sent"


SCRIPTS = ("word ", "界", "é!", "{}", "x9")


@pytest.mark.parametrize("seed", spread(range(40), 16))
def test_what_is_sent_fits_whatever_it_is_written_in_and_of_however_many_parts_it_is_made(seed: int) -> None:
    chance = Random(seed)

    def some(*sizes: int) -> Text:
        return Text(text=chance.choice(SCRIPTS) * (chance.choice(sizes) // 5))

    before: list[Message] = []
    for _ in range(chance.choice([0, 6])):
        picture = (Image(media="image/png", content=b"x"),) * chance.choice([0, 1])
        before.append(Message(role="user", parts=(*picture, some(5, 3_000))))
        before.append(Message(role="assistant", parts=tuple(some(5, 300) for _ in range(chance.choice([1, 20])))))
    talk = Conversation(
        Marks(BOUNDARY), tuple(before), (Text(text="tidy up"),), lambda text, source, label, images: f"r{len(text)}"
    )
    for turn in range(chance.choice([3, 10, 30])):
        calls = [ToolCall(id=f"{turn}-{one}", name="look", arguments={}) for one in range(chance.choice([0, 1, 8]))]
        talk.add_answer((*(some(5, 500, 2_000) for _ in range(chance.choice([1, 5]))), *calls))
        results = [ToolResult(id=one.id, content=(some(5, 500, 5_000),)) for one in calls]
        for one in calls:
            talk.set_result_ids({one.id: f"r{one.id}"})
        said = some(5, 400).text
        talk.add_user((*results, some(5, 2_000), Text(text=said)), (said,) if chance.random() < 0.1 else ())
        most = chance.choice([1_500, 3_000, 6_000, 20_000])
        sent = talk.view(most)
        if sent is not None:
            assert sum(map(counting.of_message, sent)) <= most
            check_whole(sent)
            assert "tidy up" in "\n".join(map(texts, sent))
