"""Checks a pipeline against the installed Hands (pure): that they exist, take its inputs, and have their grants.

The command line describes each Hand as Known. Its `params` are those of a task's `run`, found by static analysis, or a
pipeline's inputs; None if unknown.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from manifests import capabilities as kinds
from manifests.errors import ValueInvalid
from manifests.findings import Findings, spelled
from manifests.grants import GrantSet, as_text, exceeding
from manifests.pipeline.binding import Binding, Scope
from manifests.pipeline.expressions import ANY
from manifests.pipeline.schema import Pipeline, Work
from manifests.positions import Path
from manifests.schema import Capability
from manifests.suggestions import suggestion
from manifests.typed import convert, split_type

SPAWN: Final = "kernel.spawn"
_TAKES: Final = {
    "string": ("string",), "int": ("int",), "float": ("int", "float"), "bool": ("bool",), "list": ("list",),
    "dict": ("dict",), "duration": ("string", "int", "float"), "size": ("string", "int"), "bytes": (),
}  # fmt: skip
"""By type of a param, the kinds of expressions that fit it."""


class Known(Struct, frozen=True, kw_only=True):
    """An installed Hand. params: of its work, None if unknown; has_work: it has a `run`; takes_more: that has **kwargs.

    asks: the capabilities that its manifest requests, by existing methods; granted: those of them that it holds.
    """

    name: str
    is_task: bool = True
    is_pipeline: bool = False
    has_work: bool = True
    params: Mapping[str, str] | None = None
    takes_more: bool = False
    asks: tuple[Capability, ...] = ()
    granted: tuple[Capability, ...] = ()

    def spawns(self, hand: str) -> bool:
        """Whether its manifest requests to begin runs of a Hand."""
        return any(
            one.method in (SPAWN, "kernel.*") and any(kinds.covers(pattern, hand) for pattern in one.allow)
            for one in self.asks
        )


def lends_of(pipeline: Pipeline, hands: Mapping[str, Known]) -> tuple[Capability, ...]:
    """Return the most that the runs of its steps may do: [lends] of the file, else the union of their Hands' grants."""
    if pipeline.lends is not None:
        return pipeline.lends
    together: dict[str, dict[str, None]] = {}
    for name in pipeline.hands():
        for one in hands[name].granted if name in hands else ():
            together.setdefault(one.method, {}).update(dict.fromkeys(one.allow))
    return tuple(
        Capability(method=method, allow=tuple(allow), lent=True) for method, allow in sorted(together.items()) if allow
    )


def check_against_hands(found: Findings, pipeline: Pipeline, hands: Mapping[str, Known], binding: Binding) -> None:
    """Note the problems of a pipeline in a home with these Hands."""
    for path, work, scope in _works(pipeline, binding):
        at: Path = (*path, "pipeline" if work.is_pipeline else "hand")
        if work.hand == pipeline.name:
            found.at_value(at, f'"{work.hand}" is this pipeline itself, which would never end', "name another")
            continue
        hand = hands.get(work.hand)
        if hand is None:
            there = suggestion(work.hand, hands, "see `maniple hands` for what is installed")
            found.at_value(at, f'no Hand "{work.hand}" is installed', there)
            continue
        if problem := _hand_problem(work, hand):
            found.at_value(at, *problem)
            continue
        if way := _spawn_path(work.hand, pipeline.name, hands):
            found.at_value(
                at, f'{" runs ".join(way)}: "{pipeline.name}" would never end', "take that step away, or theirs"
            )
        _check_given(found, (*path, "with"), work, hand, scope, binding)
        if pipeline.lends is None:
            _check_granted(found, at, hand)
    if pipeline.lends is not None:
        _check_lends(found, pipeline, hands)


def _works(pipeline: Pipeline, binding: Binding) -> Iterator[tuple[Path, Work, Scope]]:
    """Yield every run that the pipeline makes, with its path in the file and the scope of its inputs."""
    for section, steps in (("steps", pipeline.steps), ("finally", pipeline.last)):
        for name, step in steps.items():
            yield (section, name), step.work, binding.everything
            if step.undo is not None:
                yield (section, name, "undo"), step.undo, binding.everything


def _hand_problem(work: Work, hand: Known) -> tuple[str, str] | None:
    if not hand.is_task:
        return f'"{hand.name}" is a service, and a step is a run of a task', "name a task Hand, which may call it"
    if work.is_pipeline and not hand.is_pipeline:
        return f'"{hand.name}" is not a pipeline', f'write hand = "{hand.name}"'
    if hand.is_pipeline and not work.is_pipeline:
        return f'"{hand.name}" is a pipeline', f'write pipeline = "{hand.name}"'
    if not hand.has_work:
        return f'"{hand.name}" only answers calls, and has no work of its own', "name a Hand that has a `run`"
    return None


def _spawn_path(start: str, target: str, hands: Mapping[str, Known]) -> list[str]:
    """Return the shortest chain in which one Hand begins runs of another, through others; [] if there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        hand = hands.get(way[-1])
        if hand is None:
            continue
        if hand.spawns(target) and not _spawns_anything(hand):
            return [*way, target]
        for name in hands:
            if name not in seen and hand.spawns(name) and not _spawns_anything(hand):
                seen.add(name)
                ways.append([*way, name])
    return []


def _spawns_anything(hand: Known) -> bool:
    """Whether it may spawn any Hand, which does not show that it spawns a particular one."""
    return any(one.method in (SPAWN, "kernel.*") and not one.lent and "*" in one.allow for one in hand.asks)


def _check_given(found: Findings, path: Path, work: Work, hand: Known, scope: Scope, binding: Binding) -> None:
    """Check a run's inputs by the Hand's params: the names, and the types where both are known."""
    if hand.params is None or found.has(path):
        return
    for name in work.given:
        if name not in hand.params and not hand.takes_more:
            there = suggestion(name, hand.params) if hand.params else "it takes none"
            found.at_key((*path, name), f'"{hand.name}" has no input "{name}"', there)
    for name, of in hand.params.items():
        of_type, may_miss = split_type(of)
        if name not in work.given:
            if not may_miss and not found.has((*path, name)):
                found.at_key(
                    path, f'"{hand.name}" needs the input "{name}" ({of_type})', f"write {name} = ... under with"
                )
            continue
        _check_type(found, (*path, name), work.given[name], of_type, may_miss, scope, binding)


def _check_type(
    found: Findings, path: Path, value: object, of_type: str, may_miss: bool, scope: Scope, binding: Binding
) -> None:
    if of_type == ANY:
        return
    if isinstance(value, str) and "${" in value:
        kind = binding.kind(value, scope)
        if kind not in (*_TAKES[of_type], ANY) and not (may_miss and kind == "null"):
            found.at_value(path, f"{spelled(path)} gives {kind}, not {of_type}", f"give {of_type}")
        return
    try:
        convert(of_type, value)
    except ValueInvalid as error:
        found.at_value(path, f"{spelled(path)}: {error.why}", error.instead)


def _check_granted(found: Findings, at: Path, hand: Known) -> None:
    """Note a Hand that lacks grants it requests. Without [lends], its runs get all its grants, so it must have them all."""
    missing = exceeding(hand.asks, GrantSet.of(hand.granted))
    if missing:
        first = missing[0]
        mend = f"`maniple grant {hand.name} {first.method} {' '.join(map(_quoted, first.allow))}`"
        found.at_value(
            at,
            f'"{hand.name}" asks for {_rows(missing)}, and was not granted that',
            f"{mend}, or say under [lends] what the steps may do",
        )


def _check_lends(found: Findings, pipeline: Pipeline, hands: Mapping[str, Known]) -> None:
    """Note capabilities in [lends] that no Hand of its steps is granted, so that no step could use them."""
    held = [one for name in pipeline.hands() if name in hands for one in hands[name].granted]
    for one in exceeding(pipeline.lends or (), GrantSet.of(held)):
        if one.method.endswith("*") and any(each.method.startswith(one.method[:-1]) for each in held):
            continue  # grants are by method; a prefix is matched with them when it is added
        found.at_key(
            ("lends", one.method),
            f"no Hand of its steps is granted {as_text(replace(one, lent=False))}",
            "grant it with `maniple grant`, or leave it out",
        )


def _rows(missing: Sequence[Capability]) -> str:
    return "; ".join(as_text(replace(one, lent=False)) for one in missing)


def _quoted(pattern: str) -> str:
    """Quote a pattern for a shell."""
    within = pattern.replace("'", "'\"'\"'")
    return f"'{within}'"
