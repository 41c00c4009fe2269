"""The offer of an MCP server: as its Hand reports it, and as the operator agreed to it (pure).

A server's names, texts and schemas are untrusted. The agreement stores a digest of each tool's name, description and
schemas, so that a tool that the server changes later counts as another tool.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from wire.errors import ManipleError

FILE: Final = "mcp.json"
"""The file in the Hand's folder with the agreement; sealed like all its files."""

STATE: Final = "{state}"
"""In variables and arguments of the program, stands for its folder that outlives the run."""

CERTIFICATES: Final = "certificates.pem"
"""The file in the Hand's folder with certificate authorities for its URL, if they are not the system's."""

_T = TypeVar("_T", bound=Struct)

MOST_TOOLS: Final = 2_000
LARGEST: Final = 8 * 1024 * 1024
"""The most bytes of an offer."""

TASK_ONLY: Final = "the server runs it only as a task, which Maniple does not support"
"""Why a tool with `is_task_only` cannot be called."""


class OfferInvalid(ManipleError):
    """An offer is malformed, or cannot become a Hand. The text says why, and what to do."""


class Tool(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One tool, as the server describes it. hints: the server's claims about its effects, not trusted.

    is_task_only: it runs only as a task of MCP 2025-11-25 (`taskSupport` is `required`), which Maniple does not support.
    """

    name: str
    description: str = ""
    input_schema: dict[str, object] = {}
    output_schema: dict[str, object] | None = None
    hints: dict[str, object] = {}
    is_task_only: bool = False

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of all that callers rely on."""
        agreed = (self.name, self.description, self.input_schema, self.output_schema)
        return sha256(msgspec.json.encode(agreed, order="deterministic")).hexdigest()


class Offer(Struct, frozen=True, kw_only=True):
    """All of a server's tools, and whether it has resources and prompts. protocol: the negotiated version."""

    server: str = ""
    version: str = ""
    protocol: str = ""
    tools: tuple[Tool, ...] = ()
    resources: bool = False
    prompts: bool = False


class Agreed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tool that the operator agreed to. params: the Hand's param → the tool's; "" for all arguments at once."""

    tool: str
    digest: str
    params: dict[str, str] = {}


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the Hand may log in to a remote server.

    client: its client id, a name or its document's URL; "" to register one. proof: the secret setting with its credential,
    "" for none. issuer: the authorization server that knows this client. is_alone: it logs in with that credential, without
    a person.
    """

    client: str = ""
    proof: Literal["", "client_secret", "client_key"] = ""
    issuer: str = ""
    is_alone: bool = False


class Agreement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of FILE. url: of the server, "" for a program. tools: by the Hand's method.

    plain: variables of the program that are not secret. environment: variable of the program, or header of requests to the
    url, → the setting with its value. certificates: the system's file of certificate authorities for the url, "" if they are
    in CERTIFICATES. login: None if it needs none.
    """

    url: str = ""
    certificates: str = ""
    tools: dict[str, Agreed] = {}
    plain: dict[str, str] = {}
    environment: dict[str, str] = {}
    login: Login | None = None


def read_offer(raw: bytes) -> Offer:
    """Decode an offer from JSON. Raises OfferInvalid."""
    offer = _read(raw, Offer)
    if len(offer.tools) > MOST_TOOLS:
        raise OfferInvalid(f"it offers {len(offer.tools):,} tools, and {MOST_TOOLS:,} are the most")
    return offer


def read_agreement(raw: bytes) -> Agreement:
    """Decode the content of FILE. Raises OfferInvalid."""
    return _read(raw, Agreement)


def encode(what: Offer | Agreement) -> bytes:
    """Encode an offer or agreement as JSON."""
    return msgspec.json.encode(what)


def changed_tools(agreed: Agreement, offered: Mapping[str, Tool]) -> dict[str, str]:
    """Return, by method, why a tool that was agreed to must not be called any more."""
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
