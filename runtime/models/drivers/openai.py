"""The driver `openai`: the API of OpenAI, which many other services speak too, through OpenAI's SDK (acts: connects).

As in anthropic.py, the SDK's types of answers are not used: events come as JSON. openai_out.py acts on the services' quirks;
openai_in.py reads the variants of their answers.
"""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final

import msgspec
import openai as sdk
from msgspec import Struct

from runtime.models import counting
from runtime.models.drivers import Endpoint, openai_out, transport
from runtime.models.drivers.answers import parse_count
from runtime.models.drivers.openai_in import OpenAIReader, parse_usage
from runtime.models.drivers.reading import ask, stream_pieces
from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, AnyPiece, Embedded, Listed, Request, Usage

ADDRESS: Final = "https://api.openai.com/v1"


class _Vector(Struct, frozen=True):
    embedding: tuple[float, ...]
    index: int | None = None


class _Vectors(Struct, frozen=True):
    data: list[_Vector]
    usage: object = None


class _Served(Struct, frozen=True):
    n_ctx: object = None
    n_ctx_train: object = None


class _Offered(Struct, frozen=True):
    """A model, with the fields in which services report its window."""

    id: str
    context_length: object = None
    context_window: object = None
    max_context_length: object = None
    max_model_len: object = None
    meta: _Served | None = None


class _Models(Struct, frozen=True):
    data: list[_Offered] | None = None


class OpenAI:
    """See drivers/__init__.py for the interface."""

    counts = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._quirks = frozenset(endpoint.quirks)
        self._client = sdk.AsyncOpenAI(
            api_key=endpoint.key or "none",
            base_url=endpoint.base_url or ADDRESS,
            max_retries=0,
            timeout=None,
            http_client=transport.client(endpoint),
        )
        self._client._platform = "Unknown"  # else the SDK runs `uname -p`, in a thread, for a header that is not sent

    async def stream(self, model: str, request: Request) -> AsyncIterator[AnyPiece | Answer]:
        """Yield pieces, then the Answer."""
        provider = self._endpoint.provider
        body = openai_out.stream_body(provider, model, request, self._quirks)

        opening = partial(
            self._client.post,
            "/chat/completions",
            cast_to=object,
            body=body,
            options={"headers": transport.STREAMED},
            stream=True,
            stream_cls=sdk.AsyncStream[object],
        )
        reader = OpenAIReader(provider, model, request)
        async with aclosing(stream_pieces(self._endpoint, sdk.OpenAIError, opening, reader)) as pieces:
            async for piece in pieces:
                yield piece

    async def embed(self, model: str, texts: Sequence[str]) -> Embedded:
        """Return one vector for each text, all of one length."""
        provider = self._endpoint.provider
        if not texts:
            return Embedded(vectors=(), model=f"{provider}/{model}")
        body = {"model": model, "input": list(texts)}
        call = partial(self._client.post, "/embeddings", cast_to=object, body=body)
        made = await ask(self._endpoint, sdk.OpenAIError, call, _Vectors)
        placed = {place if one.index is None else one.index: one.embedding for place, one in enumerate(made.data)}
        vectors = tuple(vector for _, vector in sorted(placed.items()))
        if len(vectors) != len(texts) or len({len(one) for one in vectors}) != 1 or not vectors[0]:
            why = f"{provider} answered {len(texts)} texts with {len(vectors)} vectors, or with ones of several lengths"
            raise ModelFailed("malformed", why, provider=provider)
        if not all(math.isfinite(number) for one in vectors for number in one):
            raise ModelFailed(
                "malformed", f"{provider} sent a vector with a number that is not finite", provider=provider
            )
        counted = Usage(input=sum(map(counting.of_text, texts)), estimated=True)
        if (reported := parse_usage(made.usage, needs_output=False)) is not None:
            counted = msgspec.structs.replace(reported, output=0)
        return Embedded(vectors=vectors, model=f"{provider}/{model}", usage=counted)

    async def list_models(self) -> tuple[Listed, ...]:
        """Return the models that the service lists, within `data` or as a bare list."""

        async def call() -> object:
            found = await self._client.get("/models", cast_to=object)
            return {"data": found} if isinstance(found, list) else found

        models = await ask(self._endpoint, sdk.OpenAIError, call, _Models)
        return tuple(Listed(id=one.id.removeprefix("models/"), window=_window(one)) for one in models.data or ())

    async def count(self, model: str, request: Request) -> int | None:
        """Return None: this API counts no tokens beforehand."""
        return None

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def _window(one: _Offered) -> int:
    meta = one.meta or _Served()
    reported = (
        one.context_length,
        one.context_window,
        one.max_context_length,
        one.max_model_len,
        meta.n_ctx,
        meta.n_ctx_train,
    )
    return next((number for one in reported if (number := parse_count(one)) is not None and number > 0), 0)
