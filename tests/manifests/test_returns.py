"""What a method returned against what it declares."""

import math
import time

import pytest

from manifests.returns import misfits


@pytest.mark.parametrize(
    ("of", "value"),
    [
        ("string", "x"), ("int", 3), ("float", 3), ("float", 0.5), ("bool", False), ("bytes", b""), ("list", []),
        ("list", (1, 2)), ("dict", {}), ("duration", 1.5), ("duration", "90s"), ("size", 4096), ("size", "4MiB"),
        ("any", None), ("any", [None]), ("int?", None), ("any?", None), ("string?", "x"),
    ],
)  # fmt: skip
def test_a_field_of_its_type_fits_and_so_do_fields_that_nobody_declared(of: str, value: object) -> None:
    assert misfits({"a": of}, {"a": value, "more": object()}) == ()
    assert misfits({"a": "int?"}, {}) == ()


@pytest.mark.parametrize(
    ("of", "value", "why"),
    [
        ("int", "text", "`a`: it is a text, not an int"),
        ("int", True, "`a`: it is true, not an int"),
        ("int", 0.5, "`a`: it is a number, not an int"),
        ("int", 2**63, "`a`: its number is too large"),
        ("int", None, "`a`: it is nothing, not an int"),
        ("float", math.nan, "`a`: it is not a finite number"),
        ("float?", "1", "`a`: it is a text, not a float"),
        ("string", b"x", "`a`: it is bytes, not a string"),
        ("bool", 1, "`a`: it is a number, not a bool"),
        ("list", {}, "`a`: it is a table, not a list"),
        ("dict", [1], "`a`: it is a list, not a dict"),
        ("duration", "soon", '`a`: "soon" is not a duration'),
        ("size", -1, "`a`: -1 is out of range for a size"),
    ],
)
def test_a_field_of_another_type_is_named_with_both(of: str, value: object, why: str) -> None:
    assert misfits({"a": of}, {"a": value}) == (why,)


def test_what_is_missing_or_no_table_at_all_is_told() -> None:
    assert misfits({"a": "int", "b": "any"}, {"c": 1}) == (
        "`a` is missing, declared as int", "`b` is missing, declared as any",
    )  # fmt: skip
    assert misfits({"a": "int?"}, None) == ("it is nothing, not a table",)
    assert misfits({"a": "int?"}, [1]) == ("it is a list, not a table",)
    assert misfits({}, None) == ()
    assert misfits({str(at): "int" for at in range(9)}, {})[-1] == "and 4 more"


def test_to_look_at_an_answer_takes_next_to_nothing_however_large_it_is() -> None:
    declared = {"path": "string", "size": "int", "entries": "list", "more": "bool", "note": "string?"}
    answer = {"path": "a", "size": 3, "entries": [{"name": "x"}] * 100_000, "more": False}
    began = time.perf_counter()
    for _ in range(1_000):
        misfits(declared, answer)
    assert time.perf_counter() - began < 0.2
