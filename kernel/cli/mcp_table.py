"""The table of common MCP servers (values): how each is added by its name alone, and the source for that.

The operator installs a server's program beforehand: so what runs is what was installed, and no server needs a network to
start. A server at a URL that needs a key gets it in the header Authorization, as its service says (mostly "Bearer KEY").
One that needs a login (OAuth) is added without its tools, until `maniple mcp login`; some accept only clients registered
with them beforehand. Sources: the server's own repository, or the page that names its URL, as it was read. None of the
URLs was called when this was written.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

OFFICIAL: Final = "https://github.com/modelcontextprotocol/servers"
LIST: Final = (
    "https://github.com/jaw9c/awesome-remote-mcp-servers/blob/00f1b52505c8c9f1fd7e7176c14494f7d18de977/README.md"
)
PLUGINS: Final = (
    "https://github.com/anthropics/knowledge-work-plugins/blob/455f536b5e4b3b856d011d3c0bf4402e928bc1cc/product-management/"
    ".mcp.json"
)
CLOUDFLARE: Final = (
    "https://github.com/cloudflare/mcp-server-cloudflare/blob/002c7dff7a4f431e0e02c7232fef4b2ea4928c46/README.md"
)
GITHUB: Final = (
    "https://github.com/github/github-mcp-server/blob/01cdd0547323395729757403ac207d2ae881642c/docs/remote-server.md"
)
SENTRY: Final = "https://github.com/getsentry/sentry-docs/blob/10fe13a4aa6ac7dfefbe2c599e27acb6556f43ee/docs/product/sentry-mcp/index.mdx"
LEARN: Final = "https://learn.microsoft.com/training/support/mcp-developer-reference"
CONTEXT7: Final = "https://github.com/upstash/context7/blob/0034839bbc2985bcf4163588f0ed686fc653a680/README.md"
DEEPWIKI: Final = "https://docs.devin.ai/zh/work-with-devin/deepwiki-mcp"
GIT: Final = (
    "https://github.com/modelcontextprotocol/servers/blob/0018339da5e4491ad4edde2bdf2e4d76ad308507/src/git/README.md"
)
FILESYSTEM: Final = "https://github.com/modelcontextprotocol/servers/blob/01c9e793f52a0b675affbe8ce813248e6e26d7b4/src/filesystem/README.md"
FIRST: Final = "2026-11-26"
READ_ON: Final = {
    **dict.fromkeys((PLUGINS, CLOUDFLARE, GITHUB, SENTRY), "2026-11-28"),
    **dict.fromkeys((CONTEXT7, DEEPWIKI, GIT, FILESYSTEM), "2026-11-29"),
}
"""The day on which each source was read; FIRST for all others."""

FOLDERS: Final = "{read}"
"""The word of a program that stands for the folders of --read."""

_KEY: Final = ("Authorization",)


class Known(Struct, frozen=True, kw_only=True):
    """One server. server: the words after NAME. set, secret, connect: values of these options.

    install: the command that installs its program. login: whether it needs `maniple mcp login`. reads: whether it needs
    a --read.
    """

    what: str
    server: tuple[str, ...]
    source: str
    set: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    connect: tuple[str, ...] = ()
    install: str = ""
    login: bool = False
    reads: bool = False

    def words(self, folders: Sequence[str]) -> tuple[str, ...]:
        """Return its words, with these folders in the place of FOLDERS."""
        return tuple(word for one in self.server for word in (folders if one == FOLDERS else (one,)))

    @property
    def read(self) -> str:
        """The day on which its source was read."""
        return READ_ON.get(self.source, FIRST)


def _program(what: str, program: str, install: str, *, set_: tuple[str, ...] = ()) -> Known:
    return Known(what=what, server=(program,), install=install, set=set_, source=OFFICIAL)


def _at(what: str, url: str, *, source: str = LIST, secret: tuple[str, ...] = ()) -> Known:
    return Known(what=what, server=(url,), source=source, secret=secret)


def _with_login(what: str, url: str, *, source: str = LIST) -> Known:
    """A server that needs a login."""
    return Known(what=what, server=(url,), source=source, login=True)


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
    "filesystem": Known(
        what="Files in the folders of --read",
        server=("mcp-server-filesystem", FOLDERS),
        install="npm install -g @modelcontextprotocol/server-filesystem",
        source=FILESYSTEM,
        reads=True,
    ),
    "git": Known(
        what="The history of repositories in the folders of --read",
        server=("mcp-server-git",),
        install="pip install mcp-server-git",
        source=GIT,
        reads=True,
        set=("GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"),
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
    "asana": _with_login("Tasks and projects in Asana", "https://mcp.asana.com/v2/mcp", source=PLUGINS),
    "astro-docs": _at("Astro's documentation", "https://mcp.docs.astro.build/mcp"),
    "atlassian": _with_login("Jira and Confluence", "https://mcp.atlassian.com/v1/mcp", source=PLUGINS),
    "attio": _with_login("Customers and deals in Attio", "https://mcp.attio.com/mcp"),
    "aws-knowledge": _at("AWS's documentation and announcements", "https://knowledge-mcp.global.api.aws"),
    "buildkite": _with_login("Builds and their logs in Buildkite", "https://mcp.buildkite.com/mcp"),
    "canva": _with_login("Designs in Canva", "https://mcp.canva.com/mcp"),
    "clickup": _with_login("Tasks and documents in ClickUp", "https://mcp.clickup.com/mcp", source=PLUGINS),
    "close": _at("Leads and calls in Close", "https://mcp.close.com/mcp", secret=_KEY),
    "cloudflare": _with_login("An account at Cloudflare", "https://mcp.cloudflare.com/mcp", source=CLOUDFLARE),
    "cloudflare-docs": _at("Cloudflare's documentation", "https://docs.mcp.cloudflare.com/mcp", source=CLOUDFLARE),
    "context-awesome": _at("The awesome lists, searched", "https://www.context-awesome.com/api/mcp"),
    "context7": _at("Documentation of libraries, by Context7", "https://mcp.context7.com/mcp", source=CONTEXT7),
    "cortex": _at("Services and scorecards in Cortex", "https://mcp.cortex.io/mcp", secret=_KEY),
    "dappier": _at("Licensed content, searched by Dappier", "https://mcp.dappier.com/mcp", secret=_KEY),
    "deepwiki": _at("What repositories on GitHub are about", "https://mcp.deepwiki.com/mcp", source=DEEPWIKI),
    "exa": _at("Web search by Exa", "https://mcp.exa.ai/mcp"),
    "figma": _with_login("Designs in Figma", "https://mcp.figma.com/mcp", source=PLUGINS),
    "find-a-domain": _at("Which domain names are free", "https://api.findadomain.dev/mcp"),
    "github": _at(
        "Repositories, issues and pull requests on GitHub",
        "https://api.githubcopilot.com/mcp/",
        source=GITHUB,
        secret=_KEY,
    ),
    "gitmcp": _at("The documentation of repositories on GitHub", "https://gitmcp.io/docs"),
    "hugging-face": _at("Models, data sets and papers on Hugging Face", "https://hf.co/mcp"),
    "intercom": _with_login("Conversations with customers in Intercom", "https://mcp.intercom.com/mcp", source=PLUGINS),
    "linear": _with_login("Issues and projects in Linear", "https://mcp.linear.app/mcp", source=PLUGINS),
    "malware-patrol": _at("Threat intelligence by Malware Patrol", "https://mcp.malwarepatrol.net/v1", secret=_KEY),
    "mercado-libre": _at(
        "Mercado Libre's documentation for developers", "https://mcp.mercadolibre.com/mcp", secret=_KEY
    ),
    "mercado-pago": _at("Mercado Pago's documentation and payments", "https://mcp.mercadopago.com/mcp", secret=_KEY),
    "microsoft-learn": _at("Microsoft's documentation", "https://learn.microsoft.com/api/mcp", source=LEARN),
    "monday": _with_login("Boards and items in monday.com", "https://mcp.monday.com/mcp", source=PLUGINS),
    "needle": _at("Search in one's own documents at Needle", "https://mcp.needle-ai.com/mcp", secret=_KEY),
    "neon": _with_login("Databases at Neon", "https://mcp.neon.tech/mcp"),
    "netlify": _with_login("Sites at Netlify", "https://netlify-mcp.netlify.app/mcp"),
    "notion": _with_login("Pages and databases in Notion", "https://mcp.notion.com/mcp", source=PLUGINS),
    "openmesh": _at("Services for agents, found by OpenMesh", "https://api.openmesh.dev/mcp"),
    "openzeppelin-cairo": _at("OpenZeppelin's contracts in Cairo", "https://mcp.openzeppelin.com/contracts/cairo/mcp"),
    "openzeppelin-solidity": _at(
        "OpenZeppelin's contracts in Solidity", "https://mcp.openzeppelin.com/contracts/solidity/mcp"
    ),
    "searchapi": _at("Results of search engines by SearchAPI", "https://www.searchapi.io/mcp", secret=_KEY),
    "sentry": _with_login("Errors and issues in Sentry", "https://mcp.sentry.dev/mcp", source=SENTRY),
    "short-io": _at("Short links at Short.io", "https://ai-assistant.short.io/mcp", secret=_KEY),
    "slack": _with_login("Channels and messages in Slack", "https://mcp.slack.com/mcp", source=PLUGINS),
    "stack-overflow": _with_login("Questions and answers on Stack Overflow", "https://mcp.stackoverflow.com"),
    "stripe": _at("Payments at Stripe", "https://mcp.stripe.com/", secret=_KEY),
    "supabase": _with_login("Databases and projects at Supabase", "https://mcp.supabase.com/mcp"),
    "telnyx": _at("Calls and messages by Telnyx", "https://api.telnyx.com/v2/mcp", secret=_KEY),
    "vercel": _with_login("Deployments at Vercel", "https://mcp.vercel.com/"),
    "zip1": _at("Short links at zip1.io", "https://zip1.io/mcp"),
}
