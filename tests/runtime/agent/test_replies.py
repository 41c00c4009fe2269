"""What came of an agent's calls, as its machine is told it: streams, runs of other Hands, the session that is returned."""

from typing import Any

import pytest

from runtime.agent.actions import AskModel, MakeCall, Outcome, Recalled, Result
from runtime.agent.replies import (
    SESSION_MOST,
    last_messages,
    model_params,
    parse_recalled,
    run_outcome,
    run_reply,
    spawn_limit,
    with_content,
)
from runtime.kernel_handle import Budget
from runtime.models.messages import Image, Message, Request, Text
from wire.amounts import Cost
from wire.codec import encode_body


def said(text: str, role: Any = "user") -> Message:
    return Message(role=role, parts=(Text(text=text),))


@pytest.mark.parametrize(
    ("chunks", "value", "told"),
    [
        ([], {"a": 1}, {"a": 1}),
        ([b"\xc3", b"\xa4"], {"a": 1}, {"a": 1, "content": "ä"}),
        ([b"a"], None, {"content": "a"}),
        ([b"a"], 7, {"value": 7, "content": "a"}),
    ],
)
def test_what_was_streamed_stands_in_the_reply(chunks: list[bytes], value: object, told: object) -> None:
    assert with_content(chunks, value) == told


def test_a_stream_that_was_cut_within_a_letter_loses_that_letter_alone() -> None:
    assert with_content(["aä".encode(), b"\xe2\x82"], {"cut": "at 5"}, is_cut=True) == {"cut": "at 5", "content": "aä"}
    assert with_content([b"\xffa"], None, is_cut=True) == {"encoding": GUESSED, "content": "ÿa"}
    assert with_content([b"\x89PNG\r\n\x1a\n"], None, is_cut=True) == {"content": "(8 bytes that are not text)"}


CUT = "UTF-8, without the incomplete characters at its ends"
GUESSED = "windows-1252, which is a guess: it is not UTF-8"


@pytest.mark.parametrize(
    ("raw", "text", "encoding"),
    [
        ("aä".encode() + b"\xe2\x82", "aä", CUT),
        (b"\x9f\x98\x80 and \xc3\xa4", " and ä", CUT),
        (b"\xa4\xc3\xa4\xf0\x9f\x98", "ä", CUT),
        ("a,ä\r\n".encode("utf-16"), "a,ä\r\n", "UTF-16"),
        (b"\xfe\xff" + "ä😀".encode("utf-16-be") + b"\0", "ä😀", "UTF-16"),
        ("Größe;3,5\t€\n".encode("cp1252"), "Größe;3,5\t€\n", GUESSED),
        (b"\xe9t\xe9 \x81", "été \ufffd", GUESSED),
        ("Größe ".encode() + b"\xff", "Größe \ufffd", "UTF-8, with \ufffd for bytes that are invalid in it"),
    ],
)
def test_a_text_in_other_letters_or_cut_within_one_is_read_and_that_is_told(
    raw: bytes, text: str, encoding: str
) -> None:
    assert with_content([raw], {"size": len(raw)}) == {"size": len(raw), "encoding": encoding, "content": text}


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\x80\x81", b"\xf0\x9f", b"PK\3\4\xff", b"\xff\xfe\0\xd8a\0", b"\xe9\0"])
def test_what_is_in_no_letters_is_no_text(raw: bytes) -> None:
    assert with_content([raw], None) == {"content": f"({len(raw)} bytes that are not text)"}


@pytest.mark.parametrize("start", range(9))
@pytest.mark.parametrize("length", range(9))
def test_of_each_part_of_a_text_the_whole_letters_are_read(start: int, length: int) -> None:
    whole = "aä€😀b"
    raw = whole.encode()[start : start + length]
    found = with_content([raw], None)
    shown = raw.decode("utf-8", "ignore")
    assert found == {"content": f"({len(raw)} bytes that are not text)"} if raw and not shown else True
    if shown:
        assert isinstance(found, dict)
        assert found["content"] == shown


def test_what_the_run_of_an_agent_has_used_counts_here_and_its_answer_is_the_reply() -> None:
    used = {"answer": "yes", "tokens": 5, "micro_dollars": 7}
    done = run_outcome(Outcome(value={"outcome": "done", "value": used}, tokens=1, micro_dollars=2))
    assert (done.value, done.code, done.tokens, done.micro_dollars) == ("yes", "", 6, 9)
    other = run_outcome(Outcome(value={"outcome": "done", "value": {"tokens": 5}}, tokens=1))
    assert (other.value, other.tokens) == ({"tokens": 5}, 1), "what is no agent's is a value like any other"
    lying = run_outcome(
        Outcome(value={"outcome": "done", "value": {"answer": "yes", "tokens": -5, "micro_dollars": "x"}})
    )
    assert (lying.tokens, lying.micro_dollars) == (0, 0)


def test_what_a_run_says_that_it_has_used_can_be_told_on_with_what_was_used_before() -> None:
    used = {"answer": "yes", "tokens": 2**64 - 1, "micro_dollars": 2**64 - 1}
    lying = run_outcome(Outcome(value={"outcome": "done", "value": used}, tokens=1))
    assert encode_body({"tokens": 1_000 * lying.tokens, "micro_dollars": 1_000 * lying.micro_dollars})


def test_a_run_that_failed_tells_why_and_what_it_had() -> None:
    told = run_outcome(
        Outcome(value={"outcome": "failed", "code": "steps", "text": "all", "value": {"answer": "half"}})
    )
    assert (told.value, told.code, told.text) == (None, "steps", "failed: all; its work so far: half")
    assert run_outcome(Outcome(value={"outcome": "stopped"})).code == "stopped"


def test_of_a_long_session_the_latest_is_returned() -> None:
    messages = [said(f"{number} " + "x" * 100_000) for number in range(12)]
    kept: Any = last_messages(messages)
    assert 1 < len(kept) < 7
    assert kept[-1]["parts"][0]["text"] == messages[-1].parts[0].text  # type: ignore[union-attr]
    assert len(last_messages([said("x" * (SESSION_MOST + 1))])) == 1
    picture = Message(role="user", parts=(Image(media="image/png", content=b"\x89"),))
    shown: Any = last_messages([picture])
    assert shown[0]["parts"][0]["content"] == b"\x89"


@pytest.mark.parametrize(
    ("spawned_together", "bound", "left", "most"),
    [
        (1, (500, 0), (None, None), (500, 10**12)),
        (1, (500, 0), (300, 90), (300, 45)),
        (2, (500, 0), (300, 90), (150, 30)),
        (2, (0, 40), (300, 90), (100, 40)),
        (3, (0, 40), (300, 90), (75, 30)),
    ],
)
def test_runs_of_others_that_are_begun_at_once_have_room_beside_one_another_and_whoever_else_pays(
    spawned_together: int, bound: tuple[int, int], left: tuple[int | None, int | None], most: tuple[int, int]
) -> None:
    make = MakeCall(
        number=1,
        method="kernel.spawn",
        resource="b",
        arguments={},
        tokens=bound[0],
        micro_dollars=bound[1],
        spawned_together=spawned_together,
    )
    told = Budget(
        tokens=0, micro_dollars=0, calls=0, calls_per_minute=300, tokens_left=left[0], micro_dollars_left=left[1],
        budget=(),
    )  # fmt: skip
    assert spawn_limit(make, told) == Cost(tokens=most[0], micro_dollars=most[1])


@pytest.mark.parametrize("size", [10, 700_000, 983_040])
def test_what_a_run_comes_to_is_as_large_as_its_end_may_be(size: int) -> None:
    answer, lines = "w" * size, tuple(f"{number} " + "x" * 200 for number in range(10_000))
    session = (said("task"), said("older" * 1_000, "assistant"), said("go on"), said(answer, "assistant"))
    for code in ("", "steps"):
        whole = Result(answer=answer, code=code, notes=lines, made=lines, session=session)
        told: Any = run_reply(whole, wants_session=True)
        assert len(encode_body(told)) < 1_048_576 - 8_192
        assert told["answer"] == answer
        for lines_told in (told["notes"], *([told["made"]] if code else [])):
            assert (
                lines_told[0]
                == f"({10_001 - len(lines_told)} earlier {'notes' if lines_told is told['notes'] else 'calls'} are left out)"
            )
            assert tuple(lines_told[1:]) == lines[len(lines) + 1 - len(lines_told) :]
        assert len(told["session"]) == (4 if size == 10 else 0)
    small: Any = run_reply(Result(answer=answer, code="steps", made=lines[:2], session=session), wants_session=True)
    assert (small["made"], small["notes"]) == (list(lines[:2]), [])
    assert "session" not in run_reply(Result(answer=answer), wants_session=False)


def test_what_a_request_does_not_say_is_no_param_of_its_call() -> None:
    assert set(model_params(AskModel(request=Request(messages=(said("a"),))))) >= {"messages", "choice"}
    assert not {"system", "schema", "task", "temperature"} & set(
        model_params(AskModel(request=Request(messages=(said("a"),))))
    )


@pytest.mark.parametrize(
    ("row", "at"),
    [
        ({"whole": True, "piece": [3, 9]}, 3),
        ({"whole": False, "piece": [3, 9]}, 0),
        ({"whole": True, "piece": [99, 100]}, 10),
        ({"whole": True, "piece": ["x"]}, 0),
        ({"whole": True, "piece": [-1]}, 0),
        ({}, 0),
    ],
)
def test_what_was_found_stands_somewhere_in_what_is_recalled(row: dict[str, object], at: int) -> None:
    told = {"results": [{"text": "0123456789", **row}, {"text": 7}, "x"]}
    assert parse_recalled(told, ("post",)) == (Recalled(text="0123456789", labels=("post",), at=at),)


@pytest.mark.parametrize("told", [None, [], {}, {"results": 5}])
def test_a_memory_that_tells_nothing_recalls_nothing(told: object) -> None:
    assert parse_recalled(told, ()) == ()
