"""A provider and a model as the catalogue has them: the types of the rows of providers.toml and catalogue.toml (pure).

`catalogue.py` reads the two files: `providers()` by name, `models()` by PROVIDER/MODEL. A price is in micro-dollars for a
million tokens, an integer: $3.75 is 3_750_000. None where a provider publishes none: what is not known is never taken for 0,
and a price of 0 is one (a local server's).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Price = Annotated[int, Meta(ge=0, le=10**12)]
Window = Annotated[int, Meta(ge=0, le=10**9)]
Modality = Literal["text", "image", "audio", "video", "pdf"]


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of providers.toml.

    driver: a row of drivers.DRIVERS. base_url: "" where the driver knows its own. key: the environment variable that its
    documentation names, "" where it takes none. local: a server on this machine, which is asked whether it is there. quirks:
    words that its driver knows. source, date: where this was read, and when (YYYY-MM-DD).
    """

    name: str
    title: str
    driver: Literal["anthropic", "openai", "offline", "scripted"]
    base_url: str = ""
    key: str = ""
    local: bool = False
    quirks: tuple[str, ...] = ()
    source: str
    date: str


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of catalogue.toml. window: tokens it takes in all; output: tokens it makes at most, 0 where not published.

    input, output_price and the two of the cache: see Price. takes: what it reads. tools, schema, thinking, caching: what it
    can. dimension: of an embedding model, numbers of a vector, else 0. source, date: as of Provider.
    """

    provider: str
    id: str
    window: Window = 0
    output: Window = 0
    input_price: Price | None = None
    output_price: Price | None = None
    cached_price: Price | None = None
    cache_written_price: Price | None = None
    takes: tuple[Modality, ...] = ("text",)
    tools: bool = False
    schema: bool = False
    thinking: bool = False
    caching: bool = False
    dimension: Window = 0
    source: str
    date: str

    @property
    def name(self) -> str:
        """PROVIDER/MODEL."""
        return f"{self.provider}/{self.id}"
