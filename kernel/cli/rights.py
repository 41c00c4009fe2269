"""The type of kernel.home's reply (pure): grants and rules by Hand, roots, trusted keys."""

from msgspec import Struct

from manifests.schema import Capability
from manifests.standing_rules import Rule
from manifests.trust import TrustedKey


class Home(Struct, frozen=True, kw_only=True):
    """The reply of kernel.home."""

    grants: dict[str, tuple[Capability, ...]]
    roots: dict[str, str]
    keys: tuple[TrustedKey, ...]
    rules: dict[str, tuple[Rule, ...]] = {}
