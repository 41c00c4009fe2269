"""`maniple mcp offer` and `maniple mcp serve`, with the protocol's own package as the client, over real processes."""

from collections.abc import Iterator

import pytest
from mcp import Client

from tests.cli.clients import talking, text
from tests.cli.shell import Shell


@pytest.fixture(scope="module")
def desk(shell: Shell) -> Iterator[Shell]:
    """A home with a door `desk`."""
    shell.good("mcp", "offer", "desk", "echo.say", "time.*", "--yes")
    yield shell
    shell.good("remove", "door-desk", "--purge")


def test_a_client_lists_and_calls_what_was_offered_and_nothing_else(desk: Shell) -> None:
    async def talk(client: Client) -> None:
        listed = (await client.list_tools()).tools
        names = [tool.name for tool in listed]
        assert names == ["echo_say", "time_between", "time_convert", "time_now"]
        assert listed[0].input_schema == {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        }
        said = await client.call_tool("echo_say", {"text": "Grüße"})
        assert said.structured_content == {"text": "Grüße"}
        assert (said.is_error, text(said)) == (False, '{"text":"Grüße"}')
        assert (said.meta or {})["maniple/labels"] == ["mcp"]
        other = await client.call_tool("files_read", {"path": "data/x"})
        assert other.is_error
        assert text(other).startswith("there is no tool 'files_read'")

    talking(desk, "desk", talk)
