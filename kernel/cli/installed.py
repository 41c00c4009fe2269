"""What is installed, as the kernel tells it (acts): every Hand in a row, and one in full."""

from msgspec import Struct

from kernel.cli import replies, spending
from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from manifests.installed import Artefact, effective_provides
from manifests.schema import Capability, Manifest, Provided


class _Package(Struct, frozen=True):
    seal: str
    manifest: Manifest


class Installed(Struct, frozen=True):
    """A Hand as kernel.show tells it."""

    id: str
    name: str
    version: str
    folder: str
    package: _Package
    as_declared: bool
    artefact: Artefact | None = None

    @property
    def offered(self) -> dict[str, Provided]:
        """The methods that it offers, as they were agreed to."""
        return effective_provides(self.package.manifest, as_declared=self.as_declared)


class Shown(Struct, frozen=True, kw_only=True):
    """kernel.show. secrets: the file in keys/ with its secret settings; "" where an older kernel does not tell."""

    hand: Installed
    state: str
    grants: tuple[Capability, ...]
    settings: dict[str, object]
    budget: tuple[spending.Room, ...]
    spent: spending.Spent
    confinement: tuple[str, ...]
    lacking: tuple[str, ...]
    secrets: str = ""


def rows(client: Client) -> tuple[replies.Row, ...]:
    """Every installed Hand."""
    return replies.read(client.call("kernel.hands").value, replies.Rows).hands


def ids(client: Client) -> dict[str, str]:
    """The names of all that are installed, by their ids."""
    return {_id_of(client, row): row.name for row in rows(client)}


def _id_of(client: Client, row: replies.Row) -> str:
    """A Hand's id; "" for one that was removed since its row was told."""
    try:
        return row.id or shown(client, row.name).hand.id
    except NotDone as error:
        if error.reason != "unknown hand":
            raise
        return ""


def shown(client: Client, name: str) -> Shown:
    """One in full. Raises NotDone when it is not installed."""
    return replies.read(client.call("kernel.show", name).value, Shown)


def find(client: Client, name: str) -> Installed | None:
    """One as it is installed, None when it is not."""
    return shown(client, name).hand if name in {row.name for row in rows(client)} else None
