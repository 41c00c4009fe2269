"""Evaluates the expressions of a pipeline (pure): simpleeval over trees that manifests/pipeline/expressions.py checked.

docs/adr/0008-expressions.md says why simpleeval, and why it sees only what it needs. A name is a whole path, which is walked
here through tables and lists; no attribute of a value is ever looked up. The same values give the same result. Raises
Unclear, with one clause for a person.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import simpleeval  # type: ignore[import-untyped]

from manifests.pipeline.expressions import Expression, Path, parse_text, spelled
from manifests.typed import type_words

TEXT_MOST: Final = 100_000
ITEMS_MOST: Final = 10_000
"""Most characters of a text, and items of a list, that an expression may make."""

DIGITS_MOST: Final = 20
"""Most digits for round(), on either side of the point: with a million, it would compute 10 ** 1,000,000."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Made = TypeVar("Made", str, list[object])
_INT_END: Final = 2**63
_FAILURES: Final = (ValueError, TypeError, ArithmeticError, LookupError, simpleeval.InvalidExpression)


class Unclear(ValueError):
    """An expression cannot be evaluated with these values."""


def _add(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str):
        return _bounded(left + right, TEXT_MOST)
    if isinstance(left, list) and isinstance(right, list):
        return _bounded(left + right, ITEMS_MOST)
    return operator.add(*_numbers(left, right))


def _bounded(made: Made, most: int) -> Made:
    """Returns a text or list that an expression made. Raises Unclear if it is too long."""
    if len(made) > most:
        raise Unclear("it would make more than an expression may")
    return made


def _numbers(*values: object) -> list[float | int]:
    found: list[float | int] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unclear(f"{_word(value)} is not a number")
        found.append(value)
    return found


def _arithmetic(sign: Callable[[float, float], float]) -> Callable[[object, object], object]:
    return lambda left, right: sign(*_numbers(left, right))


def _comparison(sign: Callable[[object, object], bool]) -> Callable[[object, object], bool]:
    def compare(left: object, right: object) -> bool:
        if not (isinstance(left, str) and isinstance(right, str)):
            _numbers(left, right)
        return sign(left, right)

    return compare


def _is_in(value: object, among: object) -> bool:
    if not isinstance(among, list | dict | str):
        raise Unclear(f"nothing can be in {_word(among)}")
    return any(_same(value, item) for item in among) if isinstance(among, list) else value in among


def _same(left: object, right: object) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unclear(f"{_word(value)} is neither true nor false")
    return value


_OPERATORS: Final[dict[type[ast.AST], object]] = {
    ast.Add: _add, ast.Sub: _arithmetic(operator.sub), ast.Mult: _arithmetic(operator.mul),
    ast.Div: _arithmetic(operator.truediv), ast.FloorDiv: _arithmetic(operator.floordiv), ast.Mod: _arithmetic(operator.mod),
    ast.USub: lambda value: -_numbers(value)[0], ast.Not: lambda value: not _truth(value),
    ast.Eq: _same, ast.NotEq: lambda left, right: not _same(left, right),
    ast.Lt: _comparison(operator.lt), ast.LtE: _comparison(operator.le),  # type: ignore[arg-type]
    ast.Gt: _comparison(operator.gt), ast.GtE: _comparison(operator.ge),  # type: ignore[arg-type]
    ast.In: _is_in, ast.NotIn: lambda value, among: not _is_in(value, among),
}  # fmt: skip


def text_of(value: object) -> str:
    """A value as part of a text. Raises Unclear for null, lists and tables."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(value)
    raise Unclear(f"{_word(value)} cannot stand in a text")


def _at(of: object, key: object) -> object:
    if isinstance(of, list) and isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(of):
        return of[key]
    if isinstance(of, dict) and isinstance(key, str) and key in of:
        return of[key]
    raise Unclear(f"there is no {key!r} in {_word(of)}")


def _length(value: object) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise Unclear(f"{_word(value)} has no length")


def _list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise Unclear(f"{_word(value)} is not a list")


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise Unclear(f"{_word(value)} is not text")


def _join(values: object, between: object) -> str:
    texts, apart = [*map(text_of, _list(values))], _string(between)
    if sum(map(len, texts)) + len(apart) * (len(texts) - 1) > TEXT_MOST:  # checked before joining: it may be gigabytes
        raise Unclear("it would make more than an expression may")
    return apart.join(texts)


def _range(first: object, end: object = None) -> list[object]:
    start, stop = (0, first) if end is None else (first, end)
    if isinstance(start, bool) or isinstance(stop, bool) or not isinstance(start, int) or not isinstance(stop, int):
        raise Unclear("range() takes whole numbers")
    if stop - start > ITEMS_MOST:
        raise Unclear("it would make more than an expression may")
    return list(range(start, stop))


def _extreme(choose: Callable[[list[float | int]], float | int]) -> Callable[..., object]:
    def chosen(*values: object) -> object:
        given = _numbers(*(_list(values[0]) if len(values) == 1 else values))
        if not given:
            raise Unclear("there is nothing to choose from")
        return choose(given)

    return chosen


def _number(value: object) -> float | int:
    if not isinstance(value, str):
        return _numbers(value)[0]
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        raise Unclear(f"{value[:60]!r} is not a number")
    return _finite(float(text)) if not text.lstrip("+-").isdecimal() else int(text)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unclear("it is not a finite number")
    return number


def _round(value: object, digits: object = 0) -> float | int:
    number, places = _numbers(value, digits or 0)
    if not isinstance(places, int) or abs(places) > DIGITS_MOST:
        raise Unclear(f"round() takes at most {DIGITS_MOST} digits, either way")
    return round(number, places) if places else round(number)


_FUNCTIONS: Final[dict[str, Callable[..., object]]] = {
    "abs": lambda value: abs(_numbers(value)[0]),
    "at": _at,
    "default": lambda value, other: other if value is None else value,
    "float": lambda value: float(_number(value)),
    "int": lambda value: int(_number(value)),
    "join": _join,
    "keys": lambda value: _bounded(list(value), ITEMS_MOST) if isinstance(value, dict) else _list(value),
    "len": _length,
    "lower": lambda value: _bounded(_string(value).lower(), TEXT_MOST),
    "max": _extreme(max),
    "min": _extreme(min),
    "range": _range,
    "round": _round,
    "split": lambda value, by: _bounded(list[object](_string(value).split(_string(by))), ITEMS_MOST),
    "sum": lambda values: sum(_numbers(*_list(values))),
    "text": text_of,
    "trim": lambda value: _bounded(_string(value).strip(), TEXT_MOST),
    "upper": lambda value: _bounded(_string(value).upper(), TEXT_MOST),
}


class _Names:
    """The names of one expression, each looked up on use. Not a dict, with which simpleeval would skip this lookup."""

    def __init__(self, paths: Mapping[str, Path], values: Mapping[str, object]) -> None:
        self._paths = paths
        self._values = values

    def __getitem__(self, name: str) -> object:
        path = self._paths[name]
        value: object = self._values.get(str(path[0]))
        for at, part in enumerate(path[1:], 1):
            if value is None:
                return None
            try:
                value = _at(value, part)
            except Unclear:
                raise Unclear(f"{spelled(path[:at])} has no {part!r}") from None
        return value


class _Evaluator(simpleeval.SimpleEval):  # type: ignore[misc]
    """simpleeval with lists, and with `and`, `or` and `if` that accept only true and false."""

    def __init__(self, names: _Names) -> None:
        super().__init__(operators=_OPERATORS, functions=_FUNCTIONS, names=names)
        self.nodes[ast.List] = self._eval_list

    def _eval_list(self, node: ast.List) -> list[object]:
        return [_check(self._eval(item)) for item in node.elts]

    def _eval_boolop(self, node: ast.BoolOp) -> bool:
        wanted = isinstance(node.op, ast.Or)
        return wanted if any(_truth(self._eval(value)) is wanted for value in node.values) else not wanted

    def _eval_ifexp(self, node: ast.IfExp) -> object:
        return self._eval(node.body if _truth(self._eval(node.test)) else node.orelse)


def evaluate(expression: Expression, values: Mapping[str, object]) -> object:
    """The value of an expression. values: by root: inputs, steps, item…"""
    evaluator = _Evaluator(_Names(expression.paths, values))
    try:
        return _check(evaluator.eval(expression.text, previously_parsed=expression.tree))
    except Unclear as error:
        raise Unclear(f"`{expression.text}`: {error}") from None
    except (*_FAILURES, RecursionError) as error:
        raise Unclear(f"`{expression.text}`: {error or type(error).__name__}") from None


def _check(value: object) -> object:
    if isinstance(value, int) and not -_INT_END < value < _INT_END:
        raise Unclear("its number is too large")
    if isinstance(value, float):
        _finite(value)
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Unclear("it is not Unicode text")
    return value


def fill(value: object, values: Mapping[str, object]) -> object:
    """A copy of a value with every expression in its texts evaluated."""
    match value:
        case str() if "${" in value:
            return _fill_text(value, values)
        case list() | tuple():
            return [fill(item, values) for item in value]
        case dict():
            return {name: fill(inner, values) for name, inner in value.items()}
    return value


def _fill_text(text: str, values: Mapping[str, object]) -> object:
    template = parse_text(text)
    if template.alone is not None:
        return evaluate(template.alone, values)
    try:
        whole, size = list[str](), 0
        for piece in template.pieces:
            whole.append(piece if isinstance(piece, str) else text_of(evaluate(piece, values)))
            size += len(whole[-1])
            if size > TEXT_MOST:
                raise Unclear(f"`{text[:60]}` would make more than an expression may")
    except Unclear as error:
        raise Unclear(str(error) if str(error).startswith("`") else f"`{text[:60]}`: {error}") from None
    return "".join(whole)


def _word(value: object) -> str:
    return "null" if value is None else type_words(value)
