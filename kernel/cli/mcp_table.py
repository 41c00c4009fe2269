"""The table of common servers (values): how each is added by its name alone, and where that is from.

Programs are installed before, once, by the operator: what runs then is what he installed, and no server needs a network to
start. Servers at a URL that the list says want a key are given one in the header Authorization, as its service says ("Bearer
KEY" mostly); those that want OAuth are not listed. Sources: the server's own repository, or the page that names its URL, as
it was read. None of the URLs was called when this was written.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

OFFICIAL: Final = "https://github.com/modelcontextprotocol/servers"
LIST: Final = (
    "https://github.com/jaw9c/awesome-remote-mcp-servers/blob/00f1b52505c8c9f1fd7e7176c14494f7d18de977/README.md"
)
LEARN: Final = "https://learn.microsoft.com/training/support/mcp-developer-reference"
READ_ON: Final = "2026-11-26"
"""The day on which all sources were read."""

_KEY: Final = ("Authorization",)


class Known(Struct, frozen=True, kw_only=True):
    """One server. server: what stands after NAME. set, secret, connect: as the options. install: what to type before."""

    what: str
    server: tuple[str, ...]
    source: str
    set: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    install: str = ""


def _program(what: str, program: str, install: str, *, set_: tuple[str, ...] = ()) -> Known:
    return Known(what=what, server=(program,), install=install, set=set_, source=OFFICIAL)


def _at(what: str, url: str, *, source: str = LIST, secret: tuple[str, ...] = ()) -> Known:
    return Known(what=what, server=(url,), source=source, secret=secret)


SERVERS: Final[Mapping[str, Known]] = {
    "everything": _program(
        "A server that shows all of the protocol, to try a client with",
        "mcp-server-everything",
        "npm install -g @modelcontextprotocol/server-everything",
    ),
    "memory": _program(
        "A knowledge graph that it keeps in a file",
        "mcp-server-memory",
        "npm install -g @modelcontextprotocol/server-memory",
        set_=("MEMORY_FILE_PATH={state}/memory.jsonl",),
    ),
    "sequential-thinking": _program(
        "Thinking in steps that can be taken back",
        "mcp-server-sequential-thinking",
        "npm install -g @modelcontextprotocol/server-sequential-thinking",
    ),
    "time": _program(
        "The time in every zone, and from one to another", "mcp-server-time", "pip install mcp-server-time"
    ),
    "apify": _at("Actors that take data out of web sites", "https://mcp.apify.com", secret=_KEY),
    "astro-docs": _at("Astro's documentation", "https://mcp.docs.astro.build/mcp"),
    "aws-knowledge": _at("AWS's documentation and announcements", "https://knowledge-mcp.global.api.aws"),
    "close": _at("Leads and calls in Close", "https://mcp.close.com/mcp", secret=_KEY),
    "context-awesome": _at("The awesome lists, searched", "https://www.context-awesome.com/api/mcp"),
    "cortex": _at("Services and scorecards in Cortex", "https://mcp.cortex.io/mcp", secret=_KEY),
    "dappier": _at("Licensed content, searched by Dappier", "https://mcp.dappier.com/mcp", secret=_KEY),
    "exa": _at("Web search by Exa", "https://mcp.exa.ai/mcp"),
    "find-a-domain": _at("Which domain names are free", "https://api.findadomain.dev/mcp"),
    "gitmcp": _at("The documentation of repositories on GitHub", "https://gitmcp.io/docs"),
    "hugging-face": _at("Models, data sets and papers on Hugging Face", "https://hf.co/mcp"),
    "malware-patrol": _at("Threat intelligence by Malware Patrol", "https://mcp.malwarepatrol.net/v1", secret=_KEY),
    "mercado-libre": _at(
        "Mercado Libre's documentation for developers", "https://mcp.mercadolibre.com/mcp", secret=_KEY
    ),
    "mercado-pago": _at("Mercado Pago's documentation and payments", "https://mcp.mercadopago.com/mcp", secret=_KEY),
    "microsoft-learn": _at("Microsoft's documentation", "https://learn.microsoft.com/api/mcp", source=LEARN),
    "needle": _at("Search in one's own documents at Needle", "https://mcp.needle-ai.com/mcp", secret=_KEY),
    "openmesh": _at("Services for agents, found by OpenMesh", "https://api.openmesh.dev/mcp"),
    "openzeppelin-cairo": _at("OpenZeppelin's contracts in Cairo", "https://mcp.openzeppelin.com/contracts/cairo/mcp"),
    "openzeppelin-solidity": _at(
        "OpenZeppelin's contracts in Solidity", "https://mcp.openzeppelin.com/contracts/solidity/mcp"
    ),
    "searchapi": _at("Results of search engines by SearchAPI", "https://www.searchapi.io/mcp", secret=_KEY),
    "short-io": _at("Short links at Short.io", "https://ai-assistant.short.io/mcp", secret=_KEY),
    "stripe": _at("Payments at Stripe", "https://mcp.stripe.com/", secret=_KEY),
    "telnyx": _at("Calls and messages by Telnyx", "https://api.telnyx.com/v2/mcp", secret=_KEY),
    "zip1": _at("Short links at zip1.io", "https://zip1.io/mcp"),
}
