"""Sets of capabilities: which calls they cover, and their intersection, by which all authority is narrowed (pure).

Used for every call, for `kernel.check`, and for every grant that spawns, keys and chains of calls pass on. Every function
is total: nothing covers malformed text, and malformed text raises nothing.

Methods are dotted lower-case words of at most 128 bytes. A method pattern is a method, `prefix.*` (of any depth), or `*`,
which only the maximum of a key or of the operator may contain. `*` reaches no `kernel.` method. `kernel.*` reaches only
HAND_KERNEL_METHODS: every other kernel method is the operator's and must be named in full.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple, Self

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
"""The kernel methods that can be granted to a Hand."""

_METHOD_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_CACHED: Final = 64
_CACHED_LENGTH: Final = 256

Layer = tuple[Capability, ...]


class Verdict(NamedTuple):
    """A GrantSet's answer for one method on one resource.

    allowed: its holder may call it or, if it is only lent, runs that the holder spawns. owned: on behalf of any caller, since
    every layer covers it with `own = true`. is_lent: only runs that the holder spawns. approval: True if some covering
    capability requires a person's, False if every layer has one that waives it, else None.
    """

    allowed: bool
    owned: bool
    is_lent: bool
    approval: bool | None


@lru_cache(maxsize=1024)
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
    """Whether a text is one method, or `prefix.*`."""
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
"""A rank for each value of `approval`: a higher one asks a person less often."""


def includes(wide: Capability, narrow: Capability) -> bool:
    """Whether `wide` allows all that `narrow` allows, on behalf of callers too, and asks a person no more often. Total."""
    return not narrow.allow or (
        reaches(wide.method, narrow.method)
        and (wide.own or not narrow.own)
        and (narrow.lent or not wide.lent)
        and _FREEDOM[wide.approval] >= _FREEDOM[narrow.approval]
        and all(any(kinds.includes(mine, its) for mine in wide.allow) for its in narrow.allow)
    )


class GrantSet:
    """What a principal may do: layers of capabilities. A call is allowed when *every* layer has one that covers it.

    One layer is one grant. Narrowing stacks layers, so the result is exactly their intersection, never an approximation.
    A set without layers allows nothing. `layers` holds plain values for a snapshot; `GrantSet(layers)` restores the set.
    """

    __slots__ = ("_cache", "_exact", "_wild", "layers")

    def __init__(self, layers: Iterable[Iterable[Capability]]) -> None:
        self.layers: Final[tuple[Layer, ...]] = tuple(tuple(layer) for layer in layers)
        self._exact: tuple[dict[str, list[Capability]], ...] | None = None
        self._wild: tuple[list[Capability], ...] = ()
        self._cache: dict[tuple[str, str], Verdict] = {}

    @classmethod
    def of(cls, capabilities: Iterable[Capability]) -> Self:
        """Return a set of one layer: the union of these capabilities."""
        return cls((capabilities,))

    def allows(self, method: str, resource: str) -> bool:
        """Whether the method may be called on the resource, as Verdict says. Total."""
        return self.verdict(method, resource).allowed

    def lends(self, method: str, resource: str) -> bool:
        """Whether the call is allowed only to runs that the holder spawns. Total."""
        return self.verdict(method, resource).is_lent

    def mentions(self, method: str, *, lent: bool = False, own: bool = False) -> bool:
        """Whether the holder may call the method on some resource: lists of methods show only such ones. Total.

        lent: or whether what it spawns may. own: whether it may for every caller of its own.
        """
        return bool(self.layers) and all(
            any(held.allow and reaches(held.method, method) and held.lent <= lent and held.own >= own for held in layer)
            for layer in self.layers
        )

    def includes(self, capability: Capability) -> bool:
        """Whether the set allows everything that the capability allows, compared pattern by pattern. Total.

        May be False for a pattern that only several patterns of the set cover together.
        """
        return bool(self.layers) and all(_layer_includes(layer, capability) for layer in self.layers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GrantSet) and self.layers == other.layers

    def __hash__(self) -> int:
        return hash(self.layers)

    def __repr__(self) -> str:
        return f"GrantSet({self.layers!r})"

    def verdict(self, method: str, resource: str) -> Verdict:
        """Return the verdict on a method on a resource, which must be in normal form. Total."""
        known = self._cache.get((method, resource))
        if known is not None:
            return known
        verdict = self._evaluate(method, resource)
        if len(resource) <= _CACHED_LENGTH:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[method, resource] = verdict
        return verdict

    def _evaluate(self, method: str, resource: str) -> Verdict:
        if self._exact is None:
            self._exact, self._wild = _index_layers(self.layers)
        allowed = owned = for_holder = is_free = bool(self.layers)
        is_asked = False
        for exact, wild in zip(self._exact, self._wild, strict=True):
            covering = [held for held in (*exact.get(method, ()), *wild) if covers(held, method, resource)]
            owns = holds = waives = False
            for held in covering:
                owns, holds, waives = owns or held.own, holds or not held.lent, waives or held.approval is False
                is_asked = is_asked or held.approval is True
            allowed, owned = allowed and bool(covering), owned and owns
            for_holder, is_free = for_holder and holds, is_free and waives
        is_lent = allowed and not for_holder
        return Verdict(allowed, owned, is_lent, True if is_asked else False if is_free else None)


NOTHING: Final = GrantSet(())


def narrow(*grants: GrantSet) -> GrantSet:
    """Return the intersection of all these sets. Grants, runs, keys and rules pass authority on by this function only.

    The result is never wider than any of the sets, for any method and resource. A layer that includes another one adds
    nothing and is dropped, so chains of calls do not grow the set. Without sets, or if one allows nothing: NOTHING.
    """
    if not grants or not all(grant.layers for grant in grants):
        return NOTHING
    kept: list[Layer] = []
    for layer in dict.fromkeys(layer for grant in grants for layer in grant.layers):
        if any(_includes_all(layer, other) for other in kept):
            continue
        kept = [other for other in kept if not _includes_all(other, layer)]
        kept.append(layer)
    return GrantSet(kept)


def exceeding(wanted: Iterable[Capability], most: GrantSet) -> tuple[Capability, ...]:
    """Return the wanted capabilities, each with only its patterns that `most` does not include; empty if it includes all."""
    beyond = []
    for capability in wanted:
        single = (replace(capability, allow=(pattern,)) for pattern in capability.allow)
        patterns = tuple(each.allow[0] for each in single if not most.includes(each))
        if patterns:
            beyond.append(replace(capability, allow=patterns))
    return tuple(beyond)


def expand(pattern: str, methods: Iterable[str]) -> tuple[str, ...]:
    """Return those of the existing methods that a pattern reaches, sorted. Methods installed later need a new grant."""
    return tuple(sorted({method for method in methods if is_method(method) and reaches(pattern, method)}))


def expand_wildcards(capabilities: Iterable[Capability], methods: Iterable[str]) -> tuple[Capability, ...]:
    """Return capabilities as they are granted: one per method that a `prefix.*` reaches."""
    known = tuple(methods)
    return tuple(
        replace(capability, method=method)
        for capability in capabilities
        for method in (expand(capability.method, known) if capability.method.endswith("*") else (capability.method,))
    )


def requested(manifest: Manifest) -> tuple[Capability, ...]:
    """Return all capabilities that a manifest requests: [capabilities], [lends], and [events] as kernel.publish and
    kernel.subscribe. A [schedule] that starts on an event requests to subscribe to that event.
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
    """Format a capability as its row in [capabilities] or [lends]."""
    allow = "[" + ", ".join(map(_quoted, capability.allow)) + "]"
    more = ", own = true" if capability.own else ""
    if capability.approval is not None:
        more += f", approval = {'true' if capability.approval else 'false'}"
    row = f"{_quoted(capability.method)} = " + (f"{{ allow = {allow}{more} }}" if more else allow)
    return f"{row} for what it spawns" if capability.lent else row


def missing_grant(grants: GrantSet, method: str, resource: str) -> str:
    """Return the row of [capabilities] that would allow the call: `"web.fetch" = ["https://example.org/**"]`.

    "" if the call is allowed already, or if no grant can allow it: the resource is not in normal form, the method is
    malformed, or one of them is the operator's. Never includes the query of a URL.
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


def _index_layers(
    layers: tuple[Layer, ...],
) -> tuple[tuple[dict[str, list[Capability]], ...], tuple[list[Capability], ...]]:
    """Return, per layer, the capabilities by exact method, and those with a wildcard in their method."""
    exact: list[dict[str, list[Capability]]] = []
    wild: list[list[Capability]] = []
    for layer in layers:
        exact.append({})
        wild.append([capability for capability in layer if capability.method.endswith("*")])
        for capability in layer:
            if not capability.method.endswith("*"):
                exact[-1].setdefault(capability.method, []).append(capability)
    return tuple(exact), tuple(wild)


def _layer_includes(layer: Layer, narrow: Capability) -> bool:
    """Whether some capability of the layer includes each pattern of `narrow`, and none asks a person more often."""
    if not narrow.approval and any(
        held.approval and (reaches(held.method, narrow.method) or reaches(narrow.method, held.method)) for held in layer
    ):
        return False
    return all(any(includes(wide, replace(narrow, allow=(pattern,))) for wide in layer) for pattern in narrow.allow)


def _includes_all(wide: Layer, narrow: Layer) -> bool:
    return all(_layer_includes(wide, capability) for capability in narrow)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mark_lent(granted: Capability, asks: GrantSet) -> Capability:
    """Return a grant, marked as lent if its Hand requests it only in [lends]. asks: what the Hand requests."""
    bare, lent = comparable(granted), replace(comparable(granted), lent=True)
    return replace(granted, lent=True) if exceeding((bare,), asks) and not exceeding((lent,), asks) else granted


def comparable(granted: Capability) -> Capability:
    """Return a grant as it is compared with its Hand's requests: it may require approval even if the request does not."""
    return granted if granted.approval is False else replace(granted, approval=True)
