"""All methods that there are, and who answers each (pure): the kernel's own, and those of installed Hands."""

from collections.abc import Iterable

from manifests.grants import GrantSet
from manifests.installed import Installed
from manifests.policy import ABOUT_ONESELF, normalise, redact
from manifests.schema import Effect, Provided
from wire.errors import Refusal
from wire.ids import KERNEL


class Catalogue:
    """Methods by name, as of one moment; made anew after each install and removal."""

    def __init__(self, own: Iterable[Provided], hands: Iterable[Installed]) -> None:
        self._own = {provided.method: provided for provided in own}
        self._owners = {method: hand for hand in hands for method in hand.package.manifest.provides}
        self._offered = {
            method: provided for hand in self._owners.values() for method, provided in hand.provides.items()
        }

    def find(self, method: str) -> tuple[Provided, Installed | None]:
        """What a method is, and the Hand that answers it, None for the kernel. Raises Refusal if none does."""
        own = self._own.get(method)
        if own is not None:
            return own, None
        owner = self._owners.get(method)
        if owner is None:
            raise Refusal("no provider", f"nothing provides {redact(method)!r}: see `maniple methods`")
        return self._offered[method], owner

    def find_again(self, method: str, resource: str, effect: Effect) -> tuple[Provided, Installed | None, str]:
        """As find(), and the resource as its provider gets it, of a call that was allowed earlier: one that nobody answers
        any more, or not on such a resource, is taken as it was made, with the effect that it had then.
        """
        try:
            provided, owner = self.find(method)
            return provided, owner, normalise(provided, resource)
        except Refusal:
            return Provided(method=method, summary="", resource="none", effect=effect), None, resource

    def owner(self, method: str) -> str:
        """The name of the Hand that answers a method, or `kernel`."""
        return self._owners[method].name if method in self._owners else KERNEL

    def visible(self, grants: GrantSet | None) -> list[Provided]:
        """The methods that somebody holds some grant for, or needs none for; all of them for the operator (None)."""
        if grants is None:
            return self.all()
        return [
            provided for provided in self.all() if provided.method in ABOUT_ONESELF or grants.mentions(provided.method)
        ]

    def lends(self, grants: GrantSet) -> bool:
        """Whether a run with these grants may have others work for it in its scratch folder."""
        owners = (self._owners.get(provided.method) for provided in self.visible(grants))
        return any(owner is not None and owner.package.manifest.confinement.scratch == "caller" for owner in owners)

    def described(self, grants: GrantSet | None, method: str, hand: str) -> list[dict[str, object]]:
        """Rows of what is visible: one method, or all of a Hand's, or all."""
        return [
            {
                **{field: getattr(provided, field) for field in provided.__struct_fields__},
                "provider": self.owner(provided.method),
            }
            for provided in self.visible(grants)
            if method in ("", provided.method) and (not hand or provided.method.startswith(f"{hand}."))
        ]

    def all(self) -> list[Provided]:
        """Every method, by name."""
        return sorted([*self._offered.values(), *self._own.values()], key=lambda provided: provided.method)
