"""What a provider's refusal is taken for at its edges, and that a key comes no further than the transport, in no part."""

import asyncio

import pytest

from runtime.models.drivers import Endpoint, transport
from runtime.models.drivers.refusals import WRONG_KEY, parse_refusal
from tests.runtime.models.plays import KEY
from tests.runtime.models.stage import Play, head, stage, whole


def _said(text: str) -> object:
    return {"error": {"message": text}}


@pytest.mark.parametrize("status", [300, 302, 399])
def test_an_answer_that_leads_elsewhere_is_followed_nowhere(status: int) -> None:
    assert parse_refusal("openai", status, _said("see there")).code == "unconfigured"


def test_of_a_key_that_is_refused_nothing_is_told_that_the_provider_says() -> None:
    """It quotes what it was sent, shortened, or in another spelling."""
    failure = parse_refusal("openai", 401, _said("Incorrect API key provided: sk-1234****wxyz"), key=KEY)
    assert (failure.code, failure.text.endswith(f": {WRONG_KEY}")) == ("key", True)


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (429, "too many tokens per minute, your context window is not the matter", "limited"),
        (429, "your credit balance is too low", "funds"),
        (400, "too many tokens for the context window", "too_long"),
        (500, "too many tokens for the context window", "server"),
        (400, "Invalid schema for response_format 'answer': schema must have a 'type' key", "unfit"),
        (400, "Schema is too complex for compilation", "unfit"),
        (400, "Recursive schemas are not supported", "unfit"),
    ],
)
def test_words_say_more_than_a_status_only_where_that_says_little(status: int, text: str, code: str) -> None:
    assert parse_refusal("openai", status, _said(text)).code == code


def _answered(play: Play) -> tuple[dict[str, str], bytes]:
    """Headers and body of what a server says, as a driver's SDK has them."""

    async def asked() -> tuple[dict[str, str], bytes]:
        async with stage(play) as server:
            async with transport.client(Endpoint(provider="openai", base_url=server.url, key=KEY)) as client:
                found = await client.post(f"{server.url}/v1/chat/completions", content=b"{}")
            return dict(found.headers), found.content

    return asyncio.run(asked())


def test_no_header_of_an_answer_holds_the_key() -> None:
    headers, _ = _answered([whole(200, {}, X_Echo=f"your key is {KEY}")])
    assert KEY not in str(headers)
    assert headers["x-echo"] == "your key is [key]"


def test_an_error_that_is_cut_within_the_key_ends_before_it() -> None:
    shown = KEY.encode()[:-1]
    start = b"x" * (transport.ERROR - len(shown))
    _, body = _answered([head(500), start + KEY.encode() + b"x" * 9])
    assert body == start
