"""The catalogue of methods and their providers (pure): the kernel's own, and those of installed Hands."""

from collections.abc import Iterable, Sequence

from manifests.grants import GrantSet
from manifests.installed import Installed
from manifests.policy import ABOUT_ONESELF, normalise, redact
from manifests.schema import Effect, Provided
from wire.errors import Refusal
from wire.ids import KERNEL


class Catalogue:
    """Methods by name. Immutable: the kernel makes a new one after each install and removal."""

    def __init__(self, own: Iterable[Provided], hands: Iterable[Installed]) -> None:
        self._own = {provided.method: provided for provided in own}
        self._owners = {method: hand for hand in hands for method in hand.package.manifest.provides}
        self._offered = {
            method: provided for hand in self._owners.values() for method, provided in hand.provides.items()
        }

    def find(self, method: str) -> tuple[Provided, Installed | None]:
        """Return a method and the Hand that provides it, None for the kernel. Raises Refusal if nothing provides it."""
        own = self._own.get(method)
        if own is not None:
            return own, None
        owner = self._owners.get(method)
        if owner is None:
            raise Refusal("no provider", f"nothing provides {redact(method)!r}: see `maniple methods`")
        return self._offered[method], owner

    def find_again(self, method: str, resource: str, effect: Effect) -> tuple[Provided, Installed | None, str]:
        """Return the result of find() and the normal resource, for a call that was allowed earlier. If its method, or its
        kind of resource, is gone, a stand-in with the effect that it had then, and the resource unchanged.
        """
        try:
            provided, owner = self.find(method)
            return provided, owner, normalise(provided, resource)
        except Refusal:
            return Provided(method=method, summary="", resource="none", effect=effect), None, resource

    def owner(self, method: str) -> str:
        """Return the name of the Hand that provides a method, or `kernel`."""
        return self._owners[method].name if method in self._owners else KERNEL

    def visible(self, chain: Sequence[GrantSet | None]) -> list[Provided]:
        """Return the methods that may be called on some resource, and those that need no grant.

        chain: grants of who calls, then of those in whose name it does, as policy.decide walks them. None: the operator's.
        """
        return [one for one in self.all() if one.method in ABOUT_ONESELF or _is_granted(one.method, chain)]

    def lends(self, grants: GrantSet) -> bool:
        """Whether a run with these grants can call a method whose provider works in the caller's scratch folder."""
        owners = (self._owners.get(provided.method) for provided in self.visible([grants]))
        return any(owner is not None and owner.package.manifest.confinement.scratch == "caller" for owner in owners)

    def describe(self, chain: Sequence[GrantSet | None], method: str, hand: str) -> list[dict[str, object]]:
        """Return rows of the visible methods: the one named, or all of a Hand, or all."""
        return [
            {
                **{field: getattr(provided, field) for field in provided.__struct_fields__},
                "provider": self.owner(provided.method),
            }
            for provided in self.visible(chain)
            if method in ("", provided.method) and (not hand or provided.method.startswith(f"{hand}."))
        ]

    def all(self) -> list[Provided]:
        """Return every method, sorted by name."""
        return sorted([*self._offered.values(), *self._own.values()], key=lambda provided: provided.method)


def _is_granted(method: str, chain: Sequence[GrantSet | None]) -> bool:
    for place, grants in enumerate(chain):
        if grants is None:
            return True
        if not grants.mentions(method, lent=place > 0):
            return False
        if grants.mentions(method, lent=True, own=True):
            return True
    return True
