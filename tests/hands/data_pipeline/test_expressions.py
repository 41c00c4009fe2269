"""Expressions can say what they should, nothing else, and at a bounded cost."""

import sys
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import HANDS, hand_module

expressions = hand_module("data-pipeline", "pipeline_expressions")
functions = hand_module("data-pipeline", "pipeline_functions")

KINDS = {"a": "int", "b": "float", "d": "decimal", "t": "text", "day": "date", "yes": "bool", "two words": "int"}
ROW = {"a": 7, "b": 2.5, "d": Decimal("1.10"), "t": "Rain", "day": date(2012, 12, 31), "yes": True, "two words": 3}


OF_KIND = {
    "int": (int,), "float": (float,), "decimal": (Decimal,), "text": (str,), "date": (date,), "bool": (bool,), None: (),
}  # fmt: skip


def work(text: str, **row: object) -> object:
    """The result for one row; the reason as ("fault", reason) where there is none."""
    parsed = expressions.parse(text)
    expressions.kind_of(parsed, KINDS)
    faults: list[str] = []
    columns = {name: [value] for name, value in {**ROW, **row}.items()}
    found = expressions.Evaluator(parsed).column(columns, 1, lambda _, why: faults.append(why))
    return ("fault", faults[0]) if faults else found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 1", 8),
        ("a / 2", 3.5),
        ("a // 2", 3),
        ("a % 4", 3),
        ("-a // 2", -4),
        ("-a % 2", 1),
        ("b // -2", -2.0),
        ("b % -2", -1.5),
        ("-d // 1", Decimal(-2)),
        ("-d % 1", Decimal("0.90")),
        ("d // -1", Decimal(-2)),
        ("d % -1", Decimal("-0.90")),
        ("-d % -1", Decimal("-0.10")),
        ("d // 1", Decimal(1)),
        ("-a", -7),
        ("d * 2", Decimal("2.20")),
        ("b * a", 17.5),
        ('t + "!"', "Rain!"),
        ("a > 5 and b < 3", True),
        ("not yes", False),
        ("1 < a <= 7", True),
        ('t in ("Rain", "snow")', True),
        ('t not in ("rain",)', True),
        ("a if yes else 0", 7),
        ('col("two words") * 2', 6),
        ("null", None),
        ("a + null", None),
        ("1 < null < 3", None),
        ("null < 3 < 2", None),
        ("1 < 2 < null", None),
        ("3 < 1 < null", False),
        ("is_null(null)", True),
        ("coalesce(null, a)", 7),
        ("null and yes", False),
        ("yes and null", False),
        ("null or yes", True),
        ("yes or null", True),
        ("null or not yes", False),
        ("not yes or null", False),
        ("not (null or null)", True),
        ("yes == true", True),
        ("month(day)", 12),
        ("weekday(day)", 1),
        ("quarter(day)", 4),
        ('quarter(date("2013-04-01")) * 10 + quarter(date("2013-03-31"))', 21),
        ('hour(datetime("2012-12-31T23:45:00")) * 100 + minute(datetime("2012-12-31T23:45:00"))', 2345),
        ('days_between(day, datetime("2013-01-01T23:59:00"))', 1),
        ('days_between(datetime("2012-12-30T23:59:00"), day)', 1),
        ("add_days(day, 1)", date(2013, 1, 1)),
        ('days_between(date("2012-12-01"), day)', 30),
        ('day > date("2012-01-01")', True),
        ("round(b, 0)", 2.0),
        ("floor(b) + ceil(b)", 5),
        ("floor(-b)", -3),
        ("ceil(-b)", -2),
        ("ln(exp(2.0))", 2.0),
        ("coalesce(0, a)", 0),
        ("substring(t, 3) + substring(t, 1, 0)", "in"),
        ("sqrt(9)", 3.0),
        ("power(2, 10)", 1024.0),
        ("least(a, 3, 9)", 3),
        ("greatest(a, 3)", 7),
        ("length(t)", 4),
        ("lower(t)", "rain"),
        ("upper(trim(t))", "RAIN"),
        ('concat(t, "-", t)', "Rain-Rain"),
        ('replace(t, "R", "B")', "Bain"),
        ("substring(t, 2, 2)", "ai"),
        ('contains(t, "ai")', True),
        ('starts_with(t, "R") and ends_with(t, "n")', True),
        ('int("12") + int(b * 2)', 17),
        ("text(day)", "2012-12-31"),
        ('decimal("0.1") + d', Decimal("1.20")),
        ("abs(-b)", 2.5),
        ("year(day) * 100 + day(day)", 201231),
    ],
)
def test_what_an_expression_can_say(text: str, expected: object) -> None:
    found = work(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "t.upper()",
        "t.__class__",
        "().__class__",
        "a[0]",
        "t[1:]",
        "[x for x in t]",
        "{a: 1}",
        "[a]",
        "(a, b)",
        "lambda: 1",
        "f'{t}'",
        "a ** 9",
        "a << 9",
        "a | 1",
        "~a",
        "a @ b",
        "a is null",
        "a := 1",
        "print(1)",
        "__import__('os')",
        "eval('1')",
        "open('x')",
        "month",
        "min(*t)",
        "text(x=a)",
        "col(t)",
        "abs.x",
        "(abs)(a)(b)",
        "b'x'",
        "1j",
        "...",
        "",
        " ",
        "a; b",
        "a = 1",
        "import os",
        "a in t",
        "abs()",
        "abs(a, b)",
        "yield",
        "await a",
        "\0",
        "a if b",
        "'" + "x" * 1000 + "'",
        "-" * 60 + "1",
        "(" * 300 + "1" + ")" * 300,
        "+".join(["1"] * 150),
        " or ".join(["a"] * 300),
    ],
)
def test_everything_else_is_refused_before_the_first_row(text: str) -> None:
    with pytest.raises(expressions.ExpressionInvalid) as raised:
        expressions.kind_of(expressions.parse(text), KINDS)
    assert raised.value.what
    assert raised.value.instead


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('a + "x"', "int and text"),
        ("t * 2", "int and text"),
        ("b + d", "decimal and float"),
        ('day > "2012-01-01"', "date and text"),
        ("a and yes", "needs a bool and got int"),
        ("month(t)", "argument 1 of month() is text"),
        ("-t", "text"),
        ("1 if a else 2", "needs a bool"),
        ("t in (1, 2)", "int and text"),
        ("least(a, t)", "int and text"),
        ("aa + 1", '"aa"'),
    ],
)
def test_types_that_do_not_fit_are_told_before_the_first_row(text: str, what: str) -> None:
    with pytest.raises(expressions.ExpressionInvalid) as raised:
        expressions.kind_of(expressions.parse(text), KINDS)
    assert what in raised.value.what


def test_a_misspelt_column_or_function_gets_the_nearest_name() -> None:
    with pytest.raises(expressions.ExpressionInvalid) as raised:
        expressions.kind_of(expressions.parse("tw_words + 1"), {"two_words": "int"})
    assert "two_words" in raised.value.instead
    with pytest.raises(expressions.ExpressionInvalid) as raised:
        expressions.parse("mnth(day)")
    assert "month" in raised.value.instead


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a / 0", "division by zero"),
        ("sqrt(-1)", "got -1.0" if sys.version_info >= (3, 14) else "domain"),
        ("exp(9999.0)", "range"),
        ('int("x")', "not an int"),
        ('replace(t, "n", text(power(10.0, 300))) + t', None),
        ("substring(t, 0)", "counts"),
        ("substring(t, 1, -1)", "counts"),
        ('replace(t, "", "x")', "a text to look for"),
        ("round(b, 99)", "30 digits"),
        ("add_days(day, 99999999999)", "too large"),
        ("power(0, -1)", "domain"),
        ("d / 0", "Division"),
    ],
)
def test_a_row_that_cannot_be_worked_out_says_why(text: str, why: str | None) -> None:
    found = work(text)
    assert isinstance(found, tuple) == (why is not None)
    if why is not None:
        assert why.lower() in str(found).lower()


def test_no_text_grows_beyond_its_limit() -> None:
    long = "x" * 90_000
    for text in ("t + t", "concat(t, t)", 'replace(t, "x", "yy")'):
        assert "100000 characters" in str(work(text, t=long))
    assert "100000 characters" in str(work("upper(t)", t="\u00df" * 90_000))  # two capital letters each
    assert "100000 characters" in str(work("lower(t)", t="\u0130" * 90_000))  # an i and its dot
    most = "x" * 50_000
    for text in ("t + t", "concat(t, t)", 'replace(t, "x", "yy")', "lower(t + t)"):
        assert len(str(work(text, t=most))) == 100_000


@pytest.mark.wide
@given(st.text('ab1 +-*/%()<>=!,."andorntifels_[]{}:', max_size=60))
def test_any_text_is_either_refused_or_an_expression_that_can_be_worked_out(text: str) -> None:
    try:
        kind = expressions.kind_of(expressions.parse(text), KINDS)
    except expressions.ExpressionInvalid:
        return
    found = work(text)
    assert isinstance(found, (*OF_KIND[kind], tuple, type(None)))


@given(left=st.integers(-9, 9), right=st.integers(-9, 9).filter(bool))
def test_decimals_are_divided_as_ints_are(left: int, right: int) -> None:
    for sign in ("//", "%"):
        assert work(f"d {sign} ({right})", d=Decimal(left)) == work(f"a {sign} ({right})", a=left)


@given(st.lists(st.integers(0, 3) | st.none(), max_size=30))
def test_a_result_that_is_kept_is_the_one_that_would_be_worked_out(numbers: list[int | None]) -> None:
    evaluator = expressions.Evaluator(expressions.parse("a * 2 + 1"))
    found = evaluator.column({"a": numbers}, len(numbers), lambda *_: None)
    assert found == [None if number is None else number * 2 + 1 for number in numbers]


def test_the_page_of_functions_tells_every_function() -> None:
    page = (HANDS / "data-pipeline" / "README.md").read_text(encoding="utf-8")
    missing = [name for name in functions.FUNCTIONS if f"`{name}" not in page]
    assert not missing
