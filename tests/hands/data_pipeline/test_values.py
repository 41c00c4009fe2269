"""Values become what their column says, or the row says why not."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

values = hand_module("data-pipeline", "pipeline_values")
rows = hand_module("data-pipeline", "pipeline_rows")

TEXTS = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=True).map(str),
    st.dates().map(str),
    st.dates().map(lambda day: day.strftime("%Y/%m/%d")),
    st.datetimes().map(str),
    st.sampled_from(
        [
            "",
            " 12 ",
            "1_000",
            "٣",
            "007",
            "+5",
            "-0",
            ".5",
            "5.",
            "1e5",
            "1e999",
            "inf",
            "nan",
            "0x10",
            "2012-W01-1",
            "20120101",
            "2012-02-30",
            "2012/1/1",
            "2012-01/01",
            "true",
            "YES",
            "9" * 40,
            "\x1c1",
            "9223372036854775807",
            "9223372036854775808",
            "\ud800",
        ]
    ),
)


@pytest.mark.parametrize("kind", rows.KINDS)
@given(texts=st.lists(TEXTS, max_size=8))
def test_a_whole_column_at_once_gives_what_its_values_give_one_by_one(kind: str, texts: list[str]) -> None:
    faults = rows.Faults()
    found = values.Converter("c", kind, nulls=("",)).column(texts, faults)
    for row, text in enumerate(texts):
        if text == "":
            assert found[row] is None
            continue
        try:
            expected = values.scalar(kind)(text)
        except (ValueError, ArithmeticError):
            assert row in faults.found
            assert found[row] is None
        else:
            assert row not in faults.found
            assert found[row] == expected
            assert type(found[row]) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", "42", 42),
        ("int", " -7 ", -7),
        ("int", 2.0, 2),
        ("int", Decimal("2.0"), 2),
        ("float", "1.5e3", 1500.0),
        ("float", 3, 3.0),
        ("decimal", "1.10", Decimal("1.10")),
        ("decimal", 0.1, Decimal("0.1")),
        ("bool", "Yes", True),
        ("bool", 0, False),
        ("bool", "FALSE", False),
        ("date", "2012-02-29", date(2012, 2, 29)),
        ("date", "2012/02/29", date(2012, 2, 29)),
        ("date", datetime(2012, 1, 2, 3, tzinfo=UTC), date(2012, 1, 2)),
        ("datetime", "2012-01-02T03:04:05Z", datetime(2012, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("datetime", "2012-01-02 03:04:05+02:00", datetime(2012, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("datetime", date(2012, 1, 2), datetime(2012, 1, 2)),  # noqa: DTZ001 - a day without a zone stays without one
        ("text", True, "true"),
        ("text", {"a": [1]}, '{"a":[1]}'),
        ("text", Decimal("1E+2"), "100"),
    ],
)
def test_what_each_type_takes(kind: str, value: object, expected: object) -> None:
    assert values.scalar(kind)(value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("int", "1.5", "is not an int"),
        ("int", 1.5, "has a fraction"),
        ("int", True, "is a bool"),
        ("int", "9223372036854775808", "64 bits"),
        ("int", Decimal("1e999999"), "64 bits"),
        ("float", "nan", "is not a number"),
        ("float", "1e999", "finite"),
        ("float", True, "is not a number"),
        ("decimal", "1e50", "38 digits"),
        ("decimal", float("inf"), "finite"),
        ("bool", "maybe", "is not a bool"),
        ("date", "30.1.2012", "is not a date"),
        ("date", "2012-02-30", "no day"),
        ("datetime", "noon", "is not a datetime"),
        ("datetime", "2012-01-01T25:00", "no moment"),
        ("text", b"x", "binary"),
    ],
)
def test_what_each_type_refuses_and_why(kind: str, value: object, why: str) -> None:
    with pytest.raises(values.Misfit, match=why):
        values.scalar(kind)(value)


@pytest.mark.parametrize("text", ["1_000", "\u0663", "\uff11"])
@pytest.mark.parametrize("kind", ["int", "float", "decimal"])
def test_a_number_is_written_in_plain_digits(kind: str, text: str) -> None:
    faults = rows.Faults()
    assert values.Converter("c", kind).column(["1", text], faults) == [1, None]
    assert list(faults.found) == [1]


def test_a_form_says_how_dates_are_written() -> None:
    assert values.scalar("date", "%d.%m.%Y")("24.12.2012") == date(2012, 12, 24)
    with pytest.raises(values.Misfit, match="form"):
        values.scalar("date", "%d.%m.%Y")("2012-12-24")


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_of_a_datetime_is_read_back(moment: datetime) -> None:
    assert values.scalar("datetime")(values.written(moment)) == moment


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20))
def test_what_is_written_of_a_decimal_is_read_back_to_the_last_digit(number: Decimal) -> None:
    assert format(values.scalar("decimal")(values.written(number)), "f") == format(number, "f")


@pytest.mark.parametrize(
    "form",
    ["%d.%m.%Y", "%Y%m%d", "%d/%b/%y", "%I:%M %p", "%Y-%jT%H", "%G-W%V-%u", "%A, %d %B %Y", "%Y-%m-%d %H:%M:%S.%f%z",
     "%c", "%x", "%Y %U %w", "100%% %Y", "%Z %Y"],
)  # fmt: skip
def test_a_form_that_some_date_has_is_no_fault(form: str) -> None:
    assert values.form_fault(form) == ""


@pytest.mark.parametrize("form", ["%d.%m.%d", "%q", "%", "%G", "%V", " %d"])
def test_a_form_that_no_value_can_have_is_one(form: str) -> None:
    assert values.form_fault(form)
