"""Expressions in a pipeline's texts, `"${steps.load.rows > 0}"`: parsing by an allow-list, and type checking (pure).

The language is that of docs/adr/0008-expressions.md: operators, comparisons, `and or not`, `a if c else b`, `in`, lists,
and calls of FUNCTIONS by name. A name is a path from one of the roots of its scope: `inputs.day`,
`steps.load["rows read"]`, `item`. No Python attribute is ever looked up: a path goes only through tables and lists.
runtime/pipeline/evaluate.py evaluates expressions. Raises ExpressionInvalid.
"""

import ast
from collections.abc import Mapping
from typing import Final, NamedTuple

from manifests.errors import ValueInvalid
from manifests.suggestions import suggestion

LENGTH_MAX: Final = 1_000
"""The most characters of one expression."""
NODES_MAX: Final = 200
"""The most names, constants, operations and calls of one expression."""
DEPTH_MAX: Final = 32
"""How deep these may be nested."""

Kind = str
"""int, float, bool, string, list, dict or null as far as it is known, else any."""

ANY: Final = "any"
NUMBERS: Final = ("int", "float")

Path = tuple[str | int, ...]


class Function(NamedTuple):
    """The least and most arguments of a function, and the kind of its result."""

    least: int
    most: int
    gives: Kind


FUNCTIONS: Final[Mapping[str, Function]] = {
    "abs": Function(1, 1, ANY),
    "at": Function(2, 2, ANY),
    "default": Function(2, 2, ANY),
    "float": Function(1, 1, "float"),
    "int": Function(1, 1, "int"),
    "join": Function(2, 2, "string"),
    "keys": Function(1, 1, "list"),
    "len": Function(1, 1, "int"),
    "lower": Function(1, 1, "string"),
    "max": Function(1, 16, ANY),
    "min": Function(1, 16, ANY),
    "range": Function(1, 2, "list"),
    "round": Function(1, 2, ANY),
    "split": Function(2, 2, "list"),
    "sum": Function(1, 1, ANY),
    "text": Function(1, 1, "string"),
    "trim": Function(1, 1, "string"),
    "upper": Function(1, 1, "string"),
}
_WORDS: Final = {"null": None, "true": True, "false": False}
_BINARY: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_COMPARING: Final = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
_ORDER: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_SEE: Final = "see Expressions in docs/pipelines.md"


class ExpressionInvalid(ValueInvalid):
    """An expression that can never be evaluated; `why` is a clause, `instead` what to write."""


class Expression(NamedTuple):
    """A checked syntax tree, in which each path is a single name. paths: by those names, in the order of first use."""

    text: str
    tree: ast.expr
    paths: dict[str, Path]


class Template(NamedTuple):
    """A text as pieces: plain texts and expressions. A single expression keeps its type; otherwise the result is a text."""

    pieces: tuple[str | Expression, ...]

    @property
    def alone(self) -> Expression | None:
        """The expression, if the whole text is a single one; else None."""
        first = self.pieces[0] if len(self.pieces) == 1 else None
        return first if isinstance(first, Expression) else None

    @property
    def expressions(self) -> list[Expression]:
        """The expressions among the pieces."""
        return [piece for piece in self.pieces if isinstance(piece, Expression)]


def parse_text(text: str) -> Template:
    """Parse a text with `${…}`; `$${` stands for `${` itself."""
    pieces: list[str | Expression] = []
    plain, at = "", 0
    while (start := text.find("${", at)) >= 0:
        if text[start - 1 : start] == "$":
            plain, at = plain + text[at : start - 1] + "${", start + 2
            continue
        end = _closing(text, start + 2)
        plain += text[at:start]
        if plain:
            pieces.append(plain)
        pieces.append(parse(text[start + 2 : end]))
        plain, at = "", end + 1
    plain += text[at:]
    return Template((*pieces, plain) if plain or not pieces else tuple(pieces))


def _closing(text: str, at: int) -> int:
    """Return the offset of the brace that ends an expression; braces in quotes do not."""
    quote = ""
    for place in range(at, len(text)):
        char = text[place]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "}":
            return place
    raise ExpressionInvalid("a ${ has no }", "close it, or write $${ for the two characters themselves")


def parse(text: str) -> Expression:
    """Parse one expression, without its `${` and `}`."""
    if len(text) > LENGTH_MAX:
        raise ExpressionInvalid(f"an expression has {len(text)} characters", f"write at most {LENGTH_MAX}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise ExpressionInvalid(f"`{_short(text)}` cannot be read: {why}", _SEE) from None
    reading = _Reading()
    return Expression(text.strip(), ast.fix_missing_locations(reading.checked(tree, 0)), reading.paths)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


class _Reading:
    """One pass over a syntax tree, which checks and rewrites it. paths: those found."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self._nodes = 0

    def checked(self, node: ast.expr, depth: int) -> ast.expr:
        """Return the node, rewritten: null, true and false become constants, paths become names."""
        self._nodes += 1
        if self._nodes > NODES_MAX or depth > DEPTH_MAX:
            raise ExpressionInvalid("an expression has too many parts", "let a step's Hand work that out")
        below = depth + 1
        match node:
            case ast.Constant(value=value):
                if not isinstance(value, int | float | str | None):
                    raise ExpressionInvalid(f"{value!r} cannot stand in an expression", _SEE)
                return node
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._path(node)
            case ast.BinOp(left=left, op=sign, right=right) if isinstance(sign, _BINARY):
                return ast.BinOp(left=self.checked(left, below), op=sign, right=self.checked(right, below))
            case ast.UnaryOp(op=ast.USub() | ast.Not() as sign, operand=operand):
                return ast.UnaryOp(op=sign, operand=self.checked(operand, below))
            case ast.BoolOp(op=sign, values=values):
                return ast.BoolOp(op=sign, values=[self.checked(value, below) for value in values])
            case ast.IfExp(test=test, body=body, orelse=orelse):
                made = [self.checked(part, below) for part in (test, body, orelse)]
                return ast.IfExp(test=made[0], body=made[1], orelse=made[2])
            case ast.Compare(left=left, ops=signs, comparators=sides) if all(isinstance(s, _COMPARING) for s in signs):
                others = [self.checked(side, below) for side in sides]
                return ast.Compare(left=self.checked(left, below), ops=signs, comparators=others)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return ast.List(elts=[self.checked(item, below) for item in items], ctx=ast.Load())
            case ast.Call():
                return self._call(node, below)
        what = node.op if isinstance(node, ast.BinOp | ast.UnaryOp) else node
        raise ExpressionInvalid(f"{type(what).__name__} cannot stand in an expression", _SEE)

    def _call(self, node: ast.Call, depth: int) -> ast.expr:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise ExpressionInvalid("only functions are called, with plain arguments", "write function(x, y)")
        name, count = node.func.id, len(node.args)
        function = FUNCTIONS.get(name)
        if function is None:
            raise ExpressionInvalid(f"there is no function {name}()", suggestion(name, FUNCTIONS))
        if not function.least <= count <= function.most:
            takes = f"{function.least}" + (f" to {function.most}" if function.most > function.least else "")
            raise ExpressionInvalid(f"{name}() has {count} argument{'' if count == 1 else 's'}", f"give it {takes}")
        return ast.Call(func=node.func, args=[self.checked(one, depth) for one in node.args], keywords=[])

    def _path(self, node: ast.expr) -> ast.expr:
        """Return a path as a single name; null, true and false as constants."""
        if isinstance(node, ast.Name) and node.id in _WORDS:
            return ast.Constant(value=_WORDS[node.id])
        parts: list[str | int] = []
        while not isinstance(node, ast.Name):
            match node:
                case ast.Attribute(value=inner, attr=name):
                    parts.append(name)
                case ast.Subscript(value=inner, slice=ast.Constant(value=str() | int() as key)) if key is not True:
                    parts.append(key)
                case _:
                    raise ExpressionInvalid(
                        'only a name such as steps.load["rows"] has something in it', "write at(list, number)"
                    )
            node = inner
        path = (node.id, *reversed(parts))
        name = spelled(path)
        self.paths.setdefault(name, path)
        return ast.Name(id=name, ctx=ast.Load())


def spelled(path: Path) -> str:
    """Format a path as in an expression."""
    rest = (f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{part!r}]" for part in path[1:])
    return str(path[0]) + "".join(rest)


# types ---------------------------------------------------------------------------------------------------------------


def kind_of(expression: Expression, known: Mapping[Path, Kind]) -> Kind:
    """Return the kind of an expression's value. known: kinds of paths. Raises ExpressionInvalid if it can never have one."""
    return _kind(expression.tree, {spelled(path): kind for path, kind in known.items()})


def kind_of_value(value: object) -> Kind:
    """Return the kind of a plain value."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case list() | tuple():
            return "list"
        case dict():
            return "dict"
    return ANY


def _kind(node: ast.expr, known: Mapping[str, Kind]) -> Kind:
    match node:
        case ast.Constant(value=value):
            return kind_of_value(value)
        case ast.Name(id=name):
            return known.get(name, ANY)
        case ast.List(elts=items):
            for item in items:
                _kind(item, known)
            return "list"
        case ast.UnaryOp(op=sign, operand=operand):
            inner = _kind(operand, known)
            return _require(inner, ("bool",), "not") if isinstance(sign, ast.Not) else _require(inner, NUMBERS, "-")
        case ast.BoolOp(values=values):
            for part in values:
                _require(_kind(part, known), ("bool",), "and, or")
            return "bool"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            _require(_kind(test, known), ("bool",), "if")
            kinds = {_kind(body, known), _kind(orelse, known)}
            return kinds.pop() if len(kinds) == 1 else ANY
        case ast.BinOp(left=left, op=sign, right=right):
            return _arithmetic(sign, _kind(left, known), _kind(right, known))
        case ast.Compare(left=left, ops=signs, comparators=sides):
            return _comparison(signs, [_kind(one, known) for one in (left, *sides)])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            for argument in arguments:
                _kind(argument, known)
            return FUNCTIONS[name].gives
    raise AssertionError(node)


def _require(kind: Kind, wanted: tuple[Kind, ...], where: str) -> Kind:
    if kind not in (*wanted, ANY):
        raise ExpressionInvalid(f"`{where}` takes {' or '.join(wanted)}, and got {kind}", _SEE)
    return kind


def _arithmetic(sign: ast.operator, left: Kind, right: Kind) -> Kind:
    if ANY in (left, right):
        return ANY
    if isinstance(sign, ast.Add) and left == right and left in ("string", "list"):
        return left
    if left not in NUMBERS or right not in NUMBERS:
        raise ExpressionInvalid(f"{left} and {right} have no arithmetic", "turn them into numbers, or text(x)")
    return "float" if isinstance(sign, ast.Div) or "float" in (left, right) else "int"


def _comparison(signs: list[ast.cmpop], kinds: list[Kind]) -> Kind:
    for sign, left, right in zip(signs, kinds[:-1], kinds[1:], strict=True):
        if isinstance(sign, ast.In | ast.NotIn):
            _require(right, ("list", "dict", "string"), "in")
        elif isinstance(sign, _ORDER) and ANY not in (left, right):
            same = left in NUMBERS and right in NUMBERS
            if not same and (left, right) != ("string", "string"):
                raise ExpressionInvalid(f"{left} and {right} have no order", "compare numbers, or texts")
    return "bool"
