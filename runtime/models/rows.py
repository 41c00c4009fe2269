"""A provider and a model as the catalogue has them: the types of the rows of providers.toml and listed/NAME.toml (pure).

`catalogue.py` reads the files: `providers()` by name, `models()` by PROVIDER/MODEL. A price is in micro-dollars for a
million tokens, an integer: $3.75 is 3_750_000. None where a provider publishes none: what is not known is never taken for 0,
and a price of 0 is one (a local server's).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

Price = Annotated[int, Meta(ge=0, le=10**12)]
Window = Annotated[int, Meta(ge=0, le=10**9)]
Modality = Literal["text", "image", "audio", "video", "pdf"]
Quirk = Literal[
    "max_tokens", "no_forced_choice", "no_json_schema", "no_parallel_tool_calls", "no_stream_options", "no_tool_choice",
    "no_tools", "thinking_back",
]  # fmt: skip
"""How a service differs from OpenAI's own chat API; the openai driver acts on each.

max_tokens: the longest answer is asked for by this name, `max_completion_tokens` is refused or not read.
no_forced_choice: of `tool_choice` only `auto` and `none` may be sent; no_tool_choice: it may not be sent at all.
no_json_schema: `response_format` may be `json_object` at most; the schema goes into the prompt, and so must the word JSON.
no_parallel_tool_calls, no_stream_options, no_tools: these may not be sent.
thinking_back: the thinking of an answer that called tools goes back with it, as `reasoning_content`.
"""


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of providers.toml.

    driver: a row of drivers.DRIVERS. base_url: "" where the driver knows its own. key: the environment variable that its
    documentation names, "" where it takes none. local: a server on this machine, which is asked whether it is there, and
    may be asked without a key. also: where else a local one may be. quirks: words that its driver knows; quirk_sources:
    the pages that tell of them. source, date: where this was read, and when (YYYY-MM-DD).
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
    """What every token of a request costs whose prompt, cached or not, has more than `above` tokens. Prices as in Model."""

    above: Window
    input_price: Price
    output_price: Price
    cached_price: Price | None = None
    cache_written_price: Price | None = None


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of listed/NAME.toml, NAME being its provider. aliases: other ids of it at that provider.

    window: tokens it takes in all, question and answer. output: tokens it makes at most, 0 where not published, or not less
    than the window. input, output_price and the two of the cache: see Price; where one of the cache is None, those tokens
    cost what other input does. long: other prices, of long prompts. takes: what it reads. tools, schema, thinking, caching:
    what it can. dimension: of an embedding model, numbers of a vector, else 0. source, date: as of Provider. records: the
    public price lists that this row was read from and compared with, by their names in providers.toml.
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
        """This row with the prices that hold for a request whose prompt, cached or not, has so many tokens."""
        if self.long is None or prompt <= self.long.above:
            return self
        return replace(
            self,
            input_price=self.long.input_price,
            output_price=self.long.output_price,
            cached_price=self.long.cached_price,
            cache_written_price=self.long.cache_written_price,
        )
