"""Checks the relations between a pipeline's steps (pure): needs, expressions, stand-ins, cycles, and known types.

Works on the steps that reading.py could read. A step needs the steps in its `needs` and in its expressions. No step needs
a stand-in; the steps that its expressions name are needs of the step that it stands in for.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from manifests.findings import Findings, spelled
from manifests.pipeline.expressions import (
    ANY,
    Expression,
    ExpressionInvalid,
    Kind,
    Template,
    kind_of,
    parse_text,
)  # fmt: skip
from manifests.pipeline.expressions import Path as Names
from manifests.pipeline.expressions import spelled as spelled_name
from manifests.pipeline.reading import Row
from manifests.pipeline.schema import SKIP, STOP, Step, Work
from manifests.positions import Path

KIND_OF_TYPE: Final = {"bytes": ANY, "duration": "float", "size": "int"}
STAND_IN_KEYS: Final = ("needs", "when", "for_each", "parallel", "on_failure")
"""Keys that a stand-in may not have."""


class Scope(Struct, frozen=True):
    """The names for expressions in one place. roots: special names, by kind; steps: those with an output to name, by kind.

    hidden: steps that exist but cannot be named here, each with the reason.
    """

    inputs: Mapping[str, str]
    roots: Mapping[str, Kind]
    steps: Mapping[str, Kind]
    hidden: Mapping[str, str]


class Binding:
    """The check of all steps. It notes problems in `found`. needs: by step, all steps that it needs."""

    def __init__(
        self, found: Findings, inputs: Mapping[str, str], rows: Mapping[str, Row], last: Mapping[str, Row]
    ) -> None:
        self._found = found
        self._inputs = inputs
        self._rows = rows
        self._last = last
        self._owners: dict[str, list[str]] = {}
        self.needs: dict[str, tuple[str, ...]] = {}

    def steps(self) -> dict[str, Step]:
        """Check [steps]. Returns the steps, each with all its needs."""
        self._find_stand_ins()
        for name, row in self._rows.items():
            self._check_needs(name, row.step)
        used = {name: self._expressions(name, row.step) for name, row in self._rows.items()}
        for name, row in self._rows.items():
            if name in self._owners:
                continue
            stand_in = row.step.on_failure
            named = [*row.step.needs, *used[name], *(used[stand_in] if stand_in in self._owners else ())]
            self.needs[name] = tuple(dict.fromkeys(one for one in named if one in self._plain()))
        self._find_cycles()
        for name, row in self._rows.items():
            self._check_undo(name, row.step)
        return {
            name: replace(row.step, needs=self.needs.get(name, ()), stands_in=name in self._owners)
            for name, row in self._rows.items()
        }

    def last(self) -> dict[str, Step]:
        """Check [finally]. Returns its steps."""
        scope = self._scope({"outcome": "string", "failure": ANY}, self._plain())
        for name, row in self._last.items():
            path: Path = ("finally", name)
            if row.step.on_failure not in (STOP, SKIP):
                self._found.at_value(
                    (*path, "on_failure"), "nothing stands in for a step of [finally]", 'write "stop" or "skip"'
                )
            self._condition((*path, "when"), row.step.when, scope)
            self._work(path, row.step.work, scope)
        return {name: row.step for name, row in self._last.items()}

    def outputs(self, raw: Mapping[str, object]) -> None:
        """Check the values of [outputs]."""
        self.value(("outputs",), dict(raw), self._scope({}, self._plain()))

    @property
    def everything(self) -> Scope:
        """The scope of the names that every place has; enough to determine kinds."""
        return self._scope({}, self._plain())

    # what a step says ------------------------------------------------------------------------------------------------

    def _plain(self) -> dict[str, str]:
        """Return the steps whose outputs can be named: all but stand-ins."""
        return {name: "" for name in self._rows if name not in self._owners}

    def _find_stand_ins(self) -> None:
        for name, row in self._rows.items():
            other, path = row.step.on_failure, ("steps", name, "on_failure")
            if other in (STOP, SKIP):
                continue
            if other not in self._rows:
                self._found.at_value(
                    path, f'there is no step "{other}"', f'write "stop", "skip", or one of {self._all()}'
                )
            elif other == name:
                self._found.at_value(path, f'"{name}" cannot stand in for itself', "write retry = { times = 3 }")
            else:
                self._owners.setdefault(other, []).append(name)
        for name, owners in self._owners.items():
            for key in STAND_IN_KEYS:
                if key in self._rows[name].keys:
                    what = f'"{name}" runs only in the place of {" and ".join(owners)}, so it has no {key}'
                    self._found.at_key(("steps", name, key), what, "leave it out")

    def _all(self) -> str:
        return ", ".join(self._rows)

    def _check_needs(self, name: str, step: Step) -> None:
        for index, other in enumerate(step.needs):
            path: Path = ("steps", name, "needs", index)
            if other not in self._rows:
                self._found.at_value(path, f'there is no step "{other}"', f"there are {self._all()}")
            elif other in self._owners:
                owners = " and ".join(self._owners[other])
                self._found.at_value(path, f'"{other}" runs only in the place of {owners}', f"write {owners}")

    def _expressions(self, name: str, step: Step) -> list[str]:
        """Check the expressions of a step. Returns the steps that they name."""
        path: Path = ("steps", name)
        owners = [self._rows[one].step for one in self._owners.get(name, ())]
        roots: dict[str, Kind] = {"failure": ANY} if owners else {}
        hidden = {owner.name: "it has failed then; failure says why" for owner in owners} or {
            name: "that is the step itself"
        }
        scope = self._scope(roots, self._plain(), hidden)
        used = self._condition((*path, "when"), step.when, scope)
        if step.for_each is not None:
            used += self._items((*path, "for_each"), step.for_each, scope)
        if step.for_each is not None or (owners and all(owner.for_each is not None for owner in owners)):
            scope = self._scope({**roots, "item": ANY, "index": "int"}, self._plain(), hidden)
        return used + self._work(path, step.work, scope)

    def _check_undo(self, name: str, step: Step) -> None:
        if step.undo is None:
            return
        owners = self._owners.get(name, [name])
        above = [self._above(owner) for owner in owners]
        there = {one: "" for one in self._plain() if all(one in each for each in above)}
        hidden = {one: "it need not be over by then" for one in self._plain() if one not in there}
        hidden |= dict.fromkeys(owners, "what is undone is output")
        roots: dict[str, Kind] = {"output": ANY}
        if all(self._rows[owner].step.for_each is not None for owner in owners):
            roots |= {"item": ANY, "index": "int"}
        self._work(("steps", name, "undo"), step.undo, self._scope(roots, there, hidden))

    def _above(self, name: str) -> dict[str, None]:
        """Return every step that is over before this one begins."""
        above: dict[str, None] = {}
        left = [*self.needs.get(name, ())]
        while left:
            one = left.pop()
            if one not in above:
                above[one] = None
                left += self.needs.get(one, ())
        return above

    def _find_cycles(self) -> None:
        """Note each cycle of needs, at its first step in the file."""
        told: set[str] = set()
        for name in self.needs:
            if name in told or name not in self._above(name):
                continue
            ring = self._ring(name)
            told.update(one for one in self.needs if one in self._above(name) and name in self._above(one))
            what = f"{' needs '.join(ring)}: none of them can begin" if len(ring) > 2 else f'"{name}" needs itself'
            self._found.at_key(("steps", name), what, "take one of these needs away")

    def _ring(self, name: str) -> list[str]:
        """Return the shortest cycle of needs through a step."""
        ways, seen = [[name]], {name}
        while ways:
            way = ways.pop(0)
            for other in self.needs.get(way[-1], ()):
                if other == name:
                    return [*way, name]
                if other not in seen:
                    seen.add(other)
                    ways.append([*way, other])
        raise AssertionError(name)

    # expressions -----------------------------------------------------------------------------------------------------

    def _scope(
        self, roots: Mapping[str, Kind], steps: Mapping[str, str], hidden: Mapping[str, str] | None = None
    ) -> Scope:
        hidden = {**{name: f"it runs only in the place of {' and '.join(of)}" for name, of in self._owners.items()},
                  **(hidden or {})}  # fmt: skip
        kinds = {name: self._output_kind(name) for name in steps if name not in hidden}
        return Scope(self._inputs, roots, kinds, hidden)

    def _output_kind(self, name: str) -> Kind:
        step = self._rows[name].step
        return "list" if step.for_each is not None and not step.when and step.on_failure == STOP else ANY

    def _condition(self, path: Path, text: str, scope: Scope) -> list[str]:
        if not text:
            return []
        return self._one(path, text, scope, ("bool",), 'an expression, such as "${inputs.day != null}"')

    def _items(self, path: Path, value: object, scope: Scope) -> list[str]:
        if isinstance(value, str):
            return self._one(
                path, value, scope, ("list",), 'an expression that gives a list, such as "${inputs.names}"'
            )
        return self.value(path, value, scope)

    def _work(self, path: Path, work: Work, scope: Scope) -> list[str]:
        return self.value((*path, "with"), work.given, scope) + self.value((*path, "approval"), work.approval, scope)

    def _one(self, path: Path, text: str, scope: Scope, kinds: tuple[Kind, ...], wanted: str) -> list[str]:
        """Check a text that must be a single expression of one of these kinds. Returns the steps that it names."""
        used = self.value(path, text, scope)
        template = _template(text)
        if template is None:
            return used
        if template.alone is None:
            self._found.at_value(path, f"{spelled(path)} is a text, not {wanted.partition(',')[0]}", f"write {wanted}")
            return used
        kind = self.kind(text, scope)
        if kind not in (*kinds, ANY):
            self._found.at_value(path, f"{spelled(path)} gives {kind}, not {' or '.join(kinds)}", f"write {wanted}")
        return used

    def value(self, path: Path, value: object, scope: Scope) -> list[str]:
        """Check the expressions in a value. Returns the steps that they name."""
        used: list[str] = []
        match value:
            case str():
                used += self._text(path, value, scope)
            case list():
                for index, item in enumerate(value):
                    used += self.value((*path, index), item, scope)
            case dict():
                for name, inner in value.items():
                    used += self.value((*path, name), inner, scope)
            case _:
                pass
        return used

    def kind(self, text: str, scope: Scope) -> Kind:
        """Return the kind of a text's value as far as it is known; `any` for a text with a problem."""
        template = _template(text)
        if template is None:
            return ANY
        if template.alone is None:
            return "string"
        try:
            return kind_of(template.alone, known(scope))
        except ExpressionInvalid:
            return ANY

    def _text(self, path: Path, text: str, scope: Scope) -> list[str]:
        try:
            template = parse_text(text)
            for expression in template.expressions:
                kind_of(expression, known(scope))
        except ExpressionInvalid as error:
            self._found.at_value(path, f"{spelled(path)}: {error.why}", error.instead)
            return []
        used: list[str] = []
        for expression in template.expressions:
            for names in expression.paths.values():
                problem, instead = _unbound(names, scope)
                if problem:
                    self._found.at_value(path, f"{spelled(path)}: {problem}", instead)
                elif names[0] == "steps":
                    used.append(str(names[1]))
        return used


def _template(text: str) -> Template | None:
    try:
        return parse_text(text)
    except ExpressionInvalid:
        return None


def known(scope: Scope) -> dict[Names, Kind]:
    """Return the kinds of the names of a scope, as far as they are known."""
    kinds: dict[Names, Kind] = {(root,): kind for root, kind in scope.roots.items()}
    for name, of in scope.inputs.items():
        kinds["inputs", name] = ANY if of.endswith("?") else KIND_OF_TYPE.get(of, of)
    kinds.update({("steps", name): kind for name, kind in scope.steps.items()})
    return kinds


def _unbound(names: Names, scope: Scope) -> tuple[str, str]:
    """Return why a name is not defined here, and what to write; ("", "") if it is."""
    root, second = names[0], names[1] if len(names) > 1 else None
    if root == "inputs":
        if second in scope.inputs:
            return _within_a_list(names, scope)
        there = f"there are {', '.join(scope.inputs)}" if scope.inputs else f'write {second} = "string" under [inputs]'
        return f'there is no input "{second}"' if second is not None else "inputs alone is not a value", there
    if root == "steps":
        if second in scope.steps:
            return _within_a_list(names, scope)
        if second in scope.hidden:
            return f"{spelled_name(names)} is not there: {scope.hidden[str(second)]}", "name another step, or an input"
        there = ", ".join(scope.steps)
        return f'there is no step "{second}"', f"there are {there}" if there else "no step is over by then"
    if root in scope.roots:
        return "", ""
    if root in ("item", "index"):
        return f"{root} is only there with for_each", "write for_each, or name something else"
    if root in ("output", "failure", "outcome"):
        places = {"output": "undo", "failure": "a step that stands in, and in [finally]", "outcome": "[finally]"}
        return f"{root} is only there in {places[str(root)]}", "name something else"
    there = ", ".join(["inputs", "steps", *scope.roots])
    return f'there is no "{root}" here', f"there are {there}"


def _within_a_list(names: Names, scope: Scope) -> tuple[str, str]:
    """Return the problem of a name that is looked up in a known list, and what to write; ("", "") if it is none."""
    if len(names) == 2 or not isinstance(names[2], str) or known(scope).get(names[:2]) != "list":
        return "", ""
    item = spelled_name((*names[:2], 0, *names[2:]))
    return f'{spelled_name(names[:2])} is a list, which has no "{names[2]}"', f"take one of its items, such as {item}"


def expressions(value: object) -> Iterator[Expression]:
    """Yield every valid expression in a value."""
    match value:
        case str():
            template = _template(value)
            yield from template.expressions if template else ()
        case list():
            for item in value:
                yield from expressions(item)
        case dict():
            for inner in value.values():
                yield from expressions(inner)
        case _:
            pass
