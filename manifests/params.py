"""Arguments of a call against the params that its method declares (pure).

Separate because the runtime checks them before a Hand's coroutine is called, and the command line before it sends them.
All problems are told at once, each with the mend. A param that may be left out and was, or was None, is absent from the
result, so that the coroutine's own default holds.
"""

from collections.abc import Mapping

from manifests.errors import ParamsInvalid, ValueInvalid
from manifests.typed import convert, from_text, split_type


def check(declared: Mapping[str, str], given: Mapping[str, object]) -> dict[str, object]:
    """The arguments as the Hand gets them (see typed.py); ParamsInvalid with every problem."""
    problems = [_unknown(name, declared) for name in given if name not in declared]
    converted: dict[str, object] = {}
    for name, of in declared.items():
        of_type, optional = split_type(of)
        value = given.get(name)
        if value is None and (optional or of_type != "any" or name not in given):
            if not optional:
                problems.append(f"`{name}` is missing; give {name}=... ({of_type})")
            continue
        try:
            converted[name] = convert(of_type, value)
        except ValueInvalid as error:
            problems.append(f"`{name}`: {error.why}; {error.instead}")
    if problems:
        raise ParamsInvalid(tuple(problems))
    return converted


def read(declared: Mapping[str, str], typed: Mapping[str, str]) -> dict[str, object]:
    """Arguments typed as key=value on the command line, as they travel in the call's body; ParamsInvalid as above."""
    problems: list[str] = []
    values: dict[str, object] = {}
    for name, text in typed.items():
        if name not in declared:
            problems.append(_unknown(name, declared))
            continue
        try:
            values[name] = from_text(split_type(declared[name])[0], text)
        except ValueInvalid as error:
            problems.append(f"`{name}`: {error.why}; {error.instead}")
    try:
        check({name: of for name, of in declared.items() if name in values or name not in typed}, values)
    except ParamsInvalid as error:
        problems.extend(error.problems)
    if problems:
        raise ParamsInvalid(tuple(problems))
    return values


def _unknown(name: str, declared: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, declared, n=1)
    if close:
        return f"`{name}` is not a param; did you mean `{close[0]}`?"
    return f"`{name}` is not a param; " + (f"there are {', '.join(declared)}" if declared else "the method takes none")
