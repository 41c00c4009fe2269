"""Expressions such as `month(date)` or `wind * 3.6 > 20` (pure): parsed under an allow-list, typed, then evaluated.

The evaluator is simpleeval's; docs/adr says why. It sees only what `_check` lets through: no attribute, subscript,
comprehension, lambda, f-string, power or shift, and calls only of names in FUNCTIONS. Lengths, depth and numbers are bounded
here, so an expression's cost is bounded by its length.

Words: `and`, `or`, `not`, `a if c else b`, `x in ("rain", "snow")`, `null`, `true`, `false`, col("name with blanks").
No value: an operation with it gives no value; `and`, `or`, `if` and filters take it as not true, so `and` and `or` give true
or false whatever the order of their operands; is_null(x) tests for it. A chain of comparisons gives its first result that
is not true.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, DecimalException, localcontext
from typing import Final, cast

import simpleeval  # type: ignore[import-untyped]

from pipeline_errors import did_you_mean
from pipeline_functions import FUNCTIONS, Function, binary, floordiv, mod, null_safe, plus
from pipeline_rows import Kind, Value
from pipeline_values import EXACT

LENGTH_MAX: Final = 1_000
"""Characters of one expression."""
NODES_MAX: Final = 200
"""Operators, names, constants and calls of one expression."""
DEPTH_MAX: Final = 50
"""How deep they may be nested."""
KEPT_MAX: Final = 10_000
"""Cached results of one expression."""

_ARITHMETIC: Final[dict[type[ast.operator], tuple[str, Callable[[Value, Value], Value]]]] = {
    ast.Add: ("+", plus), ast.Sub: ("-", binary(operator.sub)), ast.Mult: ("*", binary(operator.mul)),
    ast.Div: ("/", binary(operator.truediv)), ast.FloorDiv: ("//", binary(floordiv)),  # type: ignore[arg-type]
    ast.Mod: ("%", binary(mod)),  # type: ignore[arg-type]  # `_arithmetic` let only numbers through
}  # fmt: skip
_COMPARING: Final[dict[type[ast.cmpop], Callable[[Value, Value], Value]]] = {
    ast.Eq: binary(operator.eq), ast.NotEq: binary(operator.ne), ast.Lt: binary(operator.lt),  # type: ignore[arg-type]
    ast.LtE: binary(operator.le), ast.Gt: binary(operator.gt), ast.GtE: binary(operator.ge),  # type: ignore[arg-type]
    ast.In: binary(lambda value, among: value in cast(frozenset[object], among)),
    ast.NotIn: binary(lambda value, among: value not in cast(frozenset[object], among)),
}  # fmt: skip
_UNARY: Final[dict[type[ast.unaryop], Callable[[Value], Value]]] = {
    ast.USub: null_safe(operator.neg), ast.UAdd: null_safe(operator.pos), ast.Not: null_safe(operator.not_),
}  # fmt: skip
_OPERATORS: Final[dict[type[ast.AST], object]] = {sign: run for sign, (_, run) in _ARITHMETIC.items()}
_OPERATORS.update(_COMPARING.items())
_OPERATORS.update(_UNARY.items())
_RUNS: Final = {name: f.run if f.nulls else null_safe(f.run) for name, f in FUNCTIONS.items()}
_WORDS: Final = {"null": None, "true": True, "false": False}
FAILURES: Final = (
    ValueError, TypeError, ArithmeticError, DecimalException, AttributeError, simpleeval.InvalidExpression
)  # fmt: skip
"""Errors of an expression for one row; the row is rejected."""


class ExpressionInvalid(ValueError):
    """An expression that is wrong whatever the rows are."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(what)
        self.what = what
        self.instead = instead


class Parsed:
    """A checked expression. names: its columns, in the order of their first use."""

    def __init__(self, text: str, tree: ast.expr) -> None:
        self.text = text
        self.tree = tree
        self.names = tuple(dict.fromkeys(node.id for node in _nodes(tree) if isinstance(node, ast.Name)))


def _nodes(tree: ast.expr) -> list[ast.AST]:
    """Every node but the name of a called function."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [node for node in ast.walk(tree) if id(node) not in called]


def parse(text: str) -> Parsed:
    """Parses and checks an expression. Raises ExpressionInvalid for anything beyond the allow-list or a limit."""
    if len(text) > LENGTH_MAX:
        raise ExpressionInvalid(f"the expression has {len(text)} characters", f"Write at most {LENGTH_MAX}.")
    try:
        found = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise ExpressionInvalid(f'"{_short(text)}" cannot be read: {why}', "See Expressions in README.md.") from None
    _check_size(found.body)
    return Parsed(text, _check(found.body))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _check_size(tree: ast.expr) -> None:
    count, level = 0, [cast(ast.AST, tree)]
    for depth in range(DEPTH_MAX + 1):
        level = [node for node in level if not isinstance(node, ast.operator | ast.unaryop | ast.boolop | ast.cmpop)]
        count += len(level)
        if not level:
            break
        if count > NODES_MAX:
            raise ExpressionInvalid(f"the expression has more than {NODES_MAX} parts", "Split it into derive steps.")
        if depth == DEPTH_MAX:
            raise ExpressionInvalid(f"the expression is more than {DEPTH_MAX} deep", "Split it into derive steps.")
        level = [child for node in level for child in ast.iter_child_nodes(node) if not isinstance(child, ast.Load)]


def _check(node: ast.expr) -> ast.expr:
    """Checks and rewrites a node: words and col("…") become constants and names, a list after `in` one constant."""
    match node:
        case ast.Constant(value=value):
            if not isinstance(value, int | float | str | None):
                raise ExpressionInvalid(
                    f"{value!r} cannot stand in an expression", "Numbers, texts, true, false, null."
                )
            return node
        case ast.Name(id=name):
            return ast.Constant(value=_WORDS[name]) if name in _WORDS else node
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
            return ast.BinOp(left=_check(left), op=sign, right=_check(right))
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return ast.UnaryOp(op=sign, operand=_check(operand))
        case ast.BoolOp(op=sign, values=values):  # Python's and/or return an operand, which may be None
            found = ast.BoolOp(op=sign, values=[_check(value) for value in values])
            return ast.IfExp(test=found, body=ast.Constant(value=True), orelse=ast.Constant(value=False))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return ast.IfExp(test=_check(test), body=_check(body), orelse=_check(orelse))
        case ast.Compare():
            return _check_compare(node)
        case ast.Call():
            return _check_call(node)
    what = type(node.op).__name__ if isinstance(node, ast.BinOp | ast.UnaryOp) else type(node).__name__
    raise ExpressionInvalid(f"{what} cannot stand in an expression", "See Expressions in README.md for what can.")


def _check_compare(node: ast.Compare) -> ast.expr:
    sides: list[ast.expr] = []
    for sign, side in zip(node.ops, node.comparators, strict=True):
        if type(sign) not in _COMPARING:
            raise ExpressionInvalid("`is` cannot stand in an expression", "Write is_null(x), or x == y.")
        if isinstance(sign, ast.In | ast.NotIn):
            items = [_check(item) for item in side.elts] if isinstance(side, ast.Tuple) else []
            values = [item.value for item in items if isinstance(item, ast.Constant)]
            if not items or len(values) != len(items) or len(node.ops) != 1:
                raise ExpressionInvalid("`in` needs a list of constants", 'Write x in ("rain", "snow").')
            sides.append(ast.Constant(value=cast(str, frozenset(values))))
        else:
            sides.append(_check(side))
    return ast.Compare(left=_check(node.left), ops=node.ops, comparators=sides)


def _check_call(node: ast.Call) -> ast.expr:
    if not isinstance(node.func, ast.Name) or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
        raise ExpressionInvalid("only functions are called, with plain arguments", "Write function(x, y).")
    name = node.func.id
    if name == "col":
        match node.args:
            case [ast.Constant(value=str(column))]:
                return ast.Name(id=column, ctx=ast.Load())
        raise ExpressionInvalid("col takes the name of one column", 'Write col("name with blanks").')
    if name not in FUNCTIONS:
        raise ExpressionInvalid(f"there is no function {name}()", did_you_mean(name, FUNCTIONS))
    takes, optional, many = FUNCTIONS[name].takes, FUNCTIONS[name].optional, FUNCTIONS[name].many
    least = len(takes) - optional
    if len(node.args) < least or (len(node.args) > len(takes) and not many):
        given = f"{len(node.args)} argument{'' if len(node.args) == 1 else 's'}"
        raise ExpressionInvalid(f"{name}() has {given}", f"It takes {least} to {len(takes)}.")
    return ast.Call(func=node.func, args=[_check(argument) for argument in node.args], keywords=[])


# types ---------------------------------------------------------------------------------------------------------------

_RANK: Final = {"int": 0, "float": 1, "decimal": 1}


def kind_of(parsed: Parsed, columns: Mapping[str, Kind]) -> Kind | None:
    """The type of the result for columns of these types; None if it is always no value. Raises ExpressionInvalid."""
    return _kind(parsed.tree, columns)


def _kind(node: ast.expr, columns: Mapping[str, Kind]) -> Kind | None:
    match node:
        case ast.Constant(value=value):
            return None if value is None else _constant_kind(value)
        case ast.Name(id=name):
            if name not in columns:
                raise ExpressionInvalid(f'there is no column "{name}" here', did_you_mean(name, columns))
            return columns[name]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _must_be_bool(_kind(operand, columns), "not")
            return "bool"
        case ast.UnaryOp(operand=operand):
            return _joint("a sign", [_kind(operand, columns)], numbers=True)
        case ast.BinOp(left=left, op=sign, right=right):
            return _arithmetic(sign, _kind(left, columns), _kind(right, columns))
        case ast.BoolOp(values=values):
            for part in values:
                _must_be_bool(_kind(part, columns), "and, or")
            return "bool"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            _must_be_bool(_kind(test, columns), "if")
            return _joint("if … else", [_kind(body, columns), _kind(orelse, columns)])
        case ast.Compare(left=left, comparators=sides):
            kinds = [_kind(left, columns)]
            for side in sides:
                among: object = side.value if isinstance(side, ast.Constant) else None
                kinds += map(_constant_kind, among) if isinstance(among, frozenset) else [_kind(side, columns)]
            _joint("a comparison", kinds)
            return "bool"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call_kind(name, FUNCTIONS[name], [_kind(argument, columns) for argument in arguments])
    raise AssertionError(node)


def _constant_kind(value: object) -> Kind | None:
    if value is None:
        return None
    kinds: dict[type, Kind] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(type(value), "text")


def _must_be_bool(kind: Kind | None, where: str) -> None:
    if kind not in ("bool", None):
        raise ExpressionInvalid(f"{where} needs a bool and got {kind}", "Compare it with something, such as x > 0.")


def _joint(where: str, kinds: Sequence[Kind | None], *, numbers: bool = False) -> Kind | None:
    """The common type of several. Dates and datetimes, and floats and decimals, do not mix. Raises ExpressionInvalid."""
    found = {kind for kind in kinds if kind is not None}
    if found == {"int", "float"}:
        found = {"float"}
    elif found == {"int", "decimal"}:
        found = {"decimal"}
    if len(found) > 1 or (numbers and not found <= set(_RANK)):
        shown = " and ".join(sorted(found))
        raise ExpressionInvalid(f"{where} cannot take {shown}", "Turn one into the other's type, such as float(x).")
    return next(iter(found), None)


def _arithmetic(sign: ast.operator, left: Kind | None, right: Kind | None) -> Kind | None:
    shown = _ARITHMETIC[type(sign)][0]
    if isinstance(sign, ast.Add) and {left, right} <= {"text", None}:
        return "text" if left or right else None
    kind = _joint(f'"{shown}"', [left, right], numbers=True)
    return "float" if isinstance(sign, ast.Div) and kind == "int" else kind


def _call_kind(name: str, function: Function, kinds: Sequence[Kind | None]) -> Kind | None:
    for place, kind in enumerate(kinds):
        takes = function.takes[min(place, len(function.takes) - 1)]
        if kind is not None and kind not in takes:
            needs = " or ".join(sorted(takes))
            raise ExpressionInvalid(f"argument {place + 1} of {name}() is {kind}", f"It takes {needs}.")
    if function.gives == "first":
        return kinds[0]
    if function.gives == "same":
        return _joint(f"{name}()", kinds)
    return cast(Kind, function.gives)


# evaluation ----------------------------------------------------------------------------------------------------------


class Evaluator:
    """Evaluates one expression for many rows. Equal inputs give equal results, so short ones are cached."""

    def __init__(self, parsed: Parsed) -> None:
        self.names = parsed.names
        self._text = parsed.text
        self._tree = ast.fix_missing_locations(ast.Expression(body=parsed.tree)).body
        self._simple = simpleeval.SimpleEval(operators=_OPERATORS, functions=_RUNS, names={})
        self._kept: dict[tuple[Value, ...], Value] = {}

    def column(self, columns: Mapping[str, list[Value]], size: int, fault: Callable[[int, str], None]) -> list[Value]:
        """One result per row. For a row that fails, it is None and `fault(row, why)` was called."""
        names = self.names
        rows = zip(*(columns[name] for name in names), strict=True) if names else iter([()] * size)
        keep = not any(type(columns[name][0]) in _UNKEPT for name in names) if size else False
        with localcontext(EXACT):
            return self._each(rows, fault, keep=keep)

    def _each(self, rows: Iterable[tuple[Value, ...]], fault: Callable[[int, str], None], *, keep: bool) -> list[Value]:
        simple, tree, text, names, kept = self._simple, self._tree, self._text, self.names, self._kept
        found: list[Value] = []
        for row, values in enumerate(rows):
            if keep and (result := kept.get(values, _MISSING)) is not _MISSING:
                found.append(result)
                continue
            simple.names = dict(zip(names, values))  # noqa: B905 - of one length, and this is the innermost loop
            try:
                result = simple.eval(text, previously_parsed=tree)
            except FAILURES as error:
                fault(row, f'"{_short(text)}": {error}')
                result = None
            else:
                if keep and len(kept) < KEPT_MAX and all(_is_short(value) for value in (*values, result)):
                    kept[values] = result
            found.append(result)
        return found


_MISSING: Final = cast(Value, object())
_UNKEPT: Final = (float, Decimal)
"""Kinds that are not cached: they have many values, and equal ones may be written differently (0.0 and -0.0)."""


def _is_short(value: Value) -> bool:
    return type(value) not in _UNKEPT if not isinstance(value, str) else len(value) <= 100
