"""Pictures that tools return: the model is shown them within bounds, and what stands for one that is not is told."""

import pytest
from msgspec.structs import replace

from runtime.agent import pictures
from runtime.agent.actions import MakeCall, Outcome
from runtime.agent.replies import last_messages, with_content
from runtime.models import counting
from runtime.models.messages import Image, Message, Request, Text
from tests.runtime.agent.driven import BOUNDARY, BRIEF, Drive, call, looks, says, texts
from tests.runtime.agent.test_mending import check_whole

PNG = b"\x89PNG\r\n\x1a\n"
WIDE = replace(BRIEF, window=100_000, steps=1000)


def _of(size: int) -> bytes:
    return PNG.ljust(size, b".")


def _shows(size: int, labels: tuple[str, ...] = ()) -> object:
    return lambda make: Outcome(value={"content": _of(size) + make.resource.encode()}, labels=labels)


def _drive(turns: int, size: int = 200, **more: object) -> Drive:
    answers = [*(looks(f"d{place}") for place in range(turns)), says("done")]
    given: dict[str, object] = {"answers": answers, "brief": WIDE, "method": _shows(size), **more}
    return Drive(**given)  # type: ignore[arg-type]


def _seen(request: Request) -> list[Image]:
    return [one for message in request.messages for one in pictures.in_results(message)]


def _all(request: Request) -> str:
    return "\n".join(map(texts, request.messages))


def test_a_stream_that_is_a_picture_stays_one_unless_it_was_cut() -> None:
    assert with_content([PNG, b"a"], None) == {"content": PNG + b"a"}
    assert with_content([b"GIF89a"], None) == {"content": b"GIF89a"}
    assert with_content([PNG], None, is_cut=True) == {"content": "(8 bytes that are not text)"}


def test_pictures_are_taken_out_of_a_reply_wherever_they_stand_and_other_bytes_are_not() -> None:
    told = {"parts": [{"type": "image", "data": PNG}, {"data": b"\xff"}], "text": "a"}
    value, found = pictures.take_out(told)
    assert value == {
        "parts": [{"type": "image", "data": "(a picture, image/png, 8 bytes)"}, {"data": b"\xff"}],
        "text": "a",
    }
    assert found == (Image(media="image/png", content=PNG),)


def test_one_that_is_too_large_is_told_in_words() -> None:
    value, found = pictures.take_out(_of(pictures.PICTURE_MOST + 1))
    assert (value, found) == ("(a picture, image/png, 524,289 bytes: not shown, since it is larger than 512 KiB)", ())


def test_what_a_tool_returned_is_shown_and_counted() -> None:
    drive = _drive(1)
    assert [one.content for one in _seen(drive.asked[1])] == [_of(200) + b"d0"]
    assert "(a picture, image/png, 202 bytes)" in drive.last
    assert pictures.OUTSIDE not in drive.last
    assert counting.of_request(drive.asked[1]) - counting.of_request(drive.asked[0]) > counting.IMAGE


def test_of_one_from_outside_that_is_said() -> None:
    drive = _drive(1, method=_shows(200, ("web",)))
    assert drive.last.index("image/png") < drive.last.index(f"<<end {BOUNDARY}>>") < drive.last.index(pictures.OUTSIDE)


def test_a_model_that_sees_none_is_told_of_it_in_a_line() -> None:
    drive = _drive(2, brief=replace(WIDE, takes_pictures=False))
    assert not any(map(_seen, drive.asked))
    assert "[a picture, image/png, 202 bytes: this model does not accept pictures]" in drive.last


@pytest.mark.parametrize("code", ["unfit", "request", "paused", "unconfigured"])
def test_pictures_of_a_request_that_is_refused_are_left_out_and_later_ones_are_not(code: str) -> None:
    answers = [looks("a"), looks("b"), (code, "no images"), looks("c"), looks("d"), says("done")]
    drive = _drive(0, answers=answers)
    names = [[one.content[-1:] for one in _seen(request)] for request in drive.asked]
    assert names == [[], [b"a"], [b"a", b"b"], [], [b"c"], [b"c", b"d"]]
    assert drive.result.answer == "done"
    why = "left out, since a request with it was refused"
    line = f'[a picture, image/png, 201 bytes: {why}; see it again with read_result(id="r2")]'
    assert line in _all(drive.asked[-1])
    ends = "" if code == "paused" else code  # that passes
    assert _drive(0, answers=[looks(), (code, "no"), (code, "no"), says("x")]).result.code == ends
    assert _drive(0, answers=[(code, "no"), says("x")]).result.code == code


def test_one_that_was_refused_can_be_seen_again() -> None:
    again = says("", call("read_result", id="r1"))
    drive = _drive(0, answers=[looks("a"), ("paused", "for a while"), again, says("done")])
    assert [[one.content[-1:] for one in _seen(request)] for request in drive.asked] == [[], [b"a"], [], [b"a"]]


def test_a_model_that_refuses_pictures_again_and_again_is_shown_none_for_the_rest() -> None:
    refused = [[looks(f"d{place}"), ("request", "no images")] for place in range(3)]
    answers = [one for turn in refused for one in turn]
    drive = _drive(0, answers=[*answers, looks("right"), says("done")])
    assert [len(_seen(one)) for one in drive.asked] == [0, 1, 0, 1, 0, 1, 0, 0]
    assert "this model does not accept pictures" in drive.last
    taken = [*answers[:4], looks("a"), looks("b"), ("request", "no"), looks("c"), says("done")]
    drive = _drive(0, answers=taken)
    assert [len(_seen(one)) for one in drive.asked] == [0, 1, 0, 1, 0, 1, 2, 0, 1], "it has taken one between"
    paused = [one for place in range(3) for one in (looks(f"d{place}"), ("paused", "for a while"))]
    drive = _drive(0, answers=[*paused, looks("right"), says("done")])
    assert [len(_seen(one)) for one in drive.asked] == [0, 1, 0, 1, 0, 1, 0, 1], "a pause says nothing of pictures"


def test_older_ones_give_way_to_a_line_by_which_they_are_seen_again() -> None:
    size = 100_000
    drive = _drive(20, size)
    for request in drive.asked:
        assert sum(len(one.content) for one in _seen(request)) <= pictures.PICTURES_MOST
        check_whole(request.messages)
    assert _seen(drive.asked[-1])[-1].content.endswith(b"d19")
    assert 'left out; see it again with read_result(id="r1")]' in _all(drive.asked[-1])
    firsts = [one.messages[:3] for one in drive.asked]
    assert len({str(pictures.in_results(one[2]) != []) for one in firsts[1:]}) == 2
    again = [*(looks(f"d{place}") for place in range(20)), says("", call("read_result", id="r1")), says("done")]
    assert _seen(_drive(0, answers=again, method=_shows(size)).asked[-1])[-1].content.endswith(b"d0")


def test_one_that_is_not_shown_any_more_takes_no_room_and_is_told_as_before() -> None:
    size = 100_000
    drive = _drive(60, size)
    talk = drive.machine._conversation
    assert talk is not None
    kept = [one for message in talk.messages for one in pictures.in_results(message)]
    assert len(kept) == 60
    assert sum(len(one.content) for one in kept) <= pictures.PICTURES_MOST
    assert f'[a picture, image/png, {size + 2:,} bytes: left out; see it again with read_result(id="r1")]' in _all(
        drive.asked[-1]
    )
    assert "a picture, image/png" in str(last_messages(drive.result.session))


def test_those_that_people_sent_take_of_the_same_room() -> None:
    sent = Message(role="user", parts=(Image(media="image/png", content=_of(500_000)),))
    drive = _drive(4, 100_000, session=(sent,))
    assert [len(_seen(one)) for one in drive.asked] == [0, 1, 1, 1, 1]
    assert all(pictures.beside_results(one.messages[0]) for one in drive.asked)


def test_many_at_once_take_no_more_than_half_of_what_the_model_reads() -> None:
    answers = [says("", *(call("desk_look", name="x" * one) for one in range(1, 31))), says("done")]
    drive = _drive(0, answers=answers, brief=replace(WIDE, window=32_000))
    assert drive.result.answer == "done"
    assert 1 <= len(_seen(drive.asked[1])) <= 8


def test_a_request_that_is_too_large_leaves_some_out() -> None:
    drive = _drive(0, answers=[looks(), looks("right"), ("too large", "body"), says("done")], method=_shows(300_000))
    assert [len(_seen(one)) for one in drive.asked] == [0, 1, 2, 1]


@pytest.mark.wide
def test_folded_turns_tell_of_their_pictures_and_these_can_be_seen_again() -> None:
    def page(make: MakeCall) -> Outcome:
        return Outcome(
            value={
                "text": make.resource + " a page of words" * 300,
                "content": _of(200) if make.resource == "d0" else "",
            }
        )

    drive = _drive(250, method=page, brief=replace(WIDE, window=20_000))
    assert all(counting.of_request(one) + one.most <= 20_000 for one in drive.asked)
    told = "\n".join(map(_all, drive.asked))
    assert " -> r1 (1 picture)" in told
    assert ' characters and 1 picture; read it with read_result(id="r1")]' in told


def test_pictures_of_before_are_told_of_where_they_are_folded() -> None:
    first = Message(role="user", parts=(Image(media="image/png", content=PNG), Text(text="look at this")))
    before = (first, Message(role="assistant", parts=(Text(text="I see"),)))

    def page(make: MakeCall) -> Outcome:
        return Outcome(value=make.resource + " a page of words" * 120)

    drive = _drive(60, method=page, session=before, brief=replace(WIDE, window=9_000))
    whole = _all(drive.asked[-1])
    assert '- [a picture, image/png, 8 bytes: left out; see it again with read_result(id="r1")]' in whole


def test_other_pictures_are_something_new_and_the_same_are_not() -> None:
    same = _drive(0, answers=[looks()] * 3 + [says("done")])
    assert "round in circles" in same.last
    sizes = iter(range(3))

    def changing(_: MakeCall) -> Outcome:
        return Outcome(value=_of(20) + bytes([next(sizes)]))

    assert "round in circles" not in _drive(0, answers=[looks()] * 3 + [says("done")], method=changing).last


def test_a_session_that_is_returned_has_words_for_pictures_of_results() -> None:
    told = str(last_messages(_drive(1).result.session))
    assert pictures.NOT_KEPT in told
    assert "PNG" not in told
