"""Without a language model: what is declared is done, the same each time, and every answer says how it was made."""

import asyncio
import time
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.agent_task import Step, Task
from runtime.agent.marks import Marks
from runtime.agent.results import as_text, note_on_rest
from runtime.models import drivers
from runtime.models.drivers import Endpoint, offline, offline_fill, offline_tables, offline_texts
from runtime.models.failures import ModelFailed
from runtime.models.messages import (  # fmt: skip
    Answer,
    AnyPiece,
    Message,
    Request,
    Stop,
    Text,
    TextPiece,
    Tool,
    ToolCall,
    ToolPiece,
    ToolResult,
)
from tests.spread import spread

WEATHER = """date,place,rain_mm,high_c
2026-11-01,Berlin,3.2,9
2026-11-02,Berlin,0,11
2026-11-03,Oslo,12.5,2
"""
STORY = """
The harbour of Kiel was closed on Monday because of a storm. Ships waited outside the harbour for the storm to pass.
Dr. Weber of the weather service said that the storm was the strongest in ten years. A bakery in town sold out of bread.
The harbour will open again when the storm has passed, the port authority said. Children liked the puddles.
"""


def _asked(text: str = "", *messages: Message, **more: object) -> Request:
    first = Message(role="user", parts=(Text(text=text),))
    return msgspec.structs.replace(Request(messages=(first, *messages)), **more)


async def _played(request: Request) -> tuple[list[AnyPiece], Answer]:
    made = drivers.load_driver("offline")(Endpoint(provider="offline"))
    pieces: list[AnyPiece] = []
    answer: Answer | None = None
    async for piece in made.stream("classical", request):
        if isinstance(piece, Answer):
            answer = piece
        else:
            pieces.append(piece)
    assert answer is not None
    return pieces, answer


def answer(request: Request) -> Answer:
    pieces, found = asyncio.run(_played(request))
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == found.text
    assert offline.NOTE in found.notes
    assert asyncio.run(_played(request))[1] == found
    return found


def test_a_conversation_is_told_how_to_set_up_a_model_and_nothing_is_pretended() -> None:
    found = answer(_asked("What is the capital of France?"))
    assert "No language model is set up" in found.text
    assert "`maniple settings model 'routes=" in found.text, "a key alone changes nothing"
    assert "maniple settings model --secret" in found.text
    assert "Paris" not in found.text
    assert found.text == found.text.strip()
    assert found.stop is Stop.END


def test_a_summary_is_sentences_of_the_text_in_their_order() -> None:
    found = answer(_asked(STORY, task=Task(kind="summarise", most=2)))
    sentences = offline_texts.sentences(STORY)
    chosen = [one for one in sentences if one in found.text]
    assert len(chosen) == 2
    assert all("storm" in one for one in chosen)
    assert found.text == " ".join(chosen)
    assert found.value == {"summary": found.text}


def test_an_abbreviation_ends_no_sentence() -> None:
    assert (
        "Dr. Weber of the weather service said that the storm was the strongest in ten years."
        in offline_texts.sentences(STORY)
    )


def test_key_phrases_and_what_concerns_a_question_are_extracted() -> None:
    phrases = answer(_asked(STORY, task=Task(kind="extract", most=8))).value
    assert isinstance(phrases, dict)
    assert "weather service" in phrases["found"]
    found = answer(_asked(STORY, task=Task(kind="extract", query="Who sells bread?", most=1)))
    assert found.value == {"found": ["A bakery in town sold out of bread."]}
    none = answer(_asked(STORY, task=Task(kind="extract", query="parliament")))
    assert (none.value, none.text) == ({"found": []}, "")
    assert "Nothing in the text" in none.notes[1]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The goal came late in the match", "sport"),
        ("Shares fell and the bank lost money", "money"),
        ("It rained", None),
    ],
)
def test_a_text_is_sorted_under_the_label_whose_words_it_has_or_under_none(text: str, label: str | None) -> None:
    found = answer(_asked(text, task=Task(kind="classify", among=("sport: goals, matches", "money: bank, shares"))))
    assert isinstance(found.value, dict)
    assert found.value["label"] == label
    assert found.text == (label or "")


def test_texts_are_ranked_for_a_question() -> None:
    texts = ("A cat slept.", "Two dogs barked at dogs.", "A dog and a cat met.")
    found = answer(_asked("", task=Task(kind="rank", query="dogs", among=texts)))
    assert isinstance(found.value, dict)
    assert found.value["order"] == [1, 2, 0]
    assert found.value["scores"][2] == 0


_ORDER = {
    "type": "object",
    "properties": {
        "customer": {"type": "string", "x-names": ["name"]},
        "due_date": {"type": "string", "format": "date"},
        "amount": {"type": "number"},
        "items": {"type": "array", "items": {"type": "string"}},
        "express": {"type": "boolean"},
        "state": {"enum": ["open", "paid"]},
        "mail": {"type": "string", "format": "email"},
    },
}
_TEXT = """Order of 2026
Name: Ada Lovelace
- **Due date**: 2026-12-24
The amount is 1,250.50 euros; it was not yet paid.
Items: pens, paper and ink
Express = no
Write to ada@example.org.
"""


def test_a_schema_is_filled_with_what_the_text_says_and_nothing_else() -> None:
    found = answer(_asked(_TEXT, schema=_ORDER))
    assert found.value == {
        "customer": "Ada Lovelace", "due_date": "2026-12-24", "amount": 1250.5, "items": ["pens", "paper", "ink"],
        "express": False, "state": "paid", "mail": "ada@example.org",
    }  # fmt: skip
    assert msgspec.json.decode(found.text) == found.value
    nothing = answer(_asked("It rained.", schema=_ORDER))
    assert nothing.value == {}
    assert nothing.notes[1] == "The text does not say: customer, due_date, amount, items, express, state, mail."


def test_a_schema_is_filled_from_json_by_other_spellings_of_its_names() -> None:
    text = '{"Name": "Ada", "dueDate": "2026-12-24", "AMOUNT": "12", "nested": {"a": 1}}'
    value, missing = offline_fill.fill(_ORDER, text)
    assert value == {"customer": "Ada", "due_date": "2026-12-24", "amount": 12}
    assert "items" in missing


@pytest.mark.parametrize(
    ("said", "whole", "number"),
    [
        ("9007199254740993", 9007199254740993, 9007199254740993),
        ("1,250 pieces", 1250, 1250),
        ("-1'250'000.5", None, -1250000.5),
        ("12, or so", 12, 12),
        ("1e3", 1000, 1000),
        ("18446744073709551616", None, None),
        ("9" * 5_000, None, None),
        ("3,50 EUR", None, None),
        ("1.250,50 EUR", None, None),
        ("1,2,3", None, None),
    ],
)
def test_a_number_is_what_the_text_says_to_its_last_digit_or_none(said: str, whole: object, number: object) -> None:
    for kind, value in (("integer", whole), ("number", number)):
        for text in (f"n: {said}", f"It is {said}", msgspec.json.encode({"n": said}).decode()):
            found, missing = offline_fill.fill({"properties": {"n": {"type": kind}}}, text)
            assert (found, missing) == (({}, ("n",)) if value is None else ({"n": value}, ()))
            assert msgspec.msgpack.encode(found)


def test_a_list_is_read_in_time_proportional_to_the_text() -> None:
    """All who ask models wait for the one process that does this."""
    begun = time.process_time()
    value, _ = offline_fill.fill(_ORDER, f"items: pens{' ' * 60_000}x, ink  and paper;rubber and")
    assert isinstance(value, dict)
    assert value["items"] == [f"pens{' ' * 60_000}x", "ink", "paper", "rubber and"]
    assert time.process_time() - begun < 2  # it takes 0.1 s, and took 40


def test_the_tables_of_a_list_are_filled_as_any_other() -> None:
    row = {"type": "object", "properties": {"price": {"type": "number"}, "left": {"type": "integer"}}}
    schema, text = {"properties": {"parts": {"type": "array", "items": row}}}, '[{"Price": "1.50", "left": "3"}, {}]'
    told = ({"parts": [{"price": 1.5, "left": 3}, {}]}, ("parts[1].price", "parts[1].left"))
    assert offline_fill.fill(schema, f'{{"parts": {text}}}') == told
    assert offline_fill.fill({"type": "array", "items": row}, text)[0] == told[0]["parts"]
    assert offline_fill.fill(schema, "parts: nut, bolt") == ({}, ("parts",))


@pytest.mark.wide
def test_a_schema_of_many_names_is_looked_for_in_less_of_the_text_and_one_of_too_many_nowhere() -> None:
    """Names times text is time, in which nobody else is answered: 2,000 names in a whole text took a minute."""
    many = {f"p{number}": {"type": "string"} for number in range(offline_fill.NAMES_MOST // 2)}
    looked = offline_fill.characters_read({"properties": many})
    assert looked * offline_fill.NAMES_MOST <= offline_fill.WORK_MOST
    line = "\np7: seven"
    text = "x" * (looked - len(line)) + line
    assert answer(_asked(text, schema={"properties": many})).value == {"p7": "seven"}
    beyond = answer(_asked(f"x{text}", schema={"properties": many}))
    assert beyond.value == {"p7": "seve"}
    assert beyond.notes[2] == f"Only its first {looked:,} characters were read."
    for more in ({"type": "string"}, {"type": "string", "x-names": ["a"] * 3}, {"items": {"enum": ["a", "b", "c"]}}):
        with pytest.raises(ModelFailed, match="2,000 names and choices"):
            answer(_asked("p7: seven", schema={"properties": many | {"more": more}}))


def test_what_many_names_have_in_common_is_told_of_each_only_as_far_as_an_answer_holds() -> None:
    alike: dict[str, object] = {f"p{number}": {"type": "string", "x-names": ["name"]} for number in range(60)}
    with pytest.raises(ModelFailed, match="KiB for one answer"):
        answer(_asked(f"name: {'v' * 100_000}", schema={"properties": alike}))


@given(st.text(max_size=200), st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"]))
def test_any_text_is_answered_and_what_is_filled_is_of_its_type(text: str, kind: str) -> None:
    value, missing = offline_fill.fill({"properties": {"a": {"type": kind}}}, text)
    assert isinstance(value, dict)
    types = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list, "object": dict}
    if "a" in value and kind in types:
        assert isinstance(value["a"], types[kind])
    else:
        assert kind in ("object", "null") or missing == ("a",)


@pytest.mark.parametrize(
    "piece", spread(["a", " ", "\n", '." ', "- ", "a-", "1,", "d is ", "a@", "a.", "*", "\n ", "name: x  "], 5)
)
def test_no_text_makes_it_slow(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    formats = {"d": "date", "e": "email", "u": "uri", "v": "ipv4"}
    properties: dict[str, object] = {name: {"type": "string", "format": form} for name, form in formats.items()}
    began = time.process_time()
    offline_fill.fill({"properties": {"name": {"type": "string"}, "n": {"type": "number"}, **properties}}, text)
    offline_texts.summarise(text)
    offline_texts.phrases(text)
    offline_tables.describe(text)
    assert time.process_time() - began < 20


def test_a_sentence_of_short_forms_is_put_together_once() -> None:
    begun = time.process_time()
    assert offline_texts.sentences("Dr. " * 200_000 + "No") == [("Dr. " * 200_000 + "No")]
    assert time.process_time() - begun < 3  # it takes a fifth of one, and took minutes


@pytest.mark.parametrize("blank", [" ", "\n", "\t "])
def test_a_name_that_nothing_is_said_of_is_left_out_however_much_white_space_follows(blank: str) -> None:
    """It takes no time to speak of, and took an hour: one Hand's text would have held up all who ask models."""
    schema = {"properties": {"name": {"type": "string"}, "n": {"type": "number"}}}
    text = f"n is 7. The name is{blank * (200_000 // len(blank))}"
    assert offline_fill.fill(schema, text) == ({"n": 7}, ("name",))
    assert offline_fill.fill(schema, f"{text}Ada{' ' * 50_000}.") == ({"n": 7, "name": "Ada"}, ())


@given(st.text(max_size=300), st.integers(0, 5))
def test_what_is_summarised_or_extracted_is_of_the_text_whatever_it_is(text: str, most: int) -> None:
    sentences = offline_texts.sentences(text)
    summary = offline_texts.summarise(text, most)
    assert len(summary) <= max(most, 7)
    left = iter(sentences)
    assert all(one in left for one in summary)
    for phrase in offline_texts.phrases(text):
        assert all(word in text for word in phrase.split())
    offline_tables.describe(text)


def test_a_table_is_described_by_what_can_be_counted() -> None:
    assert offline_tables.describe(WEATHER).splitlines() == [
        "3 rows of 4 columns.",
        "",
        "- date: 3 different values, from 2026-11-01 to 2026-11-03",
        "- place: 2 different values, most often Berlin (2 times)",
        "- rain_mm: from 0 (2026-11-02) to 12.5 (2026-11-03), 5.233 on average",
        "- high_c: from 2 (2026-11-03) to 11 (2026-11-02), 7.333 on average",
    ]
    rows = [{"place": "Oslo", "rain": 1}, {"place": "Rome"}]
    for text in (rows, {"rows": rows, "more": False}):
        described = offline_tables.describe(msgspec.json.encode(text).decode())
        assert "- rain: from 1 (Oslo) to 1 (Oslo), 1 on average; 1 empty" in described
    assert offline_tables.describe("just words") == "This is not a table."
    assert offline_tables.describe('[{"n": 1}]').startswith("1 row of 1 column.")
    described = offline_tables.describe("n,m\n1234567,a\n1234567.89,b")
    assert "from 1234567 to 1234567.89, 1234567.445 on average" in described


_STEPS = (
    Step(tool="plan_set", arguments={"items": ["Read the table", "Write the report"]}),
    Step(tool="files_read", arguments={"path": "weather/november.csv"}),
    Step(
        tool="report_write",
        arguments={"title": "Weather", "text": {"$join": ["# Weather\n\n", {"$of": 2, "$do": "describe"}]}},
    ),
)
_TOOLS = tuple(Tool(name=step.tool) for step in _STEPS)


def _went(steps: Sequence[Step], results: Sequence[ToolResult]) -> tuple[list[ToolCall], Answer]:
    """The loop of an agent, in small: what was called, and the last answer."""
    calls: list[ToolCall] = []
    messages: list[Message] = []
    while True:
        request = _asked("Report on the weather.", *messages, task=Task(kind="steps", steps=tuple(steps)), tools=_TOOLS)
        found = answer(request)
        if found.stop is not Stop.TOOL:
            return calls, found
        calls += found.calls
        messages.append(Message(role="assistant", parts=found.parts))
        (call,) = found.calls
        result = msgspec.structs.replace(results[len(calls) - 1], id=call.id)
        messages.append(Message(role="user", parts=(result,)))


def _result(text: str, *, failed: bool = False) -> ToolResult:
    return ToolResult(id="", content=(Text(text=text),), failed=failed)


def test_a_declared_task_plans_reads_a_table_and_writes_a_report() -> None:
    calls, last = _went(_STEPS, [_result("ok"), _result(WEATHER), _result("reports/weather.md")])
    assert [call.name for call in calls] == ["plan_set", "files_read", "report_write"]
    assert str(calls[2].arguments["text"]).startswith("# Weather\n\n3 rows of 4 columns.")
    assert "12.5 (2026-11-03)" in str(calls[2].arguments["text"])
    assert last.text == "Done, in 3 steps: plan_set, files_read, report_write.\n\nreports/weather.md"
    assert _went(_STEPS[:1], [_result("")])[1].text == "Done, in 1 step: plan_set."


def test_a_table_of_which_only_a_piece_was_shown_is_described_as_that_piece_and_says_so() -> None:
    content = "day,rain\n" + "".join(f"d{day},{day}.25\n" for day in range(1_000))
    whole, end = as_text({"size": len(content), "content": content}), 1_005
    marked = Marks("0123456789abcdef" * 2).mark(whole[:end], "files.read november.csv", ["files"])
    assert whole[:end].endswith("\nd98,98.25\nd99,9")
    read = Step(tool="files_read", arguments={"path": "november.csv"})
    told = Step(tool="report_write", arguments={"text": {"$of": 1, "$name": "content", "$do": "describe"}})
    for shown in (marked, whole[:end]):
        calls, _ = _went((read, told), [_result(f"{shown}\n{note_on_rest('r1', whole, 0, end)}"), _result("ok")])
        assert str(calls[1].arguments["text"]).splitlines() == [
            f"Only characters 0 to 1,005 of {len(whole):,} were read.",
            "",
            "99 rows of 2 columns.",
            "",
            "- day: 99 different values, from d0 to d98",
            "- rain: from 0.25 (d0) to 98.25 (d98), 49.25 on average",
        ]


def test_a_step_that_failed_ends_the_task_and_is_told() -> None:
    calls, last = _went(_STEPS, [_result("ok"), _result("no such file", failed=True)])
    assert len(calls) == 2
    assert last.text == "Step 2 (files_read) failed: no such file\n\nDone before it: plan_set."


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"a": {"$of": 1}}, "not the number of a step before it"),
        ({"a": {"$of": 0}}, "not the number of a step before it"),
        ({"a": {"$join": "text"}}, "is not a list"),
    ],
)
def test_a_step_that_cannot_be_made_is_a_failure_in_words(arguments: dict[str, object], why: str) -> None:
    task = Task(kind="steps", steps=(Step(tool="plan_set", arguments=arguments),))
    with pytest.raises(ModelFailed, match=why):
        answer(_asked("", task=task, tools=_TOOLS))


def test_a_step_whose_tool_is_not_offered_is_not_asked_for() -> None:
    with pytest.raises(ModelFailed, match="plan_set, which is not offered"):
        answer(_asked("", task=Task(kind="steps", steps=_STEPS)))


def test_each_step_is_streamed_as_a_piece_of_its_call() -> None:
    pieces, _ = asyncio.run(_played(_asked("", task=Task(kind="steps", steps=_STEPS), tools=_TOOLS)))
    assert [type(piece) for piece in pieces] == [ToolPiece, ToolPiece]
