"""Checks a module's exports against HAND.toml (pure).

The memory is called `memory`, as every compiler calls it. `maniple_alloc(size) → address` finds room in it for data from the
host. A task exports `run(address, size)`, whose input is the arguments, or is a program with `_start()`. A provided method
`greeter.say-hello` is `say_hello(address, size, address, size)`, with its resource and arguments. `run` and methods return
address × 2³² + size of the answer, or 0 for none.
"""

from collections.abc import Iterable
from typing import Final

from runtime.wasm.ends import Unfit
from runtime.wasm.engine import Module, Signature

RUN: Final = "run"
START: Final = "_start"
INITIALIZE: Final = "_initialize"
ALLOCATE: Final = "maniple_alloc"
MEMORY: Final = "memory"

_NOTHING: Final = Signature("", "")
_TYPES: Final = {RUN: Signature("ii", "I"), START: _NOTHING, INITIALIZE: _NOTHING, ALLOCATE: Signature("i", "i")}
_METHOD: Final = Signature("iiii", "I")


def name_of(method: str) -> str:
    """The export that answers a provided method."""
    return method.partition(".")[2].replace(".", "_").replace("-", "_")


def check(module: Module, kind: str, methods: Iterable[str]) -> None:
    """Raises Unfit for an export that is missing, or has other types, naming it."""
    wanted: dict[str, Signature] = {}
    answered: dict[str, str] = {}
    for method in methods:
        name = name_of(method)
        if (other := answered.setdefault(name, method)) != method:
            raise Unfit(f"{other} and {method} would both be answered by {name}: give one of them another name")
        wanted[name] = _METHOD
    if clash := wanted.keys() & _TYPES.keys():
        raise Unfit(f"a method cannot be answered by {', '.join(sorted(clash))}, which has a meaning of its own")
    if kind == "task" and RUN not in module.functions and (START in module.functions or not wanted):
        wanted[START if START in module.functions else RUN] = _TYPES[START if START in module.functions else RUN]
    elif kind == "task" and RUN in module.functions:
        wanted[RUN] = _TYPES[RUN]
    if wanted.keys() - {START}:
        wanted[ALLOCATE] = _TYPES[ALLOCATE]
    if INITIALIZE in module.functions:
        wanted[INITIALIZE] = _NOTHING
    for name, signature in wanted.items():
        found = module.functions.get(name)
        if found is None:
            raise Unfit(f"it exports no function {name}{_shown(signature)}")
        if found != signature:
            raise Unfit(f"it exports {name}{_shown(found)}, and that must be {name}{_shown(signature)}")
    if MEMORY not in module.memories:
        raise Unfit("it exports no memory called `memory`")


def _shown(signature: Signature) -> str:
    names = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
    parameters, results = (", ".join(names.get(letter, "?") for letter in letters) for letters in signature)
    return f"({parameters})" + (f" -> {results}" if results else "")
