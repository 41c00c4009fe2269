"""What a login leaves behind is kept whole, read again after a start, and no login when it cannot be read."""

import asyncio
import json
import os
import stat
import time
from pathlib import Path

import httpx2
import pytest
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from manifests.mcp import tools
from runtime.errors import HandBroken
from runtime.mcp.kept import FILE, Challenge, Kept
from runtime.mcp.login import Login
from tests.small_disk import SYSTEMS, on_small_disk
from tests.spread import spread

WHOSE = ("https://mcp.example/mcp", "", "")
TOKENS = OAuthToken(access_token="access-0123456789", expires_in=60, refresh_token="refresh-0123456789", scope="use")


def test_tokens_are_there_again_after_a_start_with_when_they_expire(tmp_path: Path) -> None:
    kept, before = Kept(tmp_path, WHOSE), time.time()
    asyncio.run(kept.set_tokens(TOKENS))
    after = time.time()
    kept.set_challenge(Challenge(status=403, header='Bearer error="insufficient_scope"' + "x" * 10_000))
    again = Kept(tmp_path, WHOSE)
    assert asyncio.run(again.get_tokens()) == TOKENS
    assert again.challenge is not None
    assert len(again.challenge.header) == 2048
    assert set(again.secrets) == {"access-0123456789", "refresh-0123456789"}
    assert before + 60 <= json.loads((tmp_path / FILE).read_text())["until"] <= after + 60
    assert again.forget()
    assert not list(tmp_path.iterdir())
    assert asyncio.run(Kept(tmp_path, WHOSE).get_tokens()) is None


def test_nobody_else_may_read_them_whatever_new_files_are_by_themselves(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        asyncio.run(Kept(tmp_path, WHOSE).set_tokens(TOKENS))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_login_is_one_servers_clients_and_issuers_and_none_for_another(tmp_path: Path) -> None:
    asyncio.run(Kept(tmp_path, WHOSE).set_tokens(TOKENS))
    for at in range(len(WHOSE)):
        assert asyncio.run(Kept(tmp_path, (*WHOSE[:at], "other", *WHOSE[at + 1 :])).get_tokens()) is None


def test_what_is_drafted_is_kept_when_it_is_adopted_and_not_before(tmp_path: Path) -> None:
    kept = Kept(tmp_path, WHOSE)
    draft = kept.draft()
    asyncio.run(draft.set_tokens(TOKENS))
    assert asyncio.run(kept.get_tokens()) is None
    assert not list(tmp_path.iterdir())
    kept.adopt(draft)
    assert asyncio.run(Kept(tmp_path, WHOSE).get_tokens()) == TOKENS


@pytest.mark.wide
@pytest.mark.parametrize("system", spread(SYSTEMS, 1))
def test_a_disk_that_is_full_takes_no_login_says_so_and_keeps_the_one_before(tmp_path: Path, system: str) -> None:
    on_small_disk(tmp_path, system, "tests.runtime.mcp.full_disk")


def test_what_a_write_that_was_cut_left_is_gone_with_the_next_start(tmp_path: Path) -> None:
    asyncio.run(Kept(tmp_path, WHOSE).set_tokens(TOKENS))
    (tmp_path / f"{FILE}.part").write_bytes((tmp_path / FILE).read_bytes()[:100])
    assert asyncio.run(Kept(tmp_path, WHOSE).get_tokens()) == TOKENS
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_who_logs_out_leaves_nothing_also_of_a_write_that_was_cut(tmp_path: Path) -> None:
    kept = Kept(tmp_path, WHOSE)
    asyncio.run(kept.set_tokens(TOKENS))
    (tmp_path / f"{FILE}.part").write_bytes((tmp_path / FILE).read_bytes()[:100])
    kept.forget()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"tokens": {"access_token": 7}}', b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_is_no_login(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / FILE).write_bytes(raw)
    kept = Kept(tmp_path, WHOSE)
    assert asyncio.run(kept.get_tokens()) is None
    asyncio.run(kept.set_tokens(TOKENS))
    assert asyncio.run(Kept(tmp_path, WHOSE).get_tokens()) == TOKENS


def test_a_client_that_the_operator_named_is_not_the_files(tmp_path: Path) -> None:
    asyncio.run(Kept(tmp_path, WHOSE).set_client_info(OAuthClientInformationFull(client_id="registered")))
    named = OAuthClientInformationFull(client_id="named")
    for kept, wanted in ((Kept(tmp_path, WHOSE, named), "named"), (Kept(tmp_path, WHOSE), "registered")):
        found = asyncio.run(kept.get_client_info())
        assert found is not None
        assert found.client_id == wanted


@pytest.mark.parametrize("proof", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_cannot_be_read_is_told_before_any_call_and_not_repeated(tmp_path: Path, proof: str) -> None:
    wanted = tools.Login(client="us", proof="client_key", issuer="https://auth.example", is_alone=True)
    with pytest.raises(HandBroken, match="its setting client_key") as caught:
        Login("mcp-x", "https://mcp.example/mcp", wanted, proof, Kept(tmp_path, WHOSE), lambda _: httpx2.AsyncClient())
    assert not proof or proof not in str(caught.value)
