"""A login is for one server, one client and one issuer; what a hostile one of them answers ends it, and nothing else."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runtime.mcp.revoking
import runtime.mcp.steps
from manifests.mcp import tools
from runtime.errors import Failure
from runtime.mcp.kept import FILE
from tests.runtime.mcp.side import BACK, PROOF, Side, a_key, give_up, run, sent_to
from tests.spread import spread
from tests.system.authority import Shop, running


@pytest.fixture
def shop() -> Iterator[Shop]:
    with running() as shop:
        yield shop


# whose a login is -----------------------------------------------------------------------------------------------------


def test_a_token_is_shown_to_no_server_but_the_one_that_it_is_for(tmp_path: Path, shop: Shop) -> None:
    run(Side(tmp_path, shop).log_in())
    assert run(Side(tmp_path, shop).call()) == 200
    with running() as other:
        other.valid = shop.valid
        assert run(Side(tmp_path, shop, url=other.url).call()) == 401


def test_another_client_or_issuer_begins_without_the_login_of_the_one_before(tmp_path: Path, shop: Shop) -> None:
    shop.ways["expires"] = 1
    run(Side(tmp_path, shop).log_in())
    time.sleep(1.1)
    wanted = tools.Login(client="us", proof="client_secret", issuer="https://ours.example")
    assert run(Side(tmp_path, shop, wanted).call()) == 401
    assert [asked["grant_type"] for asked in shop.asked] == ["authorization_code"]


def test_a_login_that_is_given_up_leaves_the_one_before_as_it_was(tmp_path: Path, shop: Shop) -> None:
    run(Side(tmp_path, shop).log_in())
    shop.valid.clear()
    shop.ways["busy"] = 503
    before = json.loads((tmp_path / FILE).read_bytes())
    with running() as other:
        shop.ways["authority"] = other.bank
        side = Side(tmp_path, shop)
        assert run(side.call()) == 401
        with pytest.raises(Failure):
            run(side.log_in(give_up))
        after = json.loads((tmp_path / FILE).read_bytes())
        assert {**after, "challenge": None} == {**before, "challenge": None}
        del shop.ways["busy"]
        assert run(Side(tmp_path, shop).call()) == 200
        assert other.asked == []


def test_a_clients_secret_goes_to_its_issuer_alone_whatever_else_is_learnt(tmp_path: Path, shop: Shop) -> None:
    wanted = tools.Login(client="us", proof="client_secret", issuer=shop.bank)
    run(Side(tmp_path, shop, wanted).log_in())
    shop.valid.clear()
    shop.ways["busy"] = 429
    with running() as other:
        shop.ways["authority"] = other.bank
        side = Side(tmp_path, shop, wanted)
        assert run(side.call()) == 401
        with pytest.raises(Failure, match="names another authorization server"):
            run(side.log_in())
        run(Side(tmp_path, shop, wanted).call())
        assert (other.asked, shop.strayed) == ([], [])
    del shop.ways["busy"]
    assert run(Side(tmp_path, shop, wanted).call()) == 200


def test_where_an_authorization_server_does_not_tell_where_its_tokens_are_nobody_else_is_asked_for_them(
    tmp_path: Path, shop: Shop
) -> None:
    shop.ways["silent"] = 500

    def back(page: str) -> str:
        return f"{BACK}?code=x&state={page.partition('state=')[2][:43]}"

    for wanted in (tools.Login(client="us", proof="client_secret", issuer=shop.bank), tools.Login()):
        with pytest.raises(Failure, match="publishes no metadata"):
            run(Side(tmp_path, shop, wanted).log_in(back))
    assert shop.strayed == []


# a call and a person at once ------------------------------------------------------------------------------------------


def test_what_a_person_is_told_is_of_their_own_way_and_not_of_a_call_that_refreshed_meanwhile(
    tmp_path: Path, shop: Shop
) -> None:
    side = Side(tmp_path, shop)

    async def meanwhile(back: Callable[[str], str], *, ways: dict[str, Any], granted: bool = True) -> str:
        """What the person is told in the end; a call fails to refresh while they are at the page."""
        at_page, opened = asyncio.Event(), asyncio.Event()
        pages: list[str] = []

        async def show(url: str) -> None:
            pages.append(url)
            at_page.set()

        async def hear() -> str:
            await opened.wait()
            return await asyncio.to_thread(back, pages[0])

        shop.valid.clear()
        await side.call()
        logging_in = asyncio.ensure_future(side.login.by_person(BACK, show, hear))
        await at_page.wait()
        before, shop.ways, side.granted = shop.ways, {**shop.ways, **ways}, granted
        assert await side.call() == 401
        shop.ways, side.granted = before, True
        opened.set()
        with pytest.raises(Failure) as caught:
            await logging_in
        return str(caught.value)

    async def both() -> tuple[str, str]:
        await side.log_in()
        shop.ways["busy"] = 503
        given_up = await meanwhile(lambda _: f"{BACK}?error=access_denied", ways={}, granted=False)
        shop.ways = {"token": {"scope": 7}}
        return given_up, await meanwhile(sent_to, ways={"busy": 503})

    given_up, gave_nothing = run(both())
    assert "the page says: access_denied" in given_up
    assert "answered 200" in gave_nothing


# logging out ----------------------------------------------------------------------------------------------------------


def test_who_logs_out_takes_both_tokens_back_where_they_were_given_the_lasting_one_first(
    tmp_path: Path, shop: Shop
) -> None:
    side = Side(tmp_path, shop)
    run(side.log_in())
    access, refresh = shop.given[-2:]
    assert run(side.login.forget()) == (True, "")
    assert list(shop.revoked.items()) == [(refresh, "refresh_token"), (access, "access_token")]
    assert run(side.login.forget()) == (False, "")
    assert len(shop.revoked) == 2


def test_a_process_that_begins_anew_tells_it_too(tmp_path: Path, shop: Shop) -> None:
    run(Side(tmp_path, shop).log_in())
    assert run(Side(tmp_path, shop).login.forget()) == (True, "")
    assert set(shop.revoked) == set(shop.given[-2:])


def test_a_client_that_logs_in_alone_proves_itself_when_it_logs_out(tmp_path: Path, shop: Shop) -> None:
    shop.ways["proved"] = True
    secret = tools.Login(client="us", proof="client_secret", issuer=shop.bank, is_alone=True)
    key = tools.Login(client="us", proof="client_key", issuer=shop.bank, is_alone=True)
    for number, (wanted, proof) in enumerate(((secret, PROOF), (key, a_key()))):
        (tmp_path / wanted.proof).mkdir()
        side = Side(tmp_path / wanted.proof, shop, wanted, proof=proof)
        assert run(side.call()) == 200
        assert run(side.login.forget()) == (True, "")
        assert len(shop.revoked) == 2 * (number + 1)


@pytest.mark.parametrize(
    ("ways", "why"),
    spread(
        [
            ({"metadata": {"revocation_endpoint": None}}, "no revocation endpoint"),
            ({"metadata": {"revocation_endpoint": "http://attacker.example/revoke"}}, "is not https"),
            ({"unmoved": (503, {"error": "temporarily_unavailable"})}, "answered 503, temporarily_unavailable"),
            ({"unmoved": (302, None)}, "answered 302"),
            ({"unmoved": (400, {"error": "look for this-token"})}, "answered 400"),
            ({"trickles": True}, "has not answered within"),
        ],
        3,
    ),
    ids=["nowhere", "http", "busy", "redirect", "words", "slow"],
)
def test_who_cannot_tell_it_is_logged_out_all_the_same_and_told_why(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch, ways: dict[str, Any], why: str
) -> None:
    monkeypatch.setattr(runtime.mcp.revoking, "REVOKE_S", 1.0)  # the real one is longer than a test should last
    shop.ways = {name: one for name, one in ways.items() if name == "metadata"}
    side = Side(tmp_path, shop)
    run(side.log_in())
    shop.ways = ways
    was, untold = run(side.login.forget())
    assert (was, why in untold, any(token in untold for token in shop.given)) == (True, True, False), untold
    assert (list(tmp_path.iterdir()), shop.revoked, "GET /stolen" in shop.seen) == ([], {}, False)
    assert run(side.call()) == 401


def test_a_host_that_is_not_granted_is_named_and_one_that_is_gone_as_well(tmp_path: Path) -> None:
    with running() as shop:
        side = Side(tmp_path, shop)
        run(side.log_in())
        side.granted = False
        host = shop.bank.removeprefix("http://")
        assert run(side.login.forget()) == (True, f"mcp-x may not connect to {host}")
        side.granted = True
        run(side.log_in())
    was, untold = run(side.login.forget())
    assert (was, bool(untold)) == (True, True)


# what a hostile one answers -------------------------------------------------------------------------------------------


def test_a_refusal_in_any_letters_is_one(tmp_path: Path, shop: Shop) -> None:
    shop.ways["wanted"] = 'Bearer realm="Größe"'
    run(Side(tmp_path, shop).log_in())
    assert run(Side(tmp_path, shop).call()) == 200


@pytest.mark.parametrize(
    "answer",
    spread(
        [
            {"expires_in": 10**400},
            {"access_token": "look-for-this\nX-More: 1"},
            {"access_token": "look-for-this-Größe"},
            {"access_token": ""},
            {"access_token": "x" * 100_000},
            {"expires_in": "soon"},
            {"scope": 7},
        ],
        3,
    ),
    ids=["overflow", "line", "letters", "empty", "large", "word", "scope"],
)
def test_a_token_that_is_none_ends_the_login_and_no_later_one(
    tmp_path: Path, shop: Shop, answer: dict[str, Any]
) -> None:
    shop.ways["token"] = answer
    side = Side(tmp_path, shop)
    with pytest.raises(Failure) as caught:
        run(side.log_in())
    assert (caught.value.code, "look-for-this" in str(caught.value)) == ("login", False)
    assert run(side.call()) == 401
    assert run(Side(tmp_path, shop).call()) == 401
    shop.ways["token"] = {}
    run(side.log_in())
    assert run(side.call()) == 200
    shop.valid.clear()
    shop.ways["token"] = answer
    assert run(side.call()) == 401
    shop.ways["token"] = {}
    assert run(side.call()) == 200


@pytest.mark.parametrize(
    "query", ["code=x&state=%C3%A9", "code=x", "state=", "&".join(["a=b"] * 1000), "code=x&state=\ufffd"]
)
def test_a_way_back_that_is_none_ends_the_login_and_says_so(tmp_path: Path, shop: Shop, query: str) -> None:
    with pytest.raises(Failure) as caught:
        run(Side(tmp_path, shop).log_in(lambda _: f"{BACK}?{query}"))
    assert caught.value.code == "login"


def test_a_refusal_that_says_nothing_of_what_it_wants_is_no_login(tmp_path: Path, shop: Shop) -> None:
    shop.ways.update(refusal=403, wanted='Bearer scope="insufficient_scope"')
    with pytest.raises(Failure, match="does not say"):
        run(Side(tmp_path, shop).log_in())


def test_a_page_of_endless_address_is_shown_to_nobody(tmp_path: Path, shop: Shop) -> None:
    shop.ways["metadata"] = {"authorization_endpoint": f"{shop.bank}/authorize/{'x' * 50_000}"}
    with pytest.raises(Failure, match="too long"):
        run(Side(tmp_path, shop).log_in(give_up))


def test_who_answers_byte_by_byte_for_ever_holds_no_call_but_for_a_while(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.mcp.steps, "ANSWER_S", 0.5)  # the real one is longer than a test should last
    side = Side(tmp_path, shop)
    run(side.log_in())
    shop.valid.clear()
    shop.ways["trickles"] = True
    assert run(side.call()) == 401
    del shop.ways["trickles"]
    assert run(side.call()) == 200


def test_a_login_that_no_disk_takes_is_said_and_goes_on_in_memory(tmp_path: Path, shop: Shop) -> None:
    side = Side(tmp_path, shop)
    run(side.log_in())
    shop.valid.clear()
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()  # nothing can be put in its place
    assert run(side.call()) == 200
    shop.valid.clear()
    shop.ways["refuses"] = "refresh_token"
    assert run(side.call()) == 401
    with pytest.raises(Failure, match="could not be stored"):
        run(side.log_in())
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
