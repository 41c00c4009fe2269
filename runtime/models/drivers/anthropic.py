"""The driver `anthropic`: Anthropic's Messages API, through its SDK (acts: connects).

The SDK speaks HTTP, knows the API's version and headers, and splits streams into events. Its about thousand types of answers
are not used: events come as JSON, and anthropic_in.py has the few types that are read.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final
from urllib.parse import quote

import anthropic as sdk
from msgspec import Struct

from runtime.models.drivers import Endpoint, anthropic_out, transport
from runtime.models.drivers.anthropic_in import AnthropicReader
from runtime.models.drivers.reading import ask, stream_pieces
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, AnyPiece, Embedded, Listed, Request

ADDRESS: Final = "https://api.anthropic.com"
PAGES: Final = 20
"""Pages of the list of models that are read, at most, of 1,000 models each."""


class _Offered(Struct, frozen=True):
    id: str
    max_input_tokens: int | None = None


class _Page(Struct, frozen=True):
    data: list[_Offered]
    has_more: bool = False
    last_id: str | None = None


class _Counted(Struct, frozen=True):
    input_tokens: int


class Anthropic:
    """See drivers/__init__.py for the interface."""

    counts = True

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = sdk.AsyncAnthropic(
            api_key=endpoint.key or "none",
            base_url=endpoint.base_url or ADDRESS,
            max_retries=0,
            timeout=None,
            open_telemetry=False,
            http_client=transport.client(endpoint),
        )
        self._client._platform = "Unknown"  # else the SDK starts a thread for a header that is not sent

    async def stream(self, model: str, request: Request) -> AsyncIterator[AnyPiece | Answer]:
        """Yield pieces, then the Answer."""
        provider = self._endpoint.provider
        body = anthropic_out.stream_body(provider, model, request)

        opening = partial(
            self._client.post,
            "/v1/messages",
            cast_to=object,
            body=body,
            options={"headers": transport.STREAMED},
            stream=True,
            stream_cls=sdk.AsyncStream[object],
        )
        reader = AnthropicReader(provider, model, request)
        async with aclosing(stream_pieces(self._endpoint, sdk.AnthropicError, opening, reader)) as pieces:
            async for piece in pieces:
                yield piece

    async def embed(self, model: str, texts: Sequence[str]) -> Embedded:
        """Raise ModelFailed: Anthropic offers no embeddings."""
        raise ModelFailed("unfit", f"{self._endpoint.provider} makes no embeddings", provider=self._endpoint.provider)

    async def list_models(self) -> tuple[Listed, ...]:
        """Return the models of the account."""
        found: list[Listed] = []
        after = ""
        for _ in range(PAGES):
            query = f"?limit=1000&after_id={quote(after, safe='')}" if after else "?limit=1000"
            call = partial(self._client.get, f"/v1/models{query}", cast_to=object)
            page = await ask(self._endpoint, sdk.AnthropicError, call, _Page)
            found += (Listed(id=one.id, window=max(0, one.max_input_tokens or 0)) for one in page.data)
            if not page.has_more or not page.last_id:
                break
            after = page.last_id
        return tuple(found)

    async def count(self, model: str, request: Request) -> int | None:
        """Return the tokens of the request, as Anthropic counts them."""
        body = anthropic_out.counted_body(self._endpoint.provider, model, request)
        call = partial(self._client.post, "/v1/messages/count_tokens", cast_to=object, body=body)
        return max(0, (await ask(self._endpoint, sdk.AnthropicError, call, _Counted)).input_tokens)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
