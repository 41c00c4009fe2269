"""Checks by static analysis that a Hand's Python class has a coroutine for each method of its [provides] (pure).

At each start the runtime checks the class itself (runtime/hand.py), and a class that does not match ends the run. `check`
and `install` report it earlier: for each method, whether the class that `entry` names, or a base class in the same
folder, has a coroutine of its name, and whether that accepts the call and the declared params, by name.

Only certain problems are reported. There are none for a class with a base, a decorator or a metaclass that cannot be read
here, for one with its own `on_call`, for decorated functions, and for names that are assigned in another way.
"""

import ast
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from typing import Final, NamedTuple

from manifests.errors import Problem
from manifests.positions import Positions
from manifests.rules import function_of
from manifests.schema import Manifest, Provided
from manifests.typed import split_type

RESERVED: Final = frozenset(
    {"start", "stop", "on_event", "on_settings", "on_call", "log", "state", "now", "random", "uuid", "sleep", "surroundings"}
    | {"name", "version", "run_id", "progress", "publish", "in_background", "kernel", "settings", "scratch", "roots"}
    | {"files"}
)  # fmt: skip
"""Attributes of every Hand, which cannot be coroutines of methods (a test compares this with runtime.Hand)."""

_ANNOTATIONS: Final = {
    "string": "str", "duration": "float", "size": "int", "list": "list[object]", "dict": "dict[str, object]",
    "any": "object",
}  # fmt: skip
_HIDING: Final = frozenset({"__getattr__", "__getattribute__", "__new__", "__init_subclass__", "__class_getitem__"})
_OTHER_WAYS: Final = frozenset({"__dict__", "vars", "locals", "exec"})
_HAND: Final = ("runtime.Hand", "runtime.hand.Hand")

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Bound = Mapping[str, "ast.ClassDef | _Function | str | None"]
"""By name: its definition, the dotted name that it was imported from, or None for a value that cannot be determined."""


class _Class(NamedTuple):
    """A class in the folder. path: its file; bases: the number of its bases without Hand."""

    path: str
    node: ast.ClassDef
    bound: _Bound
    bases: int


class _Unknown(Exception):
    """Something cannot be determined by static analysis."""


def misfits(folder: str, manifest: Manifest, files: Mapping[str, bytes]) -> list[Problem]:
    """Return the certain problems, by file, line and column. folder: its name in the problems; files: content by path."""
    modules = _Modules(files)
    module, _, name = manifest.hand.entry.partition(":")
    try:
        family = _family(modules, f"{module}.{name}")
        given = _given(modules, family)
    except _Unknown:
        return []
    classes, shown = [one for one in family if isinstance(one, _Class)], folder.rstrip("/")
    if not classes:
        return []
    if len(classes) == len(family):
        first = classes[0]
        what = f"class {name} is not made from runtime.Hand"
        return [_problem(shown, first, first.node, what, f"write class {name}(Hand)")]
    if any("on_call" in one.bound for one in classes) or "on_call" in given:
        return []
    found: list[Problem] = []
    for provided in manifest.provides.values():
        function = function_of(provided.method)
        if function in RESERVED or function.startswith("_") or not function.isidentifier() or iskeyword(function):
            found.append(_unanswerable(shown, files, provided.method, function))
        elif function not in given:
            found += _of_method(shown, classes, provided, function)
    return sorted(found)


# the class --------------------------------------------------------------------------------------------------------------


class _Modules:
    """The Python files of a folder, each parsed once."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._read: dict[str, ast.Module | None] = {}
        self._bound: dict[str, _Bound] = {}

    def path(self, module: str) -> str:
        """Return the file of a module of this folder, "" for any other module."""
        path = module.replace(".", "/")
        return next((one for one in (f"{path}.py", f"{path}/__init__.py") if one in self._files), "")

    def tree(self, path: str) -> ast.Module | None:
        """Return the syntax tree of a file; None if it cannot be parsed."""
        if path not in self._read:
            try:
                self._read[path] = ast.parse(self._files[path])
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._read[path] = None
        return self._read[path]

    def bound(self, path: str) -> _Bound:
        """Return the names that a module binds. Raises _Unknown if they cannot be determined."""
        if path not in self._bound:
            tree = self.tree(path)
            if tree is None:
                raise _Unknown
            self._bound[path] = _bound(tree.body)
        return self._bound[path]

    def trees(self) -> Iterator[ast.Module]:
        """Yield the syntax trees of all files that can be parsed."""
        for path in self._files:
            if path.endswith(".py") and (tree := self.tree(path)) is not None:
                yield tree


def _family(modules: _Modules, dotted: str) -> "list[_Class | str]":
    """Return the class of this name and all its bases, nearest first, each once; a text for Hand. Raises _Unknown.

    The last definition in a module counts. Classes of modules that import each other in a circle are not found.
    """
    found: list[_Class | str] = []
    left = [dotted]
    seen: set[str] = set()
    while left:
        dotted = left.pop(0)
        if dotted in seen:
            continue
        seen.add(dotted)
        if dotted in _HAND:
            found.append(dotted)
            continue
        module, _, name = dotted.rpartition(".")
        path = modules.path(module)
        if not path:
            raise _Unknown
        bound = modules.bound(path)
        match bound.get(name):
            case ast.ClassDef(keywords=[], decorator_list=[]) as node:
                inner = _bound(node.body)
                if not _HIDING.isdisjoint(inner):
                    raise _Unknown
                bases = [one for base in node.bases if (one := _base(module, bound, base, node.lineno)) != "object"]
                found.append(_Class(path, node, inner, sum(base not in _HAND for base in bases)))
                left = [*bases, *left]
            case str() as imported:
                left.insert(0, imported)
            case _:
                raise _Unknown
    return found


def _base(module: str, bound: _Bound, base: ast.expr, line: int) -> str:
    """Return the dotted name of a base of the class at this line. Raises _Unknown."""
    match base:
        case ast.Name(id="object") if "object" not in bound:
            return "object"
        case ast.Name(id=name):
            found = bound.get(name)
            if isinstance(found, ast.ClassDef) and found.lineno < line:
                return f"{module}.{name}"
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            found = bound.get(name)
            if isinstance(found, str):
                return f"{found}.{attribute}"
            raise _Unknown
        case _:
            raise _Unknown
    if not isinstance(found, str):
        raise _Unknown
    return found


def _bound(body: list[ast.stmt]) -> _Bound:
    """Return what the statements of a module or class bind; the last binding counts. Raises _Unknown."""
    bound: dict[str, ast.ClassDef | _Function | str | None] = {}
    for statement in body:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                bound[statement.name] = statement
            case ast.Import(names=names):
                for alias in names:
                    bound[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname or "." not in alias.name else None
                    )
            case ast.ImportFrom(level=0, module=str() as module, names=names):
                bound |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
            case _:
                bound |= dict.fromkeys(_stored(statement))
    if "*" in bound:
        raise _Unknown
    return bound


def _stored(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that any other statement may bind or delete."""
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.alias(name=name, asname=None):
                yield name.partition(".")[0]
            case ast.alias(asname=str() as name):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case (
                ast.ExceptHandler(name=str() as name)
                | ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
            ):
                yield name


def _given(modules: _Modules, family: "list[_Class | str]") -> set[str]:
    """Return the attributes that code outside a class's body sets, on any object; on `self` only within these classes.

    Raises _Unknown if the code may set any attribute.
    """
    given: set[str] = set()
    for one in family:
        if isinstance(one, _Class):
            for node in ast.walk(one.node):
                if isinstance(node, ast.Attribute | ast.Name) and _name(node) in _OTHER_WAYS:
                    raise _Unknown
                given |= _set(node, of_self=True)
    for tree in modules.trees():
        for node in ast.walk(tree):
            given |= _set(node, of_self=False)
    return given


def _name(node: ast.Attribute | ast.Name) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id


def _set(node: ast.AST, *, of_self: bool) -> set[str]:
    match node:
        case ast.Attribute(value=holder, attr=name, ctx=ast.Store() | ast.Del()):
            return {name} if of_self or not _is_self(holder) else set()
        case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[holder, name, *_]):
            if not of_self and _is_self(holder):
                return set()
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                return {name.value}
            raise _Unknown
        case _:
            return set()


def _is_self(holder: ast.expr) -> bool:
    return isinstance(holder, ast.Name) and holder.id == "self"


# its methods ------------------------------------------------------------------------------------------------------------


def _of_method(folder: str, classes: list[_Class], provided: Provided, function: str) -> Iterator[Problem]:
    """Yield the problems of the coroutine that answers one method."""
    having = [one for one in classes if function in one.bound]
    if not having:
        first = classes[0]
        what = f"class {first.node.name} has no `{function}`, which would answer {provided.method}"
        yield _problem(folder, first, first.node, what, f"write {_signature(provided, function)}")
        return
    if having[0] is not classes[0] and len(having) > 1 and any(one.bases > 1 for one in classes):
        return  # only Python's method resolution order decides which of them counts
    node = having[0].bound[function]
    if not isinstance(node, _Function) or node.decorator_list:
        return
    for at, what, instead in _wrong(node, provided, function):
        yield _problem(folder, having[0], at, what, instead)


_Wrong = tuple[ast.stmt | ast.arg, str, str]


def _wrong(node: _Function, provided: Provided, function: str) -> Iterator[_Wrong]:
    if isinstance(node, ast.FunctionDef):
        yield node, f"`{function}` is not a coroutine", f"write async def {function}"
    elif any(isinstance(one, ast.Yield) for one in _own(node)):
        yield node, f"`{function}` is a generator, not a coroutine", "write await call.send(piece) for yield"
    takes = node.args
    positional = [*takes.posonlyargs, *takes.args]
    if len(positional) < 2 and takes.vararg is None:
        yield node, f"`{function}` takes no call", f"write {_signature(provided, function)}"
        return
    nameless = {one.arg for one in takes.posonlyargs}
    before = {one.arg for one in positional[:2]} - nameless
    by_name = {one.arg for one in (*positional[2:], *takes.kwonlyargs)} - nameless
    for name in provided.params:
        if name in before:
            yield node, f"`{name}` is a param of {provided.method}, and what `{function}` calls the call", "rename one"
    lacking = [name for name in provided.params if name not in by_name | before]
    if lacking and takes.kwarg is None:
        names = " and ".join(f"`{name}`" for name in lacking)
        what = f'`{function}` does not take {names}, which [provides."{provided.method}"] declares'
        yield node, what, f"write {_signature(provided, function)}"
    yield from _needed(positional, takes, provided)


def _needed(positional: list[ast.arg], takes: ast.arguments, provided: Provided) -> Iterator[_Wrong]:
    """Yield the parameters that a coroutine requires and a call may lack."""
    without = positional[2 : len(positional) - len(takes.defaults)]
    without += [one for one, default in zip(takes.kwonlyargs, takes.kw_defaults, strict=True) if default is None]
    for one in without:
        name, of = one.arg, provided.params.get(one.arg)
        if one in takes.posonlyargs:
            yield one, f"`{name}` cannot be given by name, as params are", "leave the / out"
        elif of is None:
            what = f"`{name}` has no default, and is no param of {provided.method}"
            yield (
                one,
                what,
                f'write {name} into its params in HAND.toml, such as {name} = "string", or give it a default',
            )
        elif split_type(of)[1]:
            what = f"`{name}` has no default, and HAND.toml says that it may be left out"
            yield one, what, f'write {_parameter(name, of)}, or {name} = "{split_type(of)[0]}" in HAND.toml'


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of nested functions and classes."""
    left = [*ast.iter_child_nodes(node)]
    while left:
        below = left.pop()
        yield below
        if not isinstance(below, _Function | ast.Lambda | ast.ClassDef):
            left += ast.iter_child_nodes(below)


def _signature(provided: Provided, function: str) -> str:
    """Return the first line of a coroutine that answers the method."""
    params = sorted(provided.params.items(), key=lambda item: split_type(item[1])[1])
    written = ", ".join(("self", "call: Call", *(_parameter(name, of) for name, of in params)))
    return f"async def {function}({written})"


def _parameter(name: str, of: str) -> str:
    kind, is_optional = split_type(of)
    annotation = _ANNOTATIONS.get(kind, kind)
    return f"{name}: {annotation} | None = None" if is_optional else f"{name}: {annotation}"


def _unanswerable(folder: str, files: Mapping[str, bytes], method: str, function: str) -> Problem:
    """Return the problem of a method for which no coroutine can be named."""
    why = ", which every Hand has" if function in RESERVED else ", which is no name for it"
    line, column = Positions(files["HAND.toml"].decode("utf-8", "replace")).key(("provides", method))
    what = f"{method} would be answered by `{function}`{why}"
    return Problem(f"{folder}/HAND.toml", line, column, what, "rename the method, or override on_call")


def _problem(folder: str, of: _Class, at: ast.stmt | ast.arg, what: str, instead: str) -> Problem:
    return Problem(f"{folder}/{of.path}", at.lineno, at.col_offset + 1, what, instead)
