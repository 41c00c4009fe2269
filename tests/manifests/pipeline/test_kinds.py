"""What an expression gives, as far as that can be known before it is worked out, and what never can be."""

import pytest

from manifests.errors import ManifestsError
from manifests.pipeline.expressions import ExpressionInvalid, kind_of, parse

KNOWN = {("inputs", "day"): "string", ("inputs", "count"): "int", ("inputs", "ok"): "bool", ("inputs", "rows"): "list"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("null", "null"), ("true", "bool"), ("1", "int"), ("1.5", "float"), ("'x'", "string"), ("[1, 'x']", "list"),
        ("inputs.day", "string"), ("inputs.other", "any"), ("steps.a.rows", "any"), ("not inputs.ok", "bool"),
        ("-inputs.count", "int"), ("inputs.ok and true", "bool"), ("1 if inputs.ok else 2", "int"),
        ("1 if inputs.ok else 'x'", "any"), ("inputs.count + 1", "int"), ("inputs.count + 1.5", "float"),
        ("inputs.count / 2", "float"), ("inputs.count // 2", "int"), ("inputs.day + 'x'", "string"),
        ("inputs.rows + [1]", "list"), ("steps.a + 1", "any"), ("inputs.count < 2.5", "bool"), ("inputs.day < 'x'", "bool"),
        ("inputs.day == 5", "bool"), ("1 in inputs.rows", "bool"), ("'x' not in inputs.day", "bool"), ("steps.a < 1", "bool"),
        ("len(inputs.rows)", "int"), ("text(5)", "string"),
    ],
)  # fmt: skip
def test_what_an_expression_gives_is_known_where_it_can_be(text: str, kind: str) -> None:
    assert kind_of(parse(text), KNOWN) == kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "not inputs.day", "-inputs.day", "inputs.day and true", "true or 1", "1 if inputs.count else 2", "inputs.day + 1",
        "inputs.rows - inputs.rows", "null + 1", "inputs.day < 1", "inputs.rows < inputs.rows", "1 < 'x'",
        "1 in inputs.count", "[inputs.day + 1]", "len(inputs.day + 1)", "1 < 2 < 'x'", "true if true else -'x'",
    ],
)  # fmt: skip
def test_what_never_can_be_worked_out_is_told_before(text: str) -> None:
    with pytest.raises(ExpressionInvalid) as refused:
        kind_of(parse(text), KNOWN)  # type: ignore[arg-type]
    assert isinstance(refused.value, ManifestsError)
