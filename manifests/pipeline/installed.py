"""A pipeline against the Hands that are installed (pure): are they there, what do they take, may they do their work.

Known is what the command line knows of each. Its `params` are those of a task's `run`, read from its code without running
it, or a pipeline's inputs; None where they cannot be known.
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
"""What an expression may give for a param of each type."""


class Known(Struct, frozen=True, kw_only=True):
    """An installed Hand. params: of its work, None if unknown; has_work: it has work of its own; takes_more: **inputs.

    asks, granted: what its manifest asks for, by methods that exist, and what of that the operator gave.
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
        """Whether it may begin runs of a Hand, as far as its manifest asks for that."""
        return any(
            one.method in (SPAWN, "kernel.*") and any(kinds.covers(pattern, hand) for pattern in one.allow)
            for one in self.asks
        )


def lends_of(pipeline: Pipeline, hands: Mapping[str, Known]) -> tuple[Capability, ...]:
    """The most that the runs of its steps may do: what the file says, else what their Hands are granted, put together."""
    if pipeline.lends is not None:
        return pipeline.lends
    together: dict[str, dict[str, None]] = {}
    for name in pipeline.hands():
        for one in hands[name].granted if name in hands else ():
            together.setdefault(one.method, {}).update(dict.fromkeys(one.allow))
    return tuple(
        Capability(method=method, allow=tuple(allow), lent=True) for method, allow in sorted(together.items()) if allow
    )


def against(found: Findings, pipeline: Pipeline, hands: Mapping[str, Known], binding: Binding) -> None:
    """Note what is wrong with a pipeline in a home with these Hands."""
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
        if problem := _unfit(work, hand):
            found.at_value(at, *problem)
            continue
        if way := _way(work.hand, pipeline.name, hands):
            found.at_value(
                at, f'{" runs ".join(way)}: "{pipeline.name}" would never end', "take that step away, or theirs"
            )
        _check_given(found, (*path, "with"), work, hand, scope, binding)
        if pipeline.lends is None:
            _check_granted(found, at, hand)
    if pipeline.lends is not None:
        _check_lends(found, pipeline, hands)


def _works(pipeline: Pipeline, binding: Binding) -> Iterator[tuple[Path, Work, Scope]]:
    """Every run that is made, with its place and the kinds of what its inputs may name."""
    for section, steps in (("steps", pipeline.steps), ("finally", pipeline.last)):
        for name, step in steps.items():
            yield (section, name), step.work, binding.everything
            if step.undo is not None:
                yield (section, name, "undo"), step.undo, binding.everything


def _unfit(work: Work, hand: Known) -> tuple[str, str] | None:
    if not hand.is_task:
        return f'"{hand.name}" is a service, and a step is a run of a task', "name a task Hand, which may call it"
    if work.is_pipeline and not hand.is_pipeline:
        return f'"{hand.name}" is not a pipeline', f'write hand = "{hand.name}"'
    if hand.is_pipeline and not work.is_pipeline:
        return f'"{hand.name}" is a pipeline', f'write pipeline = "{hand.name}"'
    if not hand.has_work:
        return f'"{hand.name}" only answers calls, and has no work of its own', "name a Hand that has a `run`"
    return None


def _way(start: str, target: str, hands: Mapping[str, Known]) -> list[str]:
    """The shortest way by which one Hand begins runs of another, through others; [] when there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        hand = hands.get(way[-1])
        if hand is None:
            continue
        if hand.spawns(target) and not _everything(hand):
            return [*way, target]
        for name in hands:
            if name not in seen and hand.spawns(name) and not _everything(hand):
                seen.add(name)
                ways.append([*way, name])
    return []


def _everything(hand: Known) -> bool:
    """Whether it may spawn whatever there is, which says nothing of what it does."""
    return any(one.method in (SPAWN, "kernel.*") and not one.lent and "*" in one.allow for one in hand.asks)


def _check_given(found: Findings, path: Path, work: Work, hand: Known, scope: Scope, binding: Binding) -> None:
    """The inputs against the Hand's params: names, and types where both are known."""
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
    """Without [lends] a step is to do all that its Hand asks for, so all of it must be granted."""
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
    """What is lent must be granted to some Hand of its steps: else no step could ever use it."""
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
    """As one word of a shell."""
    within = pattern.replace("'", "'\"'\"'")
    return f"'{within}'"
