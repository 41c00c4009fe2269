"""The types of the catalogue's rows: of providers.toml and of listed/NAME.toml (pure). catalogue.py reads the files.

A price is an integer of micro-dollars per million tokens: $3.75 is 3_750_000. It is None if the provider publishes none: an
unknown price is never taken for 0, which is a price too (a local server's).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

Price = Annotated[int, Meta(ge=0, le=10**12)]
Window = Annotated[int, Meta(ge=0, le=10**9)]
Modality = Literal["text", "image", "audio", "video", "pdf"]
Quirk = Literal[
    "max_tokens", "no_forced_choice", "no_json_schema", "no_parallel_tool_calls", "no_stream_options", "no_tool_choice",
    "no_tools", "no_user_after_tool", "short_ids", "thinking_back",
]  # fmt: skip
"""How a service differs from OpenAI's own chat API; the openai driver acts on each.

max_tokens: the answer's bound has this name; `max_completion_tokens` is refused or ignored. no_forced_choice:
`tool_choice` may only be `auto` or `none`; no_tool_choice: it may not be sent at all. no_json_schema: `response_format`
may be `json_object` at most; the schema goes into the prompt, which must have the word JSON. no_parallel_tool_calls,
no_stream_options, no_tools: these may not be sent. no_user_after_tool: after results of tools the assistant speaks before
the user. short_ids: a call's id has nine letters or digits. Both also hold for Mistral's models at other services, which
take over its checks. thinking_back: the thinking of an answer that called tools is sent
back with it, as `reasoning_content`.
"""


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of providers.toml.

    driver: a row of drivers.DRIVERS. base_url: "" if the driver knows its own. key: the environment variable that its
    documentation names for its key, "" if it takes none. local: a server on this machine, which may be absent and may need
    no key. also: other addresses a local one may have. quirks: see Quirk; quirk_sources: the pages that document them.
    source, date: the page that this was read from, and the day (YYYY-MM-DD).
    """

    name: str
    title: str
    driver: Literal["anthropic", "openai", "offline", "scripted"]
    base_url: str = ""
    also: tuple[str, ...] = ()
    key: str = ""
    local: bool = False
    quirks: tuple[Quirk, ...] = ()
    quirk_sources: tuple[str, ...] = ()
    source: str
    date: str


class Long(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of all tokens of a request whose prompt, cached or not, has more than `above` tokens. Fields as in Model."""

    above: Window
    input_price: Price
    output_price: Price
    cached_price: Price | None = None
    cache_written_price: Price | None = None


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of listed/NAME.toml, where NAME is its provider. aliases: other ids that the provider has for it.

    window: tokens of prompt and answer together. output: the most tokens of an answer, 0 if not published or not less than
    the window. Prices: see above; tokens of the cache without a price cost what other input does. long: prices for long
    prompts. takes: what it reads. tools, schema, thinking, caching: what it can do. dimension: numbers of a vector of an
    embedding model, else 0. source, date: as in Provider. records: names, in providers.toml, of the public price lists that
    this row was read from and compared with.
    """

    provider: str
    id: str
    aliases: tuple[str, ...] = ()
    kind: Literal["chat", "embedding"] = "chat"
    window: Window = 0
    output: Window = 0
    input_price: Price | None = None
    output_price: Price | None = None
    cached_price: Price | None = None
    cache_written_price: Price | None = None
    long: Long | None = None
    takes: tuple[Modality, ...] = ("text",)
    tools: bool = False
    schema: bool = False
    thinking: bool = False
    caching: bool = False
    dimension: Window = 0
    source: str
    date: str
    records: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """PROVIDER/MODEL."""
        return f"{self.provider}/{self.id}"

    def priced(self, prompt: int) -> "Model":
        """Return this row with the prices for a request whose prompt, cached or not, has `prompt` tokens."""
        if self.long is None or prompt <= self.long.above:
            return self
        return replace(
            self,
            input_price=self.long.input_price,
            output_price=self.long.output_price,
            cached_price=self.long.cached_price,
            cache_written_price=self.long.cache_written_price,
        )
