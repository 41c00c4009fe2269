"""Connections to a server elsewhere: one that nobody waits for any more has its call ended, at whatever point that is."""

from collections.abc import Iterator

import pytest

from tests.runtime.peer import Peer, provided
from wire import headers

SOURCE = """
    import ssl
    import runtime.mcp.hand
    import httpx2
    from runtime import Call, Failure, Hand
    from runtime.mcp.http import outside

    class Test(Hand):
        async def start(self) -> None:
            self.client = outside(self.kernel, ssl.create_default_context(), print)

        async def ask_again(self, call: Call) -> int:
            return (await self.client.get("http://far.example/")).status_code

        async def ask(self, call: Call) -> int:
            try:
                async with outside(self.kernel, ssl.create_default_context(), print) as client:
                    return (await client.get("https://far.example/")).status_code
            except httpx2.HTTPError as error:
                raise Failure("server", type(error).__name__) from None
"""


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, forking: None) -> Iterator[Peer]:
    """One Hand for all of these: what it imports takes a second, and each leaves it as it was."""
    made = Peer(tmp_path_factory.mktemp("http"))
    yield made.launch(SOURCE, (provided("test.ask"), provided("test.ask-again"))).ready()
    made.close()


@pytest.fixture
def connecting(peer: Peer) -> tuple[int, int]:
    """A call whose Hand asks for a connection: its number, and that of the connection's call."""
    asked = peer.call("test.ask")
    made, _ = peer.expect(headers.Call)
    assert (made.method, made.resource) == ("web.connect", "far.example:443")
    return asked, made.number


@pytest.mark.wide
def test_a_connection_that_is_not_made_yet_is_ended_with_who_waits_for_it(
    peer: Peer, connecting: tuple[int, int]
) -> None:
    asked, made = connecting
    peer.send(headers.Cancel(number=asked))
    assert peer.expect(headers.Cancel)[0].number == made
    peer.expect(headers.Cancelled)


def test_a_connection_without_a_greeting_is_ended_with_who_waits_for_it(
    peer: Peer, connecting: tuple[int, int]
) -> None:
    asked, made = connecting
    peer.send(headers.Chunk(number=made), b"")
    peer.chunks(1)
    peer.send(headers.Cancel(number=asked))
    assert peer.expect(headers.Cancel)[0].number == made
    peer.expect(headers.Cancelled)


def test_a_connection_whose_greeting_is_none_is_ended(peer: Peer, connecting: tuple[int, int]) -> None:
    _, made = connecting
    peer.send(headers.Chunk(number=made), b"")
    peer.chunks(1)
    peer.send(headers.Chunk(number=made), b"220 mail.far.example\r\n")
    heard = [peer.next()[0] for _ in range(2)]
    assert [one.number for one in heard if isinstance(one, headers.Cancel)] == [made], heard


def test_a_connection_that_the_server_ended_while_it_was_idle_is_used_no_more(peer: Peer) -> None:
    for _ in range(2):
        peer.call("test.ask-again")
        made, _ = peer.expect(headers.Call)
        peer.send(headers.Chunk(number=made.number), b"")
        peer.chunks(1)
        peer.send(headers.Chunk(number=made.number), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert peer.expect(headers.Done)[1] == 200
        peer.send(headers.Done(number=made.number))
