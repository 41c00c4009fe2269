"""Offline, a schema is filled however it is written: with references, with choices, and with null for what is not said."""

import time

from runtime.models.drivers.offline_fill import fill
from runtime.models.drivers.offline_schemas import write_out
from runtime.models.schemas import find_problems


def test_a_schema_is_filled_through_references_and_choices_and_null_stands_for_what_nobody_says() -> None:
    def optional(of: dict[str, object]) -> dict[str, object]:
        return {"anyOf": [of, {"type": "null"}]}

    person: dict[str, object] = {
        "type": "object", "required": ["email", "boss"],
        "properties": {"email": {"type": "string"}, "boss": optional({"$ref": "#/$defs/person"})},
    }  # fmt: skip
    properties: dict[str, object] = {
        "customer": {"$ref": "#/$defs/person", "description": "who pays"},
        "total": optional({"type": "number"}),
        "paid": optional({"type": "boolean"}),
        "discount": {"type": ["number", "null"]},
        "due": {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
        "note": optional({"type": "string"}),
    }
    schema: dict[str, object] = {
        "$defs": {"person": person}, "type": "object", "properties": properties,
        "required": ["customer", "total", "paid", "discount", "due"],
    }  # fmt: skip
    text = "Email: ada@example.org. Total: EUR 1,234.50 with VAT. Paid: no.\nDue: in spring"
    value, missing = fill(write_out(schema), text)
    assert value == {
        "customer": {"email": "ada@example.org", "boss": None}, "total": 1234.5, "paid": False, "discount": None,
        "due": "in spring",
    }  # fmt: skip
    assert not find_problems(value, schema)
    assert missing == ("customer.boss", "discount", "note")


def test_a_schema_that_doubles_at_each_reference_is_written_out_in_time() -> None:
    doubling: dict[str, object] = {
        f"d{at}": {"properties": {name: {"$ref": f"#/$defs/d{at + 1}"} for name in ("left", "right")}}
        for at in range(100)
    }
    began = time.process_time()
    written = write_out({"$defs": doubling, "$ref": "#/$defs/d0"})
    assert str(written).startswith("{'properties': {'left': {'properties':")
    assert time.process_time() - began < 1
