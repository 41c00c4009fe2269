"""Where a login may be led by those that it talks to, what a person's has to do with calls, and when a token is refreshed."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import Failure
from tests.runtime.mcp.side import BACK, Side, give_up, run, sent_to
from tests.system.authority import Shop, running


@pytest.fixture
def shop() -> Iterator[Shop]:
    with running() as shop:
        yield shop


def _failed(side: Side, back: Any = give_up) -> str:
    """How a login fails."""
    with pytest.raises(Failure) as caught:
        run(side.log_in(back))
    assert caught.value.code == "login"
    return str(caught.value)


def test_a_host_that_nobody_granted_is_named_with_the_command_that_grants_it(tmp_path: Path, shop: Shop) -> None:
    side, barred = Side(tmp_path, shop), shop.elsewhere.removeprefix("http://")
    side.barred, command = barred, f"`maniple mcp add x {shop.url} --connect {barred}`"
    shop.ways["authority"] = shop.elsewhere
    assert command in _failed(side)
    shop.ways = {"metadata": {"registration_endpoint": f"{shop.elsewhere}/register"}}
    assert command in _failed(side)
    shop.ways = {"metadata": {"token_endpoint": f"{shop.elsewhere}/token"}}
    assert command in _failed(side, sent_to)
    assert [row for row in shop.seen if row.startswith("POST /") and row != "POST /mcp"] == ["POST /register"]


def test_it_is_led_nowhere_else_by_a_redirect(tmp_path: Path, shop: Shop) -> None:
    shop.ways["redirect"] = f"{shop.elsewhere}/stolen"
    _failed(Side(tmp_path, shop))
    assert "GET /stolen" not in shop.seen


def test_another_issuer_than_was_asked_is_none(tmp_path: Path, shop: Shop) -> None:
    shop.ways["metadata"] = {"issuer": "https://attacker.example"}
    assert "issuer mismatch" in _failed(Side(tmp_path, shop))
    assert "POST /register" not in shop.seen


@pytest.mark.parametrize(("way", "said"), [("state", "State parameter mismatch"), ("iss", "iss mismatch")])
def test_an_answer_that_is_to_another_question_gets_no_token(tmp_path: Path, shop: Shop, way: str, said: str) -> None:
    shop.ways[way] = "https://attacker.example"
    assert said in _failed(Side(tmp_path, shop), sent_to)
    assert "POST /token" not in shop.seen


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("http://attacker.example/authorize", "is not https: nobody logs in there"),
        ("javascript:alert(1)", "publishes no metadata that says where to log in"),
    ],
)
def test_nobody_is_sent_to_a_page_that_others_could_listen_to(tmp_path: Path, shop: Shop, page: str, said: str) -> None:
    shop.ways["metadata"] = {"authorization_endpoint": page}
    assert said in _failed(Side(tmp_path, shop))


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/\x1b", "http://[::1"])
def test_an_address_that_is_none_is_told_as_that(tmp_path: Path, shop: Shop, address: str) -> None:
    side = Side(tmp_path, shop)
    shop.ways["wanted"] = f'Bearer resource_metadata="{address}"'
    assert "what the server says of its login is malformed" in _failed(side)


def test_what_an_authorization_server_repeats_is_told_to_nobody(tmp_path: Path, shop: Shop) -> None:
    shop.ways["refuses"] = "authorization_code"
    said = _failed(Side(tmp_path, shop), sent_to)
    assert "gave no token: it answered 400, invalid_grant" in said
    assert shop.asked[0]["code_verifier"] not in said


def test_calls_wait_for_nobody_who_is_at_the_page_and_one_person_logs_in_at_a_time(tmp_path: Path, shop: Shop) -> None:
    side = Side(tmp_path, shop)

    async def both() -> int:
        at_page, goes = asyncio.Event(), asyncio.Event()
        pages: list[str] = []

        async def show(url: str) -> None:
            pages.append(url)
            at_page.set()

        async def hear() -> str:
            await goes.wait()
            return await asyncio.to_thread(sent_to, pages[0])

        assert await side.call() == 401
        first = asyncio.ensure_future(side.login.by_person(BACK, show, hear))
        await at_page.wait()
        assert await side.call() == 401
        with pytest.raises(Failure, match="somebody is logging in to this server already"):
            await side.login.by_person(BACK, show, hear)
        goes.set()
        await first
        return await side.call()

    assert (run(both()), side.login.why) == (200, "")


def test_an_expired_token_is_refreshed_also_by_a_new_process_and_one_that_ended_early_too(
    tmp_path: Path, shop: Shop
) -> None:
    shop.ways["expires"] = 1
    run(Side(tmp_path, shop).log_in())
    time.sleep(1.1)
    shop.ways["expires"] = 3600
    assert run(Side(tmp_path, shop).call()) == 200
    assert [asked["grant_type"] for asked in shop.asked] == ["authorization_code", "refresh_token"]
    side = Side(tmp_path, shop)
    assert run(side.call()) == 200
    assert len(shop.asked) == 2
    shop.valid.clear()
    assert run(side.call()) == 200
    assert [asked["grant_type"] for asked in shop.asked[2:]] == ["refresh_token"]


def test_a_login_that_is_over_is_said_and_not_tried_for_ever(tmp_path: Path, shop: Shop) -> None:
    side = Side(tmp_path, shop)
    run(side.log_in())
    shop.valid.clear()
    shop.ways["refuses"] = "refresh_token"
    for _ in range(3):
        assert (run(side.call()), "`maniple mcp login x`" in side.login.why) == (401, True)
    assert [asked["grant_type"] for asked in shop.asked].count("refresh_token") == 1
    run(side.log_in())
    assert run(side.call()) == 200
