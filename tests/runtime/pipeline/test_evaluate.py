"""Expressions of a pipeline: what they give, and that nothing but their values can be reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.pipeline.expressions import ExpressionInvalid, parse_text
from runtime.pipeline.evaluate import Unclear, fill

VALUES: dict[str, object] = {
    "inputs": {"day": "monday", "number": 7, "none": None, "half": 0.5, "go": True},
    "steps": {
        "load": {"rows": 3, "rows read": 9, "names": ["a", "b"], "inner": {"x": 1}},
        "each": [{"ok": 1}, {"ok": 2}],
        "skipped": None,
    },
    "item": "x",
    "index": 2,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("$${inputs.day}", "${inputs.day}"),
        ("a $${x} ${inputs.day} b", "a ${x} monday b"),
        ("${inputs.day}", "monday"),
        ("on ${inputs.day}, ${inputs.number} ${inputs.go} ${inputs.half}", "on monday, 7 true 0.5"),
        ("${steps.load.rows + 1}", 4),
        ("${steps.load['rows read'] // 2}", 4),
        ("${steps.each[1].ok}", 2),
        ("${steps.skipped.rows}", None),
        ("${steps.skipped == null}", True),
        ("${inputs.none == null and inputs.number > 3}", True),
        ("${not (inputs.number < 3 or inputs.day == 'friday')}", True),
        ("${'a' in steps.load.names}", True),
        ("${inputs.day in ['friday', 'monday']}", True),
        ("${'rows' in steps.load and steps.load.rows >= 3}", True),
        ("${-inputs.number}", -7),
        ("${[1, inputs.number, [item]]}", [1, 7, ["x"]]),
        ("${default(inputs.none, 10)}", 10),
        ("${len(steps.each) + len('ab') + len(steps.load)}", 8),
        ("${join(steps.load.names, ', ')}", "a, b"),
        ("${split('a,b', ',') + steps.load.names}", ["a", "b", "a", "b"]),
        ("${max(1, inputs.number, 3) + min([4, 2]) + sum([1, 2])}", 12),
        ("${round(2.46, 1)}", 2.5),
        ("${int('12') + float('0.5')}", 12.5),
        ("${upper(trim(' a ')) + lower('B') + text(1)}", "Ab1"),
        ("${range(3)}", [0, 1, 2]),
        ("${keys(steps.load.inner)}", ["x"]),
        ("${abs(-2)}", 2),
        ("${'}' + \"'\"}", "}'"),
        ("${1 == true}", False),
        ("${true in [1, 0]}", False),
        ("${0 in [false]}", False),
        ("${[true in [true], 1 not in [true], 1 in [1.0]]}", [True, True, True]),
        ("${[int('+7 '), int('-1.9'), float('.5'), float('1e3')]}", [7, -1, 0.5, 1000.0]),
        ("${steps}", VALUES["steps"]),
    ],
)
def test_an_expression_gives(text: str, value: object) -> None:
    found = fill(text, VALUES)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${steps.load.none}", "`steps.load.none`: steps.load has no 'none'"),
        ("${steps.load.rows.x}", "`steps.load.rows.x`: steps.load.rows has no 'x'"),
        ("${steps.each[7]}", "`steps.each[7]`: steps.each has no 7"),
        ("${inputs.day + 1}", "`inputs.day + 1`: a text is not a number"),
        ("${true + 1}", "`true + 1`: true is not a number"),
        ("${at(steps.each, 0 - 1)}", "`at(steps.each, 0 - 1)`: there is no -1 in a list"),
        ("${at(steps.each, true)}", "`at(steps.each, true)`: there is no True in a list"),
        ("${at(steps.each, 2)}", "`at(steps.each, 2)`: there is no 2 in a list"),
        ("${inputs.none + 1}", "`inputs.none + 1`: null is not a number"),
        ("${inputs.number and true}", "`inputs.number and true`: a number is neither true nor false"),
        ("${1 if inputs.none else 2}", "`1 if inputs.none else 2`: null is neither true nor false"),
        ("${inputs.day < 3}", "`inputs.day < 3`: a text is not a number"),
        ("${1 / 0}", "`1 / 0`: division by zero"),
        ("${9223372036854775807 + 1}", "`9223372036854775807 + 1`: its number is too large"),
        ("${1e308 * 10}", "`1e308 * 10`: it is not a finite number"),
        ("${int('x')}", "`int('x')`: 'x' is not a number"),
        ("${float('1_000')}", "`float('1_000')`: '1_000' is not a number"),
        ("${1 < float('nan')}", "`1 < float('nan')`: 'nan' is not a number"),
        ("${1 < float('1e999')}", "`1 < float('1e999')`: it is not a finite number"),
        ("${range(100000)}", "`range(100000)`: it would make more than an expression may"),
        ("${round(5, 0 - 1000000)}", "`round(5, 0 - 1000000)`: round() takes at most 20 digits, either way"),
        ("${round(5, 1.5)}", "`round(5, 1.5)`: round() takes at most 20 digits, either way"),
        ("${max([])}", "`max([])`: there is nothing to choose from"),
        ("a ${inputs.none}", "`a ${inputs.none}`: null cannot stand in a text"),
        ("a ${steps.each}", "`a ${steps.each}`: a list cannot stand in a text"),
        ("${1 in 2}", "`1 in 2`: nothing can be in a number"),
    ],
)
def test_what_cannot_be_worked_out_says_why(text: str, why: str) -> None:
    with pytest.raises(Unclear) as unclear:
        fill(text, VALUES)
    assert str(unclear.value) == why


@pytest.mark.parametrize(
    "made", ["split(inputs.long, ',')", "keys(inputs.many)", "upper(inputs.long)", "lower(inputs.long)"]
)
def test_no_function_makes_more_than_an_expression_may(made: str) -> None:
    values = {"inputs": {"long": "a," * 60_000, "many": dict.fromkeys(map(str, range(10_001)))}}
    with pytest.raises(Unclear, match="it would make more than an expression may"):
        fill(f"${{{made}}}", values)


def test_what_is_added_may_come_to_as_much_as_an_expression_may_make_and_no_more() -> None:
    values: dict[str, object] = {"inputs": {"items": [1] * 9_999, "long": "a" * 99_999}}
    assert [fill(text, values) for text in ("${len(inputs.items + [1])}", "${len(inputs.long + 'a')}")] == [
        10_000,
        100_000,
    ]
    for text in ("${inputs.items + [1, 2]}", "${inputs.long + 'ab'}"):
        with pytest.raises(Unclear, match="it would make more than an expression may"):
            fill(text, values)


@pytest.mark.parametrize(
    "inner",
    [
        "inputs.__class__",
        "inputs.day.upper",
        "item.__class__.__mro__",
        "steps['__class__']",
        "steps.load.keys",
        "print",
    ],
)
def test_nothing_of_a_value_is_reached_but_what_is_in_it(inner: str) -> None:
    try:
        found = fill("${" + inner + "}", VALUES)
    except Unclear as unclear:
        found = str(unclear).partition(": ")[2]
    assert found is None or " has no '" in str(found)


@pytest.mark.parametrize(
    "inner",
    [
        "open('x')", "(lambda: 1)()", "[x for x in inputs]", "f'{item}'", "2 ** 99", "1 << 9", "item.upper()", "inputs[item]",
        "(1).real", "'a'.upper", "len(*inputs)", "len(value=1)", "item := 1", "1 is 1", "{1: 2}", "{1}", "b'x'", "...",
        "1j", "inputs[1:2]", "~1", "await item", "item if", "'a' 'b'.x", "", "+" * 2_000 + "1", "(" * 300 + ")" * 300,
        " + ".join("1" * 300),
    ],
)  # fmt: skip
def test_what_is_no_part_of_the_language_is_refused(inner: str) -> None:
    with pytest.raises(ExpressionInvalid):
        parse_text("${" + inner + "}")


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        ("[" + "1," * 199 + "]", "[" + "1," * 200 + "]"),
        ("not " * 32 + "true", "not " * 33 + "true"),
        ("-" * 32 + "1", "-" * 33 + "1"),
    ],
)
def test_an_expression_has_so_many_parts_and_lies_so_deep_and_no_more(fits: str, too_much: str) -> None:
    parse_text("${" + fits + "}")
    with pytest.raises(ExpressionInvalid, match="too many parts"):
        parse_text("${" + too_much + "}")


def test_values_are_filled_at_any_depth_and_only_in_texts() -> None:
    given_ = {"a": ["${item}", {"b": "${index}"}], "c": 1, "d": None, "${item}": True}
    assert fill(given_, VALUES) == {"a": ["x", {"b": 2}], "c": 1, "d": None, "${item}": True}


LEAVES = st.one_of(
    st.sampled_from(
        ["item", "index", "inputs.day", "steps.load.rows", "steps.each", "null", "true", "'t'", "[1, 'x']"]
    ),
    st.integers(-9, 2**62).map(str),
    st.floats(0, 1e300).map(repr),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "==", "<", "in", "and", "or"]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(st.sampled_from(["len", "text", "int", "sum", "max", "upper", "keys", "range"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
    ),
    max_leaves=8,
)


@given(TREES)
def test_any_expression_gives_a_value_or_says_why_not_and_always_the_same(text: str) -> None:
    def outcome() -> object:
        try:
            return fill("${" + text + "}", VALUES)
        except (Unclear, ExpressionInvalid) as error:
            return f"{type(error).__name__}: {error}"

    assert outcome() == outcome()
