"""What is plainly wrong in the schema of an agent's answers is said before a run pays for an answer that cannot be used."""

import pytest

from manifests.answer_schemas import find_fault


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"properties": {"a": {"type": "strng"}}}, "$.properties.a.type: 'strng' is no type; did you mean \"string\""),
        ({"type": ["string", "nul"]}, "$.type: 'nul' is no type; did you mean \"null\""),
        ({"anyOf": [{}, {"$ref": "#/$defs/b"}], "$defs": {"a": {}}}, "$.anyOf[1].$ref: '#/$defs/b' leads nowhere"),
        ({"items": {"$ref": "https://x.example/a"}}, "$.items.$ref: 'https://x.example/a' leads nowhere"),
        ({"pattern": "["}, "$.pattern is no regular expression"),
        ({"properties": []}, "$.properties is no object"),
        ({"properties": {"a": "string"}}, "$.properties.a is no schema"),
        ({"oneOf": {}}, "$.oneOf is no list of schemas"),
        ({"required": "a"}, "$.required is no list of names"),
        ({"not": {"enum": "a"}}, "$.not.enum is no list"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(schema: dict[str, object], why: str) -> None:
    assert find_fault(schema).startswith(why)


def test_what_takes_references_choices_and_expressions_is_in_order() -> None:
    node = {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/a~1b"}, {"$ref": "#/anyOf/0"}, True], "pattern": "^a$"}
    assert not find_fault({**node, "$defs": {"a/b": {"type": ["object", "null"], "required": ["x"]}}})
    assert not find_fault({"$ref": "#/$defs/List%5Bint%5D", "$defs": {"List[int]": {"items": [{}, {"type": "null"}]}}})


def test_a_schema_is_not_written_out_anew_for_each_part_that_refers_to_nothing_by_a_name() -> None:
    class Large(dict[str, object]):
        def __repr__(self) -> str:
            raise AssertionError("2,000 fields took seven seconds")

    assert not find_fault(Large(properties={"a": {}, "b": {"$ref": "#/properties/a"}, "c": {"$ref": "#"}}))
