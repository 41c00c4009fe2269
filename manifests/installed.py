"""An installed Hand: what was agreed at its install, and the content of its folder (pure)."""

from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from manifests.schema import Manifest, Provided
from wire.ids import HandId


class Package(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of an installed folder: its seal's text, its checked manifest, and that file's SHA-256 in hex."""

    seal: str
    manifest: Manifest
    digest: str


class Artefact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A WASM Hand's module, compiled to native code. key: its name below `compiled/` of the home, the SHA-256 of its sources
    (module, wasmtime's version and settings); digest: the SHA-256 of the compiled file.
    """

    key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Installed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One installed Hand. folder: its name below `hands/` of the home. number: counts installs, never reused.

    seal: SHA-256 in hex of its seal's text, as logged at install; package: the folder's content when it was read.
    as_declared: the operator trusts a command's declared effects. since: when its present [schedule] was installed, in
    microseconds since the epoch, 0 without one. by: the ids of the keys that sealed it, whatever its folder contains now;
    empty if an older Maniple installed it.
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
        """Its methods, with the effects that were shown at install."""
        return effective_provides(self.package.manifest, as_declared=self.as_declared)

    @property
    def is_task(self) -> bool:
        """Whether it is a task, with a run for each piece of work; else it is a service."""
        return self.package.manifest.hand.kind == "task"

    @property
    def id_detail(self) -> dict[str, object]:
        """The detail that names the Hand in an entry."""
        return {"hand": self.id, "name": self.name}

    @property
    def start_detail(self) -> dict[str, object]:
        """The detail about the Hand in the `run.start` entry of a run."""
        seal = sha256(self.package.seal.encode()).hexdigest()
        return {**self.id_detail, "version": self.version, "kind": self.package.manifest.hand.kind, "seal": seal}


def effective_provides(manifest: Manifest, *, as_declared: bool) -> dict[str, Provided]:
    """Return a Hand's methods with their effects. Those of a command are external, whatever it declares, unless trusted."""
    if as_declared or not manifest.hand.command:
        return manifest.provides
    return {name: replace(one, effect="external") for name, one in manifest.provides.items()}
