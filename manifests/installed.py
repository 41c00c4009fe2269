"""One installed Hand: what was shown and agreed at its install, and what its folder held (pure)."""

from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from manifests.schema import Manifest, Provided
from wire.ids import HandId


class Package(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an installed folder holds: its seal's text, its checked manifest, and the SHA-256 of that in hex."""

    seal: str
    manifest: Manifest
    digest: str


class Artefact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A WASM Hand's module as native code. key: its name below `compiled/` of the home, the SHA-256 of what it was made
    from (module, wasmtime's version and settings); digest: SHA-256 of itself.
    """

    key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Installed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One installed Hand. folder: its name below `hands/` of the home. number: counts installs, never reused.

    seal: SHA-256 in hex of its seal's text, as the log says; the package is what the folder held when it was read.
    as_declared: the operator believes a program what its methods do. since: when its [schedule] became what it is,
    microseconds since the epoch, 0 without one. by: the ids of the keys that sealed it, whatever its folder holds now; none
    where an older Maniple installed it.
    """

    id: HandId
    name: str
    version: str
    folder: str
    number: int
    seal: str
    package: Package
    as_declared: bool = False
    artefact: Artefact | None = None
    since: int = 0
    by: tuple[str, ...] = ()

    @property
    def provides(self) -> dict[str, Provided]:
        """Its methods, as was shown at install."""
        return pinned(self.package.manifest, as_declared=self.as_declared)

    @property
    def is_task(self) -> bool:
        """Whether each piece of its work has a run of its own; a service stays up instead."""
        return self.package.manifest.hand.kind == "task"

    @property
    def named(self) -> dict[str, object]:
        """Which Hand an entry is about."""
        return {"hand": self.id, "name": self.name}

    @property
    def begun(self) -> dict[str, object]:
        """What an entry says of the Hand whose run begins."""
        seal = sha256(self.package.seal.encode()).hexdigest()
        return {**self.named, "version": self.version, "kind": self.package.manifest.hand.kind, "seal": seal}


def pinned(manifest: Manifest, *, as_declared: bool) -> dict[str, Provided]:
    """What a Hand offers, with its effects: a program's act beyond this machine, whatever it declares of itself."""
    if as_declared or not manifest.hand.command:
        return manifest.provides
    return {name: replace(one, effect="external") for name, one in manifest.provides.items()}
