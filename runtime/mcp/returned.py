"""What a method says that it returns, as the schema of a tool's output, and whether an answer is that (pure).

A client may refuse an answer that is not as the schema says, so a door looks first, and tells one that is not as an error
with the whole answer in it: the call was made, and nobody is to think that it was not. A Hand's own process holds it to its
`returns` before (manifests/returns.py); here it is looked at as JSON has it, whoever answered. What an answer holds besides
is let be, and so is null in place of what may be left out.
"""

from collections.abc import Mapping
from typing import Final

from manifests.typed import split_type
from runtime.agent import tools

_JSON: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "bytes": (str,), "list": (list,),
    "dict": (dict,),
}  # fmt: skip
"""As what each type comes in JSON; those that are not here come as anything."""


def schema_of(returns: Mapping[str, str]) -> dict[str, object] | None:
    """The schema of a table with these; None where nothing is said."""
    if not returns:
        return None
    needed = [name for name, of in returns.items() if not split_type(of)[1]]
    return {"type": "object", "properties": {name: _property(of) for name, of in returns.items()}, "required": needed}


def misfit(returns: Mapping[str, str], answer: Mapping[str, object] | None) -> str:
    """Why an answer, as JSON has it, is not what was said; "" when it is."""
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
