"""What a server of the Model Context Protocol offers (pure): as its Hand tells it, and as the operator agreed to it.

The names of a server, its texts and its schemas are its author's own: nothing here believes them. What was agreed is
kept as a digest of each tool's name, description and schemas, so that one which the server changes later is another.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from wire.errors import ManipleError

FILE: Final = "mcp.json"
"""The file of the Hand's folder that holds what was agreed; sealed as every other."""

STATE: Final = "{state}"
"""In a variable of the program, and in its words: the folder that it keeps from one run to the next."""

CERTIFICATES: Final = "certificates.pem"
"""The file of the Hand's folder that holds those that are trusted at its URL, where these are not the system's."""

_T = TypeVar("_T", bound=Struct)

MOST_TOOLS: Final = 2_000
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of an offer."""

TASK_ONLY: Final = "the server runs it only as a task, which Maniple does not support"
"""Why a tool with `is_task_only` cannot be called."""


class OfferInvalid(ManipleError):
    """What a server offers cannot be read, or no Hand can be made of it. The text says why, and what to do."""


class Tool(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One tool, as the server describes it. hints: what it says of its own effects, which nobody believes.

    is_task_only: the server runs it only as a task of MCP 2025-11-25 (`taskSupport` is `required`), which Maniple does not.
    """

    name: str
    description: str = ""
    input_schema: dict[str, object] = {}
    output_schema: dict[str, object] | None = None
    hints: dict[str, object] = {}
    is_task_only: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 in hex of all that a caller goes by."""
        agreed = (self.name, self.description, self.input_schema, self.output_schema)
        return sha256(msgspec.json.encode(agreed, order="deterministic")).hexdigest()


class Offer(Struct, frozen=True, kw_only=True):
    """All of a server's tools, and whether it has resources and prompts. protocol: the version that was agreed on."""

    server: str = ""
    version: str = ""
    protocol: str = ""
    tools: tuple[Tool, ...] = ()
    resources: bool = False
    prompts: bool = False


class Agreed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool that the operator agreed to. params: the Hand's param → the tool's; "" stands for all arguments at once."""

    tool: str
    digest: str
    params: dict[str, str] = {}


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How its Hand may log in to a server elsewhere.

    client: what the Hand is there, a name or its document's URL; "" for one that is to be registered. proof: the secret
    setting that proves it, "" for none. issuer: the authorization server that knows this client. is_alone: it logs in by
    that proof, without a person.
    """

    client: str = ""
    proof: Literal["", "client_secret", "client_key"] = ""
    issuer: str = ""
    is_alone: bool = False


class Agreement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the Hand's run goes by. url: where the server is, "" for a program. tools: by the Hand's method.

    plain: variables of the program that are no secrets. environment: variable of the program, or header of requests to the
    url, → the setting that holds it. certificates: the system's file of those that are trusted at the url, "" when they lie
    in CERTIFICATES. login: None where it logs in nowhere.
    """

    url: str = ""
    certificates: str = ""
    tools: dict[str, Agreed] = {}
    plain: dict[str, str] = {}
    environment: dict[str, str] = {}
    login: Login | None = None


def read_offer(raw: bytes) -> Offer:
    """An offer that was told as JSON. Raises OfferInvalid."""
    offer = _read(raw, Offer)
    if len(offer.tools) > MOST_TOOLS:
        raise OfferInvalid(f"it offers {len(offer.tools):,} tools, and {MOST_TOOLS:,} are the most")
    return offer


def read_agreement(raw: bytes) -> Agreement:
    """The content of FILE. Raises OfferInvalid."""
    return _read(raw, Agreement)


def written(what: Offer | Agreement) -> bytes:
    """As JSON."""
    return msgspec.json.encode(what)


def changed(agreed: Agreement, offered: Mapping[str, Tool]) -> dict[str, str]:
    """By method, why a tool that was agreed to is not to be called any more."""
    found: dict[str, str] = {}
    for method, one in agreed.tools.items():
        tool = offered.get(one.tool)
        if tool is None:
            found[method] = "the server does not offer this tool any more"
        elif tool.digest != one.digest:
            found[method] = "the server has changed this tool's description or schema since it was added"
        elif tool.is_task_only:
            found[method] = TASK_ONLY
    return found


def _read(raw: bytes, of_type: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=of_type)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise OfferInvalid(f"it cannot be read: {error}") from None
