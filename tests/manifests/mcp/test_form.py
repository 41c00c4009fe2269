"""A server's form becomes questions that say whose they are, bounded and visible; answers become what it can hold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from manifests.capabilities.spelling import oddity
from manifests.mcp import form
from manifests.mcp.form import AnswerInvalid, Form, FormInvalid

Row = dict[str, Any]


def a_form(message: str = "Who are you?", *required: str, **fields: Row) -> Form:
    return form.read(message, {"type": "object", "properties": fields, "required": list(required)})


def test_a_question_says_whose_it_is_what_it_wants_and_what_an_empty_answer_means() -> None:
    wanted = a_form(
        "Book a table",
        "when",
        when={"type": "string", "format": "date", "title": "Day", "description": "Of the visit."},
        people={"type": "integer", "minimum": 1, "maximum": 12, "default": 2},
    )
    assert form.question(wanted, 0, "mcp-inn") == (
        "The server of mcp-inn asks (1 of 2), in its own words: «Book a table». It wants «when» («Day. Of the visit»): "
        "a text in the form «date». Never answer it with a password or a key."
    )
    assert form.question(wanted, 1, "mcp-inn", "it is no integer") == (
        "The server of mcp-inn asks (2 of 2), in its own words: «Book a table». It wants «people»: a whole number "
        "(at least 1, at most 12). An empty answer means «2». What was answered before is not that: it is no integer. "
        "Never answer it with a password or a key."
    )
    assert "It wants a yes or no." in form.question(a_form("Go on?"), -1, "mcp-inn")


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_words_of_a_server_hide_move_or_end_their_quotation(message: str, words: str) -> None:
    try:
        said = form.question(a_form(message, it={"type": "string", "description": words}), 0, "mcp-x")
    except FormInvalid:
        return
    assert not oddity(said)
    assert "\n" not in said
    assert said.count("«") == said.count("»") <= 3
    assert len(said) < 2_000


def test_bounds_are_told_with_all_of_their_digits_and_one_beyond_all_reason_is_not_told() -> None:
    row = {"type": "integer", "minimum": 1_234_567, "maximum": 10**400}
    assert "a whole number (at least 1234567)." in form.question(a_form("?", it=row), 0, "mcp-x")
    row = {"type": "number", "minimum": 0.1, "maximum": 20_000_000.0}
    assert "a number (at least 0.1, at most 20000000)." in form.question(a_form("?", it=row), 0, "mcp-x")


def test_what_a_server_says_at_length_is_cut() -> None:
    said = form.question(a_form("x" * 100_000, it={"type": "string", "description": "y" * 100_000}), 0, "mcp-x")
    assert len(said) < 2_000


@pytest.mark.parametrize(
    ("row", "said", "value"),
    [
        ({"type": "string"}, " Bo ", " Bo "),
        ({"type": "string", "default": "Ann"}, "", "Ann"),
        ({"type": "integer", "default": 42}, " ", 42),
        ({"type": "integer"}, " 7 ", 7),
        ({"type": "number", "default": 95.5}, "", 95.5),
        ({"type": "number"}, "-1.5e3", -1500.0),
        ({"type": "boolean"}, "yes", True),
        ({"type": "boolean", "default": True}, "No", False),
        ({"type": "boolean", "default": False}, "", False),
        ({"type": "string", "enum": ["a", "b"], "default": "b"}, "", "b"),
        ({"type": "string", "enum": ["a", "b"], "minimum": 5}, "a", "a"),
        ({"type": "integer", "minimum": -(10**400), "maximum": 10**400}, "7", 7),
        ({"type": "string", "oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}, "b", "b"),
        ({"type": "string", "enum": [" a ", "b"]}, " a ", " a "),
        ({"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}}, "a, c", ["a", "c"]),
        ({"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}, "default": ["a"]}, "", ["a"]),
        ({"type": "string", "minLength": 4, "maxLength": 4}, "long", "long"),
        ({"type": "integer", "minimum": 4, "maximum": 4}, "4", 4),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "maxItems": 2}, "a,b", ["a", "b"]),
    ],
)
def test_an_answer_is_taken_as_the_field_has_it(row: Row, said: str, value: object) -> None:
    taken = form.read_answer(a_form("?", "it", it=row).fields[0], said)
    assert (taken, type(taken)) == (value, type(value))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"type": "string"}, ""),
        ({"type": "string", "maxLength": 3}, "long"),
        ({"type": "string"}, "x" * 20_000),
        ({"type": "integer"}, "1.5"),
        ({"type": "integer"}, "9" * 400),
        ({"type": "integer", "maximum": 3}, "4"),
        ({"type": "number"}, "nan"),
        ({"type": "number"}, "inf"),
        ({"type": "boolean"}, "perhaps"),
        ({"type": "string", "enum": ["a", "b"]}, "c"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2}, "a"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "a,c"),
    ],
)
def test_an_answer_that_the_field_cannot_hold_is_none(row: Row, said: str) -> None:
    with pytest.raises(AnswerInvalid):
        form.read_answer(a_form("?", "it", it=row).fields[0], said)


PLACES = {"type": "array", "items": {"enum": ["Rome, Italy", "Rome", "Italy", 'the "old" town', " edge ", '"x"', "x"]}}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('"Rome, Italy"', ["Rome, Italy"]),
        ("Rome, Italy", ["Rome", "Italy"]),
        ('Italy ,  "Rome, Italy" , Rome', ["Italy", "Rome, Italy", "Rome"]),
        ("1, 3", ["Rome, Italy", "Italy"]),
        ("5", [" edge "]),
        ('" edge "', [" edge "]),
        ('the "old" town', ['the "old" town']),
        ('"the ""old"" town", 2', ['the "old" town', "Rome"]),
        ('"""x""", "x"', ['"x"', "x"]),
        ("Rome,,Rome, 2,", ["Rome"]),
    ],
)
def test_each_of_several_choices_can_be_named_exactly_whatever_it_holds(said: str, value: list[str]) -> None:
    assert form.read_answer(a_form("?", "it", it=PLACES).fields[0], said) == value


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=12, unique=True), st.data())
def test_what_stands_between_quotation_marks_is_that_choice_and_no_other(
    choices: list[str], data: st.DataObject
) -> None:
    wanted = data.draw(st.lists(st.sampled_from(choices), min_size=1, unique=True))
    field = a_form("?", "it", it={"type": "array", "items": {"enum": choices}}).fields[0]
    assert form.read_answer(field, ", ".join('"' + one.replace('"', '""') + '"' for one in wanted)) == wanted


def test_an_answer_that_is_as_a_whole_one_choice_needs_no_marks_where_its_parts_are_none() -> None:
    field = a_form("?", "it", it={"type": "array", "items": {"enum": ["Rome, Italy", "Paris"]}}).fields[0]
    assert form.read_answer(field, "Rome, Italy") == ["Rome, Italy"]


@pytest.mark.parametrize("said", ["0", "8", "0001", "1.", "-1", "²", "9" * 5_000, "Rome; Italy", '"Rome', "Rome Italy"])
def test_what_names_no_choice_is_no_answer(said: str) -> None:
    with pytest.raises(AnswerInvalid, match="none of the choices"):
        form.read_answer(a_form("?", "it", it=PLACES).fields[0], said)


def test_choices_that_are_numbers_have_no_others() -> None:
    wanted = a_form("?", "it", it={"type": "array", "items": {"enum": ["10", "1", "many"]}})
    assert "any of «10», «1», «many»: their words, with commas between them." in form.question(wanted, 0, "mcp-x")
    assert form.read_answer(wanted.fields[0], "1, many") == ["1", "many"]
    with pytest.raises(AnswerInvalid):
        form.read_answer(wanted.fields[0], "3")


def test_a_question_says_how_several_are_chosen_and_an_empty_answer_as_it_could_be_written() -> None:
    choices = {"type": "array", "items": {"enum": ["b", "a, c"]}, "default": ["a, c", "b"], "minItems": 1}
    assert (
        "any of 1 «b», 2 «a, c»: their words or their numbers, with commas between them, one that holds a comma between "
        '" and " (at least 1). An empty answer means «"a, c", b».'
    ) in form.question(a_form("?", it=choices), 0, "mcp-x")


@pytest.mark.parametrize(
    ("names", "said"), [(["A", "B"], "«a» («A»), «b» («B»)"), (["A"], "«a», «b»"), ("AB", "«a», «b»")]
)
def test_choices_are_told_with_what_they_mean_where_each_has_a_meaning(names: object, said: str) -> None:
    row = {"type": "string", "enum": ["a", "b"], "enumNames": names}
    asked = form.question(a_form("?", "it", it=row), 0, "mcp-x")
    assert f"one of {said}." in asked
    assert asked.startswith("The server of mcp-x asks, in its own words: «?».")


def test_a_choice_named_twice_counts_once() -> None:
    row = {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2}
    with pytest.raises(AnswerInvalid, match="at least 2 choices"):
        form.read_answer(a_form("?", "it", it=row).fields[0], "a, a")


@pytest.mark.parametrize("bound", [10**400, float("inf"), float("nan")])
def test_a_bound_that_no_number_can_be_compared_to_is_none(bound: float) -> None:
    wanted = a_form("?", "it", it={"type": "integer", "minimum": bound, "maximum": bound})
    assert "It wants «it»: a whole number. Never" in form.question(wanted, 0, "mcp-inn")
    assert form.read_answer(wanted.fields[0], "7") == 7


def test_what_need_not_be_given_is_left_out_by_an_empty_answer() -> None:
    assert form.read_answer(a_form("?", it={"type": "string"}).fields[0], "") is UNSET


def test_only_what_cannot_be_empty_is_offered_as_choices() -> None:
    choice = {"type": "string", "enum": ["a", "b"]}
    assert a_form("?", "it", it=choice).fields[0].offered == ["a", "b"]
    assert a_form("?", "it", it={"type": "boolean"}).fields[0].offered == ["yes", "no"]
    assert a_form("?", it=choice).fields[0].offered == []
    assert a_form("?", "it", it={**choice, "default": "a"}).fields[0].offered == []


@pytest.mark.parametrize(
    "fields",
    [
        {f"field{number}": {"type": "string"} for number in range(10_000)},
        {"it": {"type": "string", "enum": [str(number) for number in range(10_000)]}},
        {"it": {"type": "string", "enum": ["x" * 1_000]}},
        {"it": {"type": "object", "properties": {}}},
        {"it": {"type": "array", "items": {"type": "string"}}},
        {"it": 7},
        {"it": {"type": "integer", "default": "seven"}},
        {"it": {"type": "integer", "default": True}},
        {"it": {"type": "array", "items": {"enum": ["a"]}, "default": [["a"]]}},
        {"it": {"type": "integer", "default": 10**400}},
        {"it": {"type": "number", "default": float("nan")}},
        {"it": {"type": "number", "default": float("inf")}},
        {"it": {"type": "string", "enum": ["a"], "default": "b"}},
    ],
)
def test_a_form_of_too_much_or_of_what_no_form_holds_is_none(fields: dict[str, Row]) -> None:
    with pytest.raises(FormInvalid):
        a_form("?", **fields)


@pytest.mark.parametrize(
    "row",
    [
        {"name": "password"}, {"name": "dbPassword"}, {"name": "api_key"}, {"name": "x", "title": "Your access token"},
        {"name": "x", "description": "The PIN of your card."}, {"name": "x", "format": "password"},
    ],
)  # fmt: skip
def test_a_form_that_wants_a_secret_is_none(row: Row) -> None:
    name = row.pop("name")
    with pytest.raises(FormInvalid, match="secret"):
        a_form("?", **{name: {"type": "string", **row}})


@pytest.mark.parametrize("name", ["spinning", "tokenise", "passenger", "keyboard"])
def test_words_that_only_hold_such_a_word_are_no_secret(name: str) -> None:
    assert a_form("?", **{name: {"type": "string"}}).fields
