"""What is typed at `maniple mcp add`, before anything is started."""

from typing import Final

import pytest
from msgspec.structs import replace

from kernel.cli import mcp_add, mcp_servers, mcp_table
from kernel.cli.exits import Ended
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import Offer

NONE: Final = mcp_add.Options(
    connect=(), code=(), read=(), only=(), effect=(), set=(), secret=(), certificates=None, may_ask=False, client="",
    client_secret=False, client_key=None, issuer="", alone=False, memory=mcp_add.MEMORY,
)  # fmt: skip


def wanted(*server: str, name: str = "clock", memory: str = mcp_add.MEMORY) -> Wanted:
    """The server that these words name."""
    return mcp_add._make_wanted(name, server, replace(NONE, memory=memory), has_files=False)


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (
            ("TOKEN=sk-typed", "node", "server.js"),
            "TOKEN=… is no program: give a variable as --set NAME=VALUE, a secret",
        ),
        (("node server.js",), "`node server.js` is no program: write its words apart, without quotation marks"),
        (("mcp.example.org/mcp",), "mcp.example.org/mcp: a URL begins with https:// or http://"),
    ],
)
def test_what_was_meant_otherwise_is_told_how_it_is_typed(server: tuple[str, ...], why: str) -> None:
    with pytest.raises(Ended) as caught:
        wanted(*server)
    assert why in str(caught.value)
    assert "sk-typed" not in str(caught.value)


def test_what_no_hand_can_have_is_told_without_a_file_that_nobody_wrote() -> None:
    with pytest.raises(Ended) as caught:
        mcp_servers.make_folder(wanted("python3", memory="lots"), Offer(), {})
    assert str(caught.value).startswith('limits.memory: "lots" is not a size: write a whole number and B, KiB')


def test_a_server_is_added_again_by_its_hands_name_too() -> None:
    assert wanted("python3", name="mcp-clock").hand == wanted("python3").hand == "mcp-clock"
    assert mcp_add._from_table("mcp-exa", NONE) == mcp_add._from_table("exa", NONE)


def test_a_program_that_could_not_be_asked_is_told_what_it_lacked() -> None:
    assert mcp_servers.advice(wanted("python3", "server.py"), has_files=False) == (
        "see whether it starts by itself, `python3 server.py`; "
        "here it had no network, and no file of yours: name its folder with --files"
    )
    assert mcp_servers.advice(wanted("npx", "thing"), has_files=True).endswith("`npx thing`; here it had no network")


def test_a_known_server_that_reads_folders_is_given_them() -> None:
    with pytest.raises(Ended, match="`maniple mcp add filesystem --read DIR`"):
        mcp_add._from_table("filesystem", NONE)
    assert mcp_table.SERVERS["filesystem"].words(("/a", "/b")) == ("mcp-server-filesystem", "/a", "/b")
