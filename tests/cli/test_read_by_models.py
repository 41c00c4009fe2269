"""What models read of a method, as a person sees it before the yes: all of it, whose words it is, and what has changed."""

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from kernel.cli import read_by_models as reading
from manifests.mcp.folder import Wanted, manifest_of
from manifests.mcp.tools import Offer, Tool
from manifests.schema import Provided

GUEST: Final = {
    "type": "object", "required": ["name"], "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "description": "As in the «passport»", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
        "tags": {"type": "array", "items": {"type": "string", "description": "One"}},
    },
}  # fmt: skip


def _method(schemas: dict[str, dict[str, Any]], summary: str = "Book a room", **params: str) -> Provided:
    return Provided(
        method="inn.book", summary=summary, resource="none", effect="external", params=params, schemas=schemas
    )


def test_every_schema_has_a_line_with_its_place_its_facts_and_its_words() -> None:
    one = _method(
        {
            "guests": {"minItems": 1, "items": GUEST},
            "kind": {"enum": ["single", "double"], "default": "double", "description": "Which room"},
            "code": {"anyOf": [{"type": "integer"}, {"type": ["string", "null"], "description": "Of a voucher"}]},
            "more": {"additionalProperties": {"type": "number", "description": "Each"}},
        },
        guests="list", kind="string?", code="any", more="dict", plain="bool", other="int?",
    )  # fmt: skip
    assert reading.lines_for(one, None) == [
        "guests  list; at least 1 of them",
        "guests[]  object; no further fields",
        "guests[].name  must be given; string; at most 40 characters  «As in the <passport>»",
        "guests[].age  integer; at least 0; less than 150",
        "guests[].tags  array",
        "guests[].tags[]  string  «One»",
        'kind  string, may be left out; one of "single", "double"; "double" if left out  «Which room»',
        "code  any",
        "code, way 1  integer",
        "code, way 2  string or null  «Of a voucher»",
        "more  dict",
        "more.*  number  «Each»",
        "plain (bool), other (int, may be left out)",
    ]


def test_what_is_other_than_it_was_is_marked() -> None:
    before = _method({"a": {"description": "Old"}, "b": {"description": "Same"}}, a="int", b="int")
    now = _method({"a": {"description": "New"}, "b": {"description": "Same"}}, summary="Book two", a="int", b="int")
    assert reading.lines_for(now, before) == [
        "- summary  «Book a room»",
        "- a  int  «Old»",
        "+ summary  «Book two»",
        "+ a  int  «New»",
        "  b  int  «Same»",
    ]


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
LEAVES = st.fixed_dictionaries(
    {"description": TEXTS},
    optional={"type": st.sampled_from(["string", "integer"]), "enum": st.lists(TEXTS, max_size=3)},
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner, "description": TEXTS}),
        st.fixed_dictionaries({
            "type": st.just("object"),
            "properties": st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner, max_size=3),
        }),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=2, max_size=3)}),
    ),
    max_leaves=8,
)  # fmt: skip


@given(SCHEMAS)
def test_no_text_that_a_model_reads_of_a_servers_tool_is_not_shown(schema: dict[str, Any]) -> None:
    tool = Tool(name="do", input_schema={"type": "object", "properties": {"x": schema}})
    tables: Any = manifest_of(Wanted(name="s", command=("python3",)), Offer(tools=(tool,)))["provides"]
    row = tables["mcp-s.do"]
    shown = "\n".join(reading.lines_for(_method(row["schemas"], **row["params"]), None))
    for text in _texts(row["schemas"]):
        assert text.replace("«", "<").replace("»", ">") in shown


def _texts(value: Any) -> list[str]:
    """Every description within schemas."""
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    if not isinstance(value, dict):
        return []
    return [
        text
        for word, one in value.items()
        for text in ([one] if word == "description" and isinstance(one, str) else _texts(one))
    ]
