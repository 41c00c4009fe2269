"""Whether a capability covers a call, and the one place where authority is narrowed (pure).

Separate because the kernel asks it for every call, `kernel.check` for every question, and spawn, keys and chains of
calls for every grant they hand on. Everything here is total: malformed text is covered by nothing and raises nothing.

Methods are dotted lower-case words of at most 128 bytes. A method pattern is one method, `prefix.*` (any depth), or,
only where a key's or the operator's most is written, `*`. `kernel.` methods are reached by no `*`; `kernel.*` reaches
only those of HAND_KERNEL_METHODS; every other one is the operator's and needs its own name.
"""

from collections.abc import Iterable
from typing import Final, Self

from msgspec.structs import replace

from manifests import capabilities as kinds
from manifests.schema import Capability, Manifest
from wire.limits import METHOD_MAX

HAND_KERNEL_METHODS: Final = frozenset(
    {
        "kernel.budget",
        "kernel.check",
        "kernel.describe",
        "kernel.fire",
        "kernel.list",
        "kernel.note",
        "kernel.pause",
        "kernel.publish",
        "kernel.resume",
        "kernel.schedules",
        "kernel.settings",
        "kernel.sleep",
        "kernel.spawn",
        "kernel.stop",
        "kernel.subscribe",
        "kernel.wait",
    }
)
"""The kernel's methods that a Hand may ever hold."""

_METHOD_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_CACHED: Final = 64
_CACHED_LENGTH: Final = 256

Layer = tuple[Capability, ...]
Verdict = tuple[bool, bool, bool, bool | None]


def is_method(text: str) -> bool:
    """Whether a text is one method, such as `web.fetch`."""
    return (
        3 <= len(text) <= METHOD_MAX
        and _METHOD_CHARACTERS.issuperset(text)
        and "a" <= text[0] <= "z"
        and text[-1] not in ".-"
        and "." in text
        and not any(pair in text for pair in ("..", "--", ".-", "-."))
    )


def is_method_pattern(text: str) -> bool:
    """Whether a text is a method, or `prefix.*`."""
    return is_method(text) or (len(text) <= METHOD_MAX and text.endswith(".*") and is_method(text[:-1] + "x"))


def reaches(pattern: str, method: str) -> bool:
    """Whether a method pattern reaches a method (or includes another method pattern)."""
    if pattern == method:
        return True
    if method.startswith("kernel.") and method not in HAND_KERNEL_METHODS:
        return pattern == "kernel.*" and method == "kernel.*"
    if pattern == "*":
        return not method.startswith("kernel.")
    return pattern.endswith(".*") and method.startswith(pattern[:-1])


def covers(capability: Capability, method: str, resource: str) -> bool:
    """Whether one capability allows a method on a resource in normal form. An empty `allow` allows nothing. Total."""
    return (
        reaches(capability.method, method)
        and is_method(method)
        and any(kinds.covers(pattern, resource) for pattern in capability.allow)
    )


_FREEDOM: Final = {True: 0, None: 1, False: 2}
"""How much is done without asking where `approval` is so."""


def includes(wide: Capability, narrow: Capability) -> bool:
    """Whether `wide` allows all that `narrow` allows, `own` included and not merely lent, and asks no more often. Total."""
    return not narrow.allow or (
        reaches(wide.method, narrow.method)
        and (wide.own or not narrow.own)
        and (narrow.lent or not wide.lent)
        and _FREEDOM[wide.approval] >= _FREEDOM[narrow.approval]
        and all(any(kinds.includes(mine, its) for mine in wide.allow) for its in narrow.allow)
    )


class GrantSet:
    """What a principal may do: layers of capabilities, and a call is allowed when *every* layer has one that covers it.

    One layer is what somebody was granted; narrowing puts layers on top of each other, so that the result is exactly
    what all of them allow, never an approximation. No layer at all allows nothing. `layers` is plain values, for a
    snapshot; `GrantSet(layers)` makes the set again.
    """

    __slots__ = ("_cache", "_exact", "_wild", "layers")

    def __init__(self, layers: Iterable[Iterable[Capability]]) -> None:
        self.layers: Final[tuple[Layer, ...]] = tuple(tuple(layer) for layer in layers)
        self._exact: tuple[dict[str, list[Capability]], ...] | None = None
        self._wild: tuple[list[Capability], ...] = ()
        self._cache: dict[tuple[str, str], Verdict] = {}

    @classmethod
    def of(cls, capabilities: Iterable[Capability]) -> Self:
        """The set of one layer: what these capabilities allow together."""
        return cls((capabilities,))

    def allows(self, method: str, resource: str) -> bool:
        """Whether the method may be called on the resource, which must be in normal form: by whoever holds the set, or,
        where it is only lent, by what he spawned. Total.
        """
        return self._verdict(method, resource)[0]

    def lends(self, method: str, resource: str) -> bool:
        """Whether it is allowed, but to nobody who holds the set himself. Total."""
        allowed, _, himself, _ = self._verdict(method, resource)
        return allowed and not himself

    def owns(self, method: str, resource: str) -> bool:
        """Whether it may be called for any caller, because every layer covers it with `own = true`. Total."""
        return self._verdict(method, resource)[1]

    def approval(self, method: str, resource: str) -> bool | None:
        """True: a person is asked, since some covering capability says so; False: nobody, as every layer has one that says
        so; None: none of this is said. Total."""
        return self._verdict(method, resource)[3]

    def mentions(self, method: str) -> bool:
        """Whether there is any resource on which the method might be allowed: what a list of methods shows. Total."""
        return bool(self.layers) and all(
            any(one.allow and reaches(one.method, method) and not one.lent for one in layer) for layer in self.layers
        )

    def includes(self, capability: Capability) -> bool:
        """Whether the set surely allows everything that the capability allows, pattern by pattern. Total."""
        return bool(self.layers) and all(_layer_includes(layer, capability) for layer in self.layers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GrantSet) and self.layers == other.layers

    def __hash__(self) -> int:
        return hash(self.layers)

    def __repr__(self) -> str:
        return f"GrantSet({self.layers!r})"

    def _verdict(self, method: str, resource: str) -> Verdict:
        known = self._cache.get((method, resource))
        if known is not None:
            return known
        verdict = self._work_out(method, resource)
        if len(resource) <= _CACHED_LENGTH:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[method, resource] = verdict
        return verdict

    def _work_out(self, method: str, resource: str) -> Verdict:
        if self._exact is None:
            self._exact, self._wild = _sorted_out(self.layers)
        allowed = owned = himself = freed = bool(self.layers)
        is_asked = False
        for exact, wild in zip(self._exact, self._wild, strict=True):
            covering = [one for one in (*exact.get(method, ()), *wild) if covers(one, method, resource)]
            allowed = allowed and bool(covering)
            owned = owned and any(one.own for one in covering)
            himself = himself and any(not one.lent for one in covering)
            freed = freed and any(one.approval is False for one in covering)
            is_asked = is_asked or any(one.approval for one in covering)
        return allowed, owned, himself, True if is_asked else False if freed else None


NOTHING: Final = GrantSet(())


def narrow(*grants: GrantSet) -> GrantSet:
    """What all the given sets allow. The one function through which a grant, a run, a key or a rule hands authority on.

    Never wider than any of its parts, for any method and resource. A layer that includes another adds nothing and is
    left out, so chains of calls do not grow the set. No sets at all, or one that allows nothing, give NOTHING.
    """
    if not grants or not all(one.layers for one in grants):
        return NOTHING
    kept: list[Layer] = []
    for layer in dict.fromkeys(layer for one in grants for layer in one.layers):
        if any(_includes_all(layer, other) for other in kept):
            continue
        kept = [other for other in kept if not _includes_all(other, layer)]
        kept.append(layer)
    return GrantSet(kept)


def exceeding(wanted: Iterable[Capability], most: GrantSet) -> tuple[Capability, ...]:
    """The wanted capabilities reduced to the patterns that go beyond `most`; empty when all are within it."""
    beyond = []
    for one in wanted:
        patterns = tuple(pattern for pattern in one.allow if not most.includes(replace(one, allow=(pattern,))))
        if patterns:
            beyond.append(replace(one, allow=patterns))
    return tuple(beyond)


def expand(pattern: str, methods: Iterable[str]) -> tuple[str, ...]:
    """The methods of those that exist at install that a pattern reaches, sorted; later ones need a new grant."""
    return tuple(sorted({method for method in methods if is_method(method) and reaches(pattern, method)}))


def by_method(given: Iterable[Capability], methods: Iterable[str]) -> tuple[Capability, ...]:
    """Capabilities with each `prefix.*` as the methods that it reaches, as it is granted."""
    known = tuple(methods)
    return tuple(
        replace(one, method=method)
        for one in given
        for method in (expand(one.method, known) if one.method.endswith("*") else (one.method,))
    )


def asked(manifest: Manifest) -> tuple[Capability, ...]:
    """Everything a Hand asks for: its capabilities, its events as kernel.publish and kernel.subscribe, what it lends.

    A Hand that an event starts hears that event, by whoever starts it.
    """
    events = manifest.events
    heard = events.subscribes
    if manifest.schedule is not None and manifest.schedule.on and manifest.schedule.on not in heard:
        heard = (*heard, manifest.schedule.on)
    published = tuple(f"{manifest.hand.name}.{event}" for event in events.publishes)
    asks = list(manifest.capabilities)
    if published:
        asks.append(Capability(method="kernel.publish", allow=published))
    if heard:
        asks.append(Capability(method="kernel.subscribe", allow=heard))
    return (*asks, *manifest.lends)


def as_text(capability: Capability) -> str:
    """A capability as its row in [capabilities], or in [lends]."""
    allow = "[" + ", ".join(map(_quoted, capability.allow)) + "]"
    more = ", own = true" if capability.own else ""
    if capability.approval is not None:
        more += f", approval = {'true' if capability.approval else 'false'}"
    row = f"{_quoted(capability.method)} = " + (f"{{ allow = {allow}{more} }}" if more else allow)
    return f"{row} for what it spawns" if capability.lent else row


def why_not(grants: GrantSet, method: str, resource: str) -> str:
    """The row of [capabilities] that would allow the call: `"web.fetch" = ["https://example.org/**"]`.

    "" when the call is allowed already, and when no grant ever could: the resource is not in normal form, the method is
    none, or one of them is the operator's. Never shows the query of a URL.
    """
    if grants.allows(method, resource) or not is_method(method) or not kinds.is_normal(resource):
        return ""
    if method.startswith("kernel.") and method not in HAND_KERNEL_METHODS:
        return ""
    match kinds.kind_of(resource):
        case "none":
            pattern = "*"
        case "url":
            pattern = f"{kinds.url.origin(resource)}/**"
        case "namespace" if kinds.namespace.is_by_id(resource):
            return ""
        case _:
            pattern = resource
    return as_text(Capability(method=method, allow=(pattern,)))


def _sorted_out(
    layers: tuple[Layer, ...],
) -> tuple[tuple[dict[str, list[Capability]], ...], tuple[list[Capability], ...]]:
    """Per layer: capabilities by exact method, and those with a wildcard."""
    exact: list[dict[str, list[Capability]]] = []
    wild: list[list[Capability]] = []
    for layer in layers:
        exact.append({})
        wild.append([one for one in layer if one.method.endswith("*")])
        for one in layer:
            if not one.method.endswith("*"):
                exact[-1].setdefault(one.method, []).append(one)
    return tuple(exact), tuple(wild)


def _layer_includes(layer: Layer, narrow: Capability) -> bool:
    """Whether each pattern of a capability is within some capability of the layer. No when the layer may ask, and it not."""
    if not narrow.approval and any(
        one.approval and (reaches(one.method, narrow.method) or reaches(narrow.method, one.method)) for one in layer
    ):
        return False
    return all(any(includes(wide, replace(narrow, allow=(pattern,))) for wide in layer) for pattern in narrow.allow)


def _includes_all(wide: Layer, narrow: Layer) -> bool:
    return all(_layer_includes(wide, one) for one in narrow)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_asked(one: Capability, asks: GrantSet) -> Capability:
    """What a Hand asks for only to lend is granted so, whoever grants it in whatever words."""
    bare, lent = narrowed(one), replace(narrowed(one), lent=True)
    return replace(one, lent=True) if exceeding((bare,), asks) and not exceeding((lent,), asks) else one


def narrowed(one: Capability) -> Capability:
    """As it is compared with what a Hand asks for: unless it frees from asking, a grant may ask more often, never less."""
    return one if one.approval is False else replace(one, approval=True)
