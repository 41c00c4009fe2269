"""Tables of the pages, drawn from the code they tell of (pure but for reading wire/limits.py and wire/headers.py).

A block is one row of BLOCKS; it stands in a page between `<!-- drawn: NAME -->` and `<!-- /drawn -->`, and everything
between the two is the code's. To add one: a function, its row, the two marks in a page, then `./just docs`.
"""

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

from kernel.methods import TABLE
from manifests import lives, values
from manifests.grants import HAND_KERNEL_METHODS
from manifests.policy import ABOUT_ONESELF
from manifests.skills import scanning
from runtime import Hand, KernelHandle
from runtime.models import failures
from wire import calls, headers, limits
from wire.entries import KINDS

Machine = Mapping[tuple[str, str], str]

UNSAID: Final[Mapping[str, str]] = {
    "METHOD_MAX": "Longest method, in bytes.",
    "RESOURCE_MAX": "Longest resource, in bytes, as given and in normal form.",
    "LABEL_MAX": "Longest label, and longest code of a failure or refusal. No label holds a control character.",
    "LABELS_MAX": "Most labels on one message.",
    "WHY_MAX": "Longest reason in words.",
    "DEADLINE_DEFAULT": "Milliseconds that a call has when its caller names none.",
    "DEADLINE_MAX": "Milliseconds that a caller can ask for at most: a week.",
}
"""What the names in wire/limits.py say that have no sentence of their own there."""


OVERRIDDEN: Final = ("start", "stop", "on_event", "on_settings", "on_call")
"""What a Hand's author writes and never calls."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def machine(life: Machine) -> str:
    """A life as a matrix: a row for each state, a column for each event, in the order in which the table names them."""
    states = list(dict.fromkeys([state for state, _ in life] + list(life.values())))
    events = list(dict.fromkeys(event for _, event in life))
    return table(
        ["state", *events],
        ([f"**{state}**", *(life.get((state, event), "") for event in events)] for state in states),
    )


def life_of_a_call() -> str:
    """wire.calls.LIFE."""
    return machine(calls.LIFE)


def life_of_a_hand() -> str:
    """manifests.lives.LIFE."""
    return machine(lives.LIFE)


def messages() -> str:
    """Every message of the bus, from the docstrings of wire/headers.py."""
    rows = []
    for message in _messages():
        said = _sentences(message)
        fields = ", ".join(f"`{field}`" for field in message.__struct_fields__)
        told = [said.get(start, "") for start in ("Sent by", "Answered with", "Needs")]
        rows.append([f"`{message.__name__}`", *told, fields])
    return table(["message", "sent by", "answered with", "needs", "fields"], rows)


def _messages() -> list[type[headers.Header]]:
    found = [one for one in vars(headers).values() if isinstance(one, type) and issubclass(one, headers.Header)]
    return [one for one in found if one is not headers.Header]


def _sentences(message: type) -> dict[str, str]:
    """The sentences of a docstring's first paragraph that begin with one of the three words, without them."""
    paragraph = " ".join((inspect.getdoc(message) or "").split("\n\n")[0].split())
    found = {}
    for sentence in paragraph.removesuffix(".").split(". "):
        for start in ("Sent by", "Answered with", "Needs"):
            if sentence.startswith(start):
                found[start] = sentence.removeprefix(start).strip()
    return found


def bus_limits() -> str:
    """Every limit of wire/limits.py that is not just a unit, with the sentence that stands below it there."""
    said = _said_below(Path(limits.__file__))
    rows = []
    for name, value in vars(limits).items():
        if name.isupper() and name not in ("KIB", "MIB"):
            rows.append([f"`{name}`", f"{value:,}", said.get(name) or UNSAID[name]])
    return table(["limit", "value", "meaning"], rows)


def _said_below(file: Path) -> dict[str, str]:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    said = {}
    for above, below in pairwise(body):
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name) and isinstance(below, ast.Expr):
            said[above.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return said


def entry_kinds() -> str:
    """wire.entries.KINDS."""
    return table(["kind", "written when"], ([f"`{kind}`", text] for kind, text in KINDS.items()))


def kernel_methods() -> str:
    """Every method of the kernel's own, and who may call it."""
    rows = []
    for name, one in TABLE.items():
        provided = one.provided
        arguments = ", ".join(f"`{param}` {of}" for param, of in provided.params.items())
        acts_on = "" if provided.resource == "none" else provided.resource
        rows.append([f"`{name}`", provided.summary, acts_on, provided.effect, arguments, _whose(name)])
    return table(["method", "what it does", "acts on", "effect", "arguments", "who may"], rows)


def _whose(method: str) -> str:
    if method in ABOUT_ONESELF:
        return "every run"
    return "a Hand with a grant" if method in HAND_KERNEL_METHODS else "the operator"


def hand_limits() -> str:
    """manifests.values.LIMITS."""
    return table(
        ["limit", "default", "least", "most"],
        (
            [
                f"`{name}`",
                *(f"`{values.format_limit(name, amount)}`" for amount in (one.default, one.floor, one.ceiling)),
            ]
            for name, one in values.LIMITS.items()
        ),
    )


def skill_findings() -> str:
    """manifests.skills.scanning.KINDS."""
    rows = ([f"`{kind}`", says] for kind, says in scanning.KINDS.items())
    return table(["finding", "what is there, and what that means"], rows)


def model_failures() -> str:
    """runtime.models.failures.KINDS."""
    return table(
        ["code", "when", "tried again", "another model is asked", "counts against the provider"],
        (
            [f"`{code}`", one.words, *("yes" if so else "" for so in (one.again, one.elsewhere, one.against))]
            for code, one in failures.KINDS.items()
        ),
    )


def members_of_a_hand() -> str:
    """What the author of a Hand overrides, and what it uses."""
    return _members(Hand, "self.")


def members_of_the_handle() -> str:
    """runtime.KernelHandle."""
    return _members(KernelHandle, "self.kernel.")


def _members(of: type, prefix: str) -> str:
    """Each public method and property, with its parameters and the first sentence of its docstring."""
    rows = []
    for name, member in vars(of).items():
        if name.startswith("_") or not (callable(member) or isinstance(member, property)):
            continue
        given = "" if isinstance(member, property) else f"({', '.join(_parameters(member))})"
        said = " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())
        waits = "await " if inspect.iscoroutinefunction(member) and (of is not Hand or name not in OVERRIDDEN) else ""
        rows.append([f"`{waits}{prefix}{name}{given}`", said])
    return table(["", "what it is"], rows)


def _parameters(function: Callable[..., object]) -> list[str]:
    """Names as a caller writes them: one that may be left out with its default, others by keyword as name=."""
    found = []
    for one in list(inspect.signature(function).parameters.values())[1:]:
        if one.kind is one.VAR_KEYWORD:
            found.append("name=value, …")
        elif one.default is not one.empty:
            found.append(f"{one.name}={one.default!r}")
        else:
            found.append(one.name)
    return found


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "messages": messages,
    "bus limits": bus_limits,
    "life of a call": life_of_a_call,
    "life of a Hand": life_of_a_hand,
    "entry kinds": entry_kinds,
    "kernel methods": kernel_methods,
    "hand limits": hand_limits,
    "skill findings": skill_findings,
    "model failures": model_failures,
    "members of a Hand": members_of_a_hand,
    "members of the handle": members_of_the_handle,
}
