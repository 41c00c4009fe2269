"""Logging in to an MCP server elsewhere, as people do it, and what a hostile one gains by that: nothing.

What is wide here is tried without a home in tests/runtime/mcp/, too.
"""

import json
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from kernel.cli import answering, founding, installing, mcp_servers, package
from manifests.grants import requested
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import Login, Offer
from tests.cli.logging_in import Page, add, do, log_in
from tests.cli.shell import Shell
from tests.living import Kernel, Source, files_containing, install
from tests.system.authority import Shop, running
from tests.system.fates import until
from tests.system.mcp_servers import free_port, reaching_here, serving
from tests.system.programs import is_down

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with reaching_here(tmp_path_factory.mktemp("login") / "home") as kernel:
        yield kernel


@pytest.fixture(scope="module")
def shell(kernel: Kernel) -> Shell:
    return Shell(kernel.home)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with running() as shop:
        yield shop


@pytest.fixture
def name(shell: Shell, shop: Shop) -> Iterator[str]:
    """A server that was added, and may connect to where its logins are; nobody has logged in."""
    name = f"s{next(_NUMBERS)}"
    ran = add(shell, shop, name)
    assert "It is added without its tools" in ran.err
    yield name
    shell.good("mcp", "remove", name)


def test_a_person_logs_in_at_a_page_or_types_its_answer_and_tokens_are_in_the_hands_own_state_alone(
    kernel: Kernel, shell: Shell, shop: Shop, name: str
) -> None:
    refused = shell.run("call", f"mcp-{name}.tools.list")
    assert (refused.code, f"`maniple mcp login {name}`" in refused.err) == (1, True)
    shop.ways["padding"] = 4_000_000
    assert "larger than 256 KiB" in failed(shell, name), "a description of megabytes is none"
    shop.ways.clear()
    shop.ways["state"] = "https://attacker.example"
    page = Page(shell, name)
    assert "code_challenge_method=S256" in page.url
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        page.open()  # it sends an answer to another question, which gets no token and ends no login
    caught.value.close()
    assert "POST /token" not in shop.seen
    shop.ways.clear()
    back = page.sends_to()
    for wrong in (
        back.replace("/callback?", "/favicon.ico?"),
        back.partition("?")[0],
    ):  # its port takes no other way back
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(wrong, timeout=10).close()
        caught.value.close()
    assert page.open() == 200
    ran = page.end()
    assert (ran.code, f"mcp-{name} is logged in." in ran.out, f"maniple mcp add {name}" in ran.err) == (0, True, True)
    assert ".do    acts beyond this machine: Do it." in add(shell, shop, name).err
    assert "done" in do(shell, name).out
    shell.good("audit", "verify")
    said = shell.good("logs", f"mcp-{name}") + kernel.log() + shell.good("show", f"mcp-{name}")
    found = files_containing(kernel.home, *shop.given)
    assert [path.name for path in found] == ["login.json"]
    assert stat.S_IMODE(found[0].stat().st_mode) == 0o600
    assert not _holds(said.encode(), shop)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            assert not _holds((process / "cmdline").read_bytes() + (process / "environ").read_bytes(), shop)
    ran = shell.run("mcp", "logout", name)
    assert (ran.code, "is logged out" in ran.out, "could not be told" in ran.err) == (0, True, False)
    assert set(shop.revoked) == set(shop.given[-2:])
    assert not found[0].exists()
    assert f"`maniple mcp login {name}`" in do(shell, name).err
    assert "was not logged in" in shell.good("mcp", "logout", name)
    page = Page(shell, name, "--paste", "--port", str(port := free_port()))
    back = page.sends_to()
    assert back.startswith(f"http://127.0.0.1:{port}/callback?code=")
    assert page.end(f"{back}\n").code == 0, "it may be typed in where no browser reaches this machine"
    assert "done" in do(shell, name).out


def _holds(text: bytes, shop: Shop) -> bool:
    return any(token.encode() in text for token in shop.given)


@pytest.mark.wide
def test_an_expired_token_is_refreshed_also_by_a_new_process_and_one_that_ended_early_too(
    shell: Shell, shop: Shop, name: str
) -> None:
    shop.ways["expires"] = 1
    log_in(shell, shop, name)
    time.sleep(1.5)
    assert "done" in do(shell, name).out
    grants = [asked["grant_type"] for asked in shop.asked]
    assert (grants[0], set(grants[1:])) == ("authorization_code", {"refresh_token"})
    shop.ways["expires"] = 3600
    time.sleep(1.5)
    assert "done" in do(shell, name).out
    shell.good("restart", f"mcp-{name}")
    before = len(shop.asked)
    assert "done" in do(shell, name).out
    assert len(shop.asked) == before
    shop.valid.clear()
    assert "done" in do(shell, name).out
    assert [asked["grant_type"] for asked in shop.asked[before:]] == ["refresh_token"]


@pytest.mark.wide
def test_a_login_that_is_over_is_said_and_not_tried_for_ever(shell: Shell, shop: Shop, name: str) -> None:
    log_in(shell, shop, name)
    shop.valid.clear()
    shop.ways["refuses"] = "refresh_token"
    for _ in range(3):
        ran = do(shell, name)
        assert (ran.code, f"`maniple mcp login {name}`" in ran.err) == (1, True)
    assert [asked["grant_type"] for asked in shop.asked].count("refresh_token") == 1
    log_in(shell, shop, name)
    assert "done" in do(shell, name).out


@pytest.mark.wide
def test_a_hand_that_answers_nothing_does_not_keep_its_server_from_being_added_anew(
    shell: Shell, shop: Shop, name: str
) -> None:
    log_in(shell, shop, name)
    shell.good("pause", f"mcp-{name}")
    said = add(shell, shop, name).err
    assert "It is added with the tools that it had" in said
    assert f"mcp-{name}, which may be logged in, could not be asked: " in said
    assert f"`maniple resume mcp-{name}`" in said
    assert f"maniple mcp login {name}" not in said
    shell.good("resume", f"mcp-{name}")
    assert "done" in do(shell, name).out


@pytest.mark.wide
def test_calls_wait_for_nobody_who_is_at_the_page_and_one_person_logs_in_at_a_time(
    shell: Shell, shop: Shop, name: str
) -> None:
    page = Page(shell, name)
    ran = shell.run("call", f"mcp-{name}.tools.list")  # nobody opens the page before it ends
    assert (ran.code, f"`maniple mcp login {name}`" in ran.err) == (1, True)
    assert "somebody is logging in to this server already" in Page(shell, name).end().err
    page.open()
    assert page.end().code == 0


@pytest.mark.wide
def test_the_packages_own_server_is_logged_in_to_and_its_tokens_refreshed(kernel: Kernel, shell: Shell) -> None:
    with serving("guarded.py") as port:
        url = f"http://127.0.0.1:{port}/mcp"
        shell.result("mcp", "add", "guarded", url, "--yes")
        page = Page(shell, "guarded")
        assert page.open() == 200
        assert "It may now: use." in page.end().out
        shell.good("mcp", "add", "guarded", url, "--yes")
        for a in range(2):
            time.sleep(3.5)  # longer than the server takes a token
            assert json.loads(shell.good("call", "mcp-guarded.add", f"a={a}"))["structured"] == {"result": a + 2}
        found = files_containing(kernel.home, "look-for-this-")
        assert [path.name for path in found] == ["login.json"]
        refreshed = json.loads(found[0].read_bytes())
        assert shell.run("mcp", "logout", "guarded").err == ""
        assert not found[0].exists()
        client, tokens = refreshed["client"], refreshed["tokens"]
        again = {
            "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client["client_id"],
            "client_secret": client["client_secret"],
        }  # fmt: skip
        with pytest.raises(urllib.error.HTTPError, match="400") as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/token", urllib.parse.urlencode(again).encode()).close()
        assert json.loads(caught.value.read())["error"] == "invalid_grant"
        caught.value.close()
        shell.good("mcp", "remove", "guarded")


@pytest.mark.wide
def test_who_logs_out_needs_no_server(kernel: Kernel, shell: Shell) -> None:
    with running() as shop:
        add(shell, shop, "gone")
        log_in(shell, shop, "gone")
    shell.good("restart", "mcp-gone")
    assert all("session with the server has ended" in do(shell, "gone").err for _ in range(8))  # not worn out by that
    ran = shell.run("mcp", "logout", "gone")
    assert (ran.code, "is logged out" in ran.out) == (0, True)
    (line,) = ran.err.splitlines()
    assert line.startswith("The authorization server could not be told, so its tokens work until they expire: ")
    assert not list(kernel.home.rglob("login.json"))


# what a server may do wrong -------------------------------------------------------------------------------------------


def failed(shell: Shell, name: str) -> str:
    """What is said of a login that comes to nothing before a page is shown."""
    ran = (page := Page(shell, name)).end()
    assert (ran.code, page.url) == (1, "")
    return ran.err


@pytest.mark.wide
def test_a_host_that_nobody_granted_is_named_with_the_command_that_grants_it(
    shell: Shell, shop: Shop, name: str
) -> None:
    shop.ways["authority"] = shop.elsewhere
    host = shop.elsewhere.removeprefix("http://")
    assert f"`maniple mcp add {name} {shop.url} --connect {host}`" in failed(shell, name)
    shop.ways = {"metadata": {"registration_endpoint": f"{shop.elsewhere}/register"}}
    assert f"--connect {host}`" in failed(shell, name)
    shop.ways = {"metadata": {"token_endpoint": f"{shop.elsewhere}/token"}}
    page = Page(shell, name)
    page.open()
    assert f"--connect {host}`" in page.end().err
    assert [row for row in shop.seen if row.startswith("POST /") and row != "POST /mcp"] == ["POST /register"]


@pytest.mark.wide
def test_it_is_led_nowhere_else_by_a_redirect(shell: Shell, shop: Shop, name: str) -> None:
    shop.ways["redirect"] = f"{shop.elsewhere}/stolen"
    failed(shell, name)
    assert "GET /stolen" not in shop.seen


@pytest.mark.wide
def test_another_issuer_than_was_asked_is_none(shell: Shell, shop: Shop, name: str) -> None:
    shop.ways["metadata"] = {"issuer": "https://attacker.example"}
    assert "issuer mismatch" in failed(shell, name)
    assert "POST /register" not in shop.seen


@pytest.mark.wide
def test_a_clients_secret_is_shown_to_no_other_issuer(shell: Shell, shop: Shop, name: str) -> None:
    add(shell, shop, name, "--client", "us", "--client-secret", "--issuer", "https://ours.example")
    assert "names another authorization server than https://ours.example" in failed(shell, name)
    add(shell, shop, name, "--client", "us", "--client-secret", "--issuer", shop.bank)
    page = Page(shell, name)
    page.open()
    assert page.end().code == 0
    assert "POST /register" not in shop.seen


@pytest.mark.wide
def test_an_answer_of_another_issuer_ends_its_login(shell: Shell, shop: Shop, name: str) -> None:
    shop.ways["iss"] = "https://attacker.example"
    page = Page(shell, name)
    page.open()
    ran = page.end()
    assert (ran.code, "iss mismatch" in ran.err) == (1, True)


@pytest.mark.wide
def test_nobody_is_sent_to_a_page_that_others_could_listen_to(shell: Shell, shop: Shop, name: str) -> None:
    shop.ways["metadata"] = {"authorization_endpoint": "http://attacker.example/authorize"}
    assert "is not https: nobody logs in there" in failed(shell, name)
    shop.ways["metadata"] = {"authorization_endpoint": "javascript:alert(1)"}
    failed(shell, name)


@pytest.mark.wide
def test_what_an_authorization_server_repeats_is_told_to_nobody(
    kernel: Kernel, shell: Shell, shop: Shop, name: str
) -> None:
    shop.ways["refuses"] = "authorization_code"
    page = Page(shell, name)
    page.open()
    ran = page.end()
    assert "gave no token: it answered 400, invalid_grant" in ran.err
    verifier = shop.asked[0]["code_verifier"]
    assert verifier not in ran.err + shell.good("logs", f"mcp-{name}")
    assert not files_containing(kernel.home, verifier)


ASKER = Source(
    """
[hand]
name = "asker"
version = "1.0.0"
description = "Logs in for somebody else."
entry = "main:Asker"
kind = "task"
autonomy = "full"

[capabilities]
"mcp-NAME.auth.*" = ["*"]
""",
    """
from runtime import CallRefused, Hand


class Asker(Hand):
    async def run(self, name: str) -> object:
        try:
            await self.kernel.call(f"mcp-{name}.auth.logout", "", {})
        except CallRefused as refused:
            return refused.code
""",
)


def test_no_hand_logs_in_or_out_without_the_operators_yes(kernel: Kernel, shop: Shop) -> None:
    wanted = Wanted(name="unasked", url=shop.url, login=Login())
    hand = mcp_servers.make_folder(wanted, Offer(), {})
    key = founding.read_sealing_key(str(kernel.home))
    with kernel.client() as client:
        installing.install(client, hand, package.make_seal(hand, key), requested(hand.manifest), as_declared=True)
        install(kernel, Source(ASKER.toml.replace("NAME", wanted.name), ASKER.main))
        told = client.call("kernel.start", "asker", {"inputs": {"name": wanted.name}}).value
        assert isinstance(told, dict)
        (row,) = until(lambda: answering.fetch_held(client), "it waits")
        assert row.method == "mcp-unasked.auth.logout"
        answering.answer(client, key, [row.call], "denied")
        ended = client.call("kernel.wait", "", {"run": told["run"]}).value
        assert isinstance(ended, dict)
        assert (ended["value"], is_down(client, wanted.hand), shop.seen) == ("denied", True, [])
        for one in ("asker", wanted.hand):
            client.call("kernel.remove", one)


@pytest.mark.wide
def test_a_login_that_no_hand_may_end_goes_on(kernel: Kernel, shell: Shell, shop: Shop, name: str) -> None:
    log_in(shell, shop, name)
    install(kernel, Source(ASKER.toml.replace("NAME", name), ASKER.main))
    process = shell.begin("start", "asker", f"name={name}", "--wait")
    rows = until(lambda: json.loads(shell.good("approvals", "--json"))["approvals"], "it waits")
    assert rows[0]["method"] == f"mcp-{name}.auth.logout"
    shell.good("deny", str(rows[0]["call"]))
    out, _ = process.communicate(timeout=60)
    assert json.loads(out) == "denied"
    assert "done" in do(shell, name).out
    shell.good("remove", "asker")


def test_options_that_do_not_go_together_are_said(shell: Shell, shop: Shop) -> None:
    for words, why in (
        ((shop.url, "--alone", "--client", "us"), "needs the client's --client-secret"),
        ((shop.url, "--client-secret", "--client", "us"), "--issuer must say"),
        ((shop.url, "--issuer", shop.bank), "name it"),
        (
            (shop.url, "--client-secret", "--client-key", "key.pem", "--client", "us", "--issuer", shop.bank),
            "one of them",
        ),
        (("http://mcp.example/mcp", "--client", "us"), "is not https"),
        (("--client", "us", "--", "python3", "server.py"), "a program needs no login"),
    ):
        ran = shell.run("mcp", "add", "wrong", *words, CLIENT_SECRET="x")
        assert (ran.code, why in ran.err) == (2, True), ran.err


@pytest.mark.wide
def test_a_client_with_a_secret_of_its_own_needs_no_person_and_shows_it_to_nobody_else(
    kernel: Kernel, shell: Shell, shop: Shop
) -> None:
    words = ("--client", "us", "--client-secret", "--issuer", shop.bank, "--alone")
    add(shell, shop, "robot", *words)
    assert "done" in do(shell, "robot").out
    assert [asked["grant_type"] for asked in shop.asked].count("client_credentials") >= 1
    assert shell.run("mcp", "login", "robot").code == 2
    assert [path.parent.name for path in files_containing(kernel.home, "look-for-this-key")] == ["keys"]
    shop.valid.clear()
    assert "done" in do(shell, "robot").out
    shop.valid.clear()
    shop.ways["authority"], before = shop.elsewhere, len(shop.asked)
    ran = do(shell, "robot")
    assert (ran.code, len(shop.asked)) == (1, before)
    assert "where mcp-robot may not connect" in ran.err
    shell.good("mcp", "remove", "robot")
