"""A method's `returns` as the output schema of a tool, and the check of an answer against it (pure).

A client may refuse an answer that does not match the schema, so a door checks first, and passes such an answer on as an error
that contains it: the call was made, and nobody must think that it was not. A Hand's own process checks its `returns` before
(manifests/returns.py); this checks the JSON, whoever answered. Further fields are allowed, and so is null for an optional
field.
"""

from collections.abc import Mapping
from typing import Final

from manifests.typed import split_type
from runtime.agent import tools

_JSON: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "bytes": (str,), "list": (list,),
    "dict": (dict,),
}  # fmt: skip
"""The Python types of each type in JSON; the types missing here can be anything."""


def schema_of(returns: Mapping[str, str]) -> dict[str, object] | None:
    """The schema of a table with these fields; None if there are none."""
    if not returns:
        return None
    needed = [name for name, of in returns.items() if not split_type(of)[1]]
    return {"type": "object", "properties": {name: _property(of) for name, of in returns.items()}, "required": needed}


def misfit(returns: Mapping[str, str], answer: Mapping[str, object] | None) -> str:
    """Why an answer does not match `returns`; "" if it does. answer: in JSON's types."""
    if answer is None:
        return "it is not a table" if returns else ""
    for name, of in returns.items():
        kind, is_optional = split_type(of)
        value = answer.get(name)
        if value is None and (is_optional or (kind not in _JSON and name in answer)):
            continue
        if name not in answer:
            return f"it holds no {name}"
        wanted = _JSON.get(kind)
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and kind != "bool")):
            return f"its {name} is not of the type {kind}"
    return ""


def _property(of: str) -> dict[str, object]:
    kind, is_optional = split_type(of)
    schema = dict(tools.TYPES[kind]) if kind in _JSON else {}
    return {"anyOf": [schema, {"type": "null"}]} if is_optional and schema else schema
