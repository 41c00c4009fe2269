"""Finds problems in the module that a manifest's `entry` names, by parsing it without running it (pure).

`check` lists them and `install` refuses the Hand: a Hand that cannot start is found before it is sealed.
"""

import ast
import sys
from typing import Final

from kernel.cli import scheduled
from manifests.coroutines import misfits
from manifests.errors import Problem
from manifests.schema import Manifest

_OUR_PACKAGES: Final = ("hands", "kernel", "manifests", "memory", "runtime", "wire")
_RUN: Final = "run"
_COROUTINES: Final = (_RUN, "start", "stop", "on_event", "on_settings", "on_call")
"""Methods of a Hand's class that the runtime awaits if they exist (runtime/hand.py)."""


def problems(folder: str, manifest: Manifest, files: dict[str, bytes]) -> list[Problem]:
    """All problems that can be found without running code. folder: its path as the problems name it."""
    found = [
        *_shadowing_files(folder, files),
        *_module_problems(folder, manifest, files),
        *misfits(folder, manifest, files),
        *scheduled.input_problems(folder, manifest, files),
    ]
    return [*dict.fromkeys(found)]


def _shadowing_files(folder: str, files: dict[str, bytes]) -> list[Problem]:
    """Files that would hide a module of Python or Maniple, which runtime/code.py refuses; one problem per name."""
    first: dict[str, str] = {}
    for path in sorted(files):
        if path.endswith(".py"):
            first.setdefault(path.removesuffix(".py").partition("/")[0], path)
    return [
        Problem(f"{folder.rstrip('/')}/{path}", 1, 1, f"it would hide the module `{name}`", "give it another name")
        for name, path in first.items()
        if name in sys.stdlib_module_names or name in _OUR_PACKAGES
    ]


def _module_problems(folder: str, manifest: Manifest, files: dict[str, bytes]) -> list[Problem]:
    module, _, name = manifest.hand.entry.partition(":")
    path = module.replace(".", "/") + ".py"
    shown = f"{folder.rstrip('/')}/{path}"
    if path not in files:
        return [Problem(shown, 1, 1, "the module that entry names is not there", f"write {path}, or change entry")]
    try:
        tree = ast.parse(files[path], filename=shown)
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", 1) or 1, getattr(error, "offset", 1) or 1
        what = getattr(error, "msg", str(error))
        return [Problem(shown, line, column, f"this is not Python: {what}", "mend the line")]
    except (RecursionError, MemoryError):  # MemoryError: the parser raises it for long rows of operators
        return [Problem(shown, 1, 1, "an expression in it is nested too deeply to be read", "write a flatter one")]
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    if name in classes:
        return _class_problems(shown, classes[name], manifest)
    if name in imported:
        return []
    return [Problem(shown, 1, 1, f"it has no class {name}", f"write class {name}(Hand), or change entry")]


def _class_problems(shown: str, node: ast.ClassDef, manifest: Manifest) -> list[Problem]:
    """Awaited methods that are not coroutines; and a task whose class, derived from Hand alone, does nothing."""
    answers = {
        method.method.partition(".")[2].replace(".", "_").replace("-", "_") for method in manifest.provides.values()
    }
    found = [
        Problem(
            shown, one.lineno, one.col_offset + 1, f"`{one.name}` is not a coroutine", f"write async def {one.name}"
        )
        for one in node.body
        if isinstance(one, ast.FunctionDef) and one.name in {*_COROUTINES, *answers} and not one.decorator_list
    ]
    named = {name for one in node.body for name in _bound_names(one)}
    is_plain = all(isinstance(base, ast.Name) and base.id == "Hand" for base in node.bases)
    if manifest.hand.kind == "task" and not manifest.provides and is_plain and named.isdisjoint({_RUN, "on_call"}):
        what = f"class {node.name} has no run, so there is no work it could do"
        found.append(Problem(shown, node.lineno, node.col_offset + 1, what, "write async def run(self)"))
    return found


def _bound_names(statement: ast.stmt) -> list[str]:
    """Names that a statement in a class's body binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []
