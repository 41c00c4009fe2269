"""Draws tables of handwritten pages from the code that they describe (pure but for reading wire/limits.py).

A block is one row of BLOCKS. In a page it stands between `<!-- drawn: NAME -->` and `<!-- /drawn -->`, and everything
between these marks is generated. To add one: a function, its row, the two marks in a page, then `./just docs`.
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

Transitions = Mapping[tuple[str, str], str]

LIMIT_TEXTS: Final[Mapping[str, str]] = {
    "METHOD_MAX": "Longest method, in bytes.",
    "RESOURCE_MAX": "Longest resource, in bytes, as given and in normal form.",
    "LABEL_MAX": "Longest label, and longest code of a failure or refusal. No label holds a control character.",
    "LABELS_MAX": "Most labels on one message.",
    "WHY_MAX": "Longest reason in words.",
    "DEADLINE_DEFAULT": "Milliseconds that a call has when its caller names none.",
    "DEADLINE_MAX": "Milliseconds that a caller can ask for at most: a week.",
}
"""Texts for the names in wire/limits.py that have no docstring there."""

HOOKS: Final = ("start", "stop", "on_event", "on_settings", "on_call")
"""Methods that a Hand's author overrides and never calls."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Draw a Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def state_table(transitions: Transitions) -> str:
    """Draw a state machine: a row for each state, a column for each event, in the order of the transitions."""
    states = list(dict.fromkeys([state for state, _ in transitions] + list(transitions.values())))
    events = list(dict.fromkeys(event for _, event in transitions))
    return table(
        ["state", *events],
        ([f"**{state}**", *(transitions.get((state, event), "") for event in events)] for state in states),
    )


def life_of_a_call() -> str:
    """Draw wire.calls.LIFE."""
    return state_table(calls.LIFE)


def life_of_a_hand() -> str:
    """Draw manifests.lives.LIFE."""
    return state_table(lives.LIFE)


def messages() -> str:
    """Draw every message of the bus, from the docstrings of wire/headers.py."""
    rows = []
    for message in _messages():
        sentences = _labelled_sentences(message)
        fields = ", ".join(f"`{field}`" for field in message.__struct_fields__)
        cells = [sentences.get(start, "") for start in ("Sent by", "Answered with", "Needs")]
        rows.append([f"`{message.__name__}`", *cells, fields])
    return table(["message", "sent by", "answered with", "needs", "fields"], rows)


def _messages() -> list[type[headers.Header]]:
    found = [one for one in vars(headers).values() if isinstance(one, type) and issubclass(one, headers.Header)]
    return [one for one in found if one is not headers.Header]


def _labelled_sentences(message: type) -> dict[str, str]:
    """The rest of each sentence of a docstring's first paragraph that begins with Sent by, Answered with or Needs."""
    paragraph = " ".join((inspect.getdoc(message) or "").split("\n\n")[0].split())
    found = {}
    for sentence in paragraph.removesuffix(".").split(". "):
        for start in ("Sent by", "Answered with", "Needs"):
            if sentence.startswith(start):
                found[start] = sentence.removeprefix(start).strip()
    return found


def bus_limits() -> str:
    """Draw every limit of wire/limits.py, units excluded, with the docstring below it there."""
    docstrings = _docstrings_below(Path(limits.__file__))
    rows = []
    for name, value in vars(limits).items():
        if name.isupper() and name not in ("KIB", "MIB"):
            rows.append([f"`{name}`", f"{value:,}", docstrings.get(name) or LIMIT_TEXTS[name]])
    return table(["limit", "value", "meaning"], rows)


def _docstrings_below(file: Path) -> dict[str, str]:
    """The docstring below each annotated module-level name."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    docstrings = {}
    for above, below in pairwise(body):
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name) and isinstance(below, ast.Expr):
            docstrings[above.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return docstrings


def entry_kinds() -> str:
    """Draw wire.entries.KINDS."""
    return table(["kind", "written when"], ([f"`{kind}`", text] for kind, text in KINDS.items()))


def kernel_methods() -> str:
    """Draw every method of the kernel, and who may call it."""
    rows = []
    for name, one in TABLE.items():
        provided = one.provided
        arguments = ", ".join(f"`{param}` {of}" for param, of in provided.params.items())
        acts_on = "" if provided.resource == "none" else provided.resource
        rows.append([f"`{name}`", provided.summary, acts_on, provided.effect, arguments, _who_may(name)])
    return table(["method", "what it does", "acts on", "effect", "arguments", "who may"], rows)


def _who_may(method: str) -> str:
    if method in ABOUT_ONESELF:
        return "every run"
    return "a Hand with a grant" if method in HAND_KERNEL_METHODS else "the operator"


def hand_limits() -> str:
    """Draw manifests.values.LIMITS."""
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
    """Draw manifests.skills.scanning.KINDS."""
    rows = ([f"`{kind}`", says] for kind, says in scanning.KINDS.items())
    return table(["finding", "what is there, and what that means"], rows)


def model_failures() -> str:
    """Draw runtime.models.failures.KINDS."""
    return table(
        ["code", "when", "tried again", "another model is asked", "counts against the provider"],
        (
            [f"`{code}`", one.words, *("yes" if so else "" for so in (one.again, one.elsewhere, one.against))]
            for code, one in failures.KINDS.items()
        ),
    )


def members_of_a_hand() -> str:
    """Draw the members of runtime.Hand: those that an author overrides, and those that it uses."""
    return _members(Hand, "self.")


def members_of_the_handle() -> str:
    """Draw the members of runtime.KernelHandle."""
    return _members(KernelHandle, "self.kernel.")


def _members(of: type, prefix: str) -> str:
    """Draw each public method and property, with its parameters and the first paragraph of its docstring."""
    rows = []
    for name, member in vars(of).items():
        if name.startswith("_") or not (callable(member) or isinstance(member, property)):
            continue
        signature = "" if isinstance(member, property) else f"({', '.join(_parameters(member))})"
        text = " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())
        waits = "await " if inspect.iscoroutinefunction(member) and (of is not Hand or name not in HOOKS) else ""
        rows.append([f"`{waits}{prefix}{name}{signature}`", text])
    return table(["", "what it is"], rows)


def _parameters(function: Callable[..., object]) -> list[str]:
    """Parameters as a caller writes them: an optional one with its default, arbitrary keywords as `name=value, …`."""
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
