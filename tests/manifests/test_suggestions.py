"""A name that is none is refused with the nearest one there is, in the same words everywhere."""

import pytest

from manifests.suggestions import LONGEST, SHOWN, did_you_mean, nearest, suggestion

KNOWN = ("memory", "open_files", "data-pipeline", "Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("memroy", "memory"),
        ("MEMORY", "memory"),
        ("open-files", "open_files"),
        ("data_pipeline", "data-pipeline"),
        ("Data Pipelin", "data-pipeline"),
        ("europe/berlin", "Europe/Berlin"),
        ("mrmoey", "memory"),
        ("xyz", ""),
        ("", ""),
        ("more", ""),
    ],
)
def test_the_nearest_name_is_found_whatever_its_capitals_and_signs(name: str, meant: str) -> None:
    assert nearest(name, KNOWN) == meant


def test_a_name_of_which_three_fifths_are_alike_is_another() -> None:
    assert nearest("nope", ["openai"]) == nearest("corp", ["cohere"]) == nearest("gemini", ["minimax"]) == ""
    assert nearest("mpc", ["mcp"]) == "mcp"


def test_a_name_that_is_written_out_is_found_by_its_beginning() -> None:
    assert nearest("Integer", ["bool", "int"]) == "int"
    assert nearest("integer", ["bool", "int", "integ"]) == "integ"
    assert nearest("international", ["bool", "int", "inter"]) == nearest("an axe", ["an"]) == ""


def test_how_much_alike_names_must_be_can_be_said() -> None:
    assert nearest("Mars", ["Paris"]) == "Paris"
    assert nearest("Mars", ["Paris"], alike=0.7) == ""


def test_where_no_name_is_near_all_are_told_or_what_else_helps() -> None:
    assert suggestion("memroy", KNOWN, "see the page") == 'did you mean "memory"?'
    assert suggestion("xyz", KNOWN) == "there are memory, open_files, data-pipeline, Europe/Berlin"
    assert suggestion("xyz", KNOWN, "see the page") == "see the page"
    assert suggestion("xyz", ()) == "there are none"


def test_a_sentence_names_the_nearest_or_nothing() -> None:
    assert did_you_mean(nearest("memroy", KNOWN)) == ', did you mean "memory"'
    assert did_you_mean(nearest("xyz", KNOWN)) == ""


def test_of_many_and_of_long_names_little_is_told() -> None:
    told = suggestion("xyz", (f"{number:03}-{'n' * 900}" for number in range(1_000)))
    assert told.startswith("there are 000-nnn")
    assert told.endswith(f"n and {1_000 - SHOWN} more")
    assert len(told) < 1_500


def test_a_name_too_long_to_be_one_is_not_compared() -> None:
    assert nearest("n" * (LONGEST + 1), ["n" * LONGEST]) == ""
