"""Asks the kernel for installed Hands (acts): all of them as rows, or one in full."""

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
    """An installed Hand, as in the reply of kernel.show."""

    id: str
    name: str
    version: str
    folder: str
    package: _Package
    as_declared: bool
    artefact: Artefact | None = None

    @property
    def offered(self) -> dict[str, Provided]:
        """Its methods, with the effects that were agreed to at the install."""
        return effective_provides(self.package.manifest, as_declared=self.as_declared)


class HandDetails(Struct, frozen=True, kw_only=True):
    """The reply of kernel.show. secrets: the file in keys/ with its secret settings; "" from an older kernel."""

    hand: Installed
    state: str
    grants: tuple[Capability, ...]
    settings: dict[str, object]
    budget: tuple[spending.Allowance, ...]
    spent: spending.Spent
    confinement: tuple[str, ...]
    lacking: tuple[str, ...]
    secrets: str = ""


def list_hands(client: Client) -> tuple[replies.HandRow, ...]:
    """Fetch a row for each installed Hand."""
    return replies.read(client.call("kernel.hands").value, replies.Hands).hands


def names_by_id(client: Client) -> dict[str, str]:
    """Fetch the ids of all installed Hands, each with its name."""
    return {_id_of(client, row): row.name for row in list_hands(client)}


def _id_of(client: Client, row: replies.HandRow) -> str:
    """A Hand's id; "" if it was removed after its row was fetched."""
    try:
        return row.id or fetch_details(client, row.name).hand.id
    except NotDone as error:
        if error.reason != "unknown hand":
            raise
        return ""


def fetch_details(client: Client, name: str) -> HandDetails:
    """Fetch one Hand in full. Raises NotDone if it is not installed."""
    return replies.read(client.call("kernel.show", name).value, HandDetails)


def find(client: Client, name: str) -> Installed | None:
    """Fetch one Hand; None if it is not installed."""
    return fetch_details(client, name).hand if name in {row.name for row in list_hands(client)} else None
