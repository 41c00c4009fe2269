"""A server that may want a login is greeted by the call that needs it, once: whatever becomes of that call."""

import pytest

from manifests.mcp import tools
from tests.runtime.peer import Peer, provided
from wire import headers

SOURCE = """
    from runtime.mcp.hand import Server
    from runtime.mcp import client

    client.GREETING = SECONDS

    class Test(Server):
        pass
"""
LIST = "test.tools.list"


def _launched(peer: Peer, greeting: float) -> Peer:
    agreement = tools.Agreement(url="http://far.example/mcp", login=tools.Login())
    source, files = SOURCE.replace("SECONDS", str(greeting)), {tools.FILE: tools.encode(agreement)}
    return peer.launch(source, (provided(LIST),), files=files).ready()


def _connecting(peer: Peer) -> int:
    """The Hand asks for a connection: the number of that call."""
    made, _ = peer.expect(headers.Call)
    assert (made.method, made.resource) == ("web.connect", "far.example:80")
    return made.number


@pytest.mark.wide
def test_a_greeting_outlives_the_call_that_began_it_and_the_next_one_waits_for_it(peer: Peer) -> None:
    _launched(peer, 60.0)
    asked = peer.call(LIST)
    made = _connecting(peer)
    peer.send(headers.Cancel(number=asked))
    assert peer.expect(headers.Cancelled)[0].number == asked
    asked = peer.call(LIST)
    peer.send(headers.Failed(number=made, code="connect", text="nobody is there"))
    failed, _ = peer.expect(headers.Failed)
    assert (failed.number, failed.code) == (asked, "ended")
    peer.call(LIST)
    _connecting(peer)


def test_a_greeting_that_takes_too_long_is_over_and_the_next_call_begins_another(peer: Peer) -> None:
    _launched(peer, 0.2)
    for _ in range(2):
        asked, heard = peer.call(LIST), [peer.next()[0]]
        while not isinstance(heard[-1], headers.Failed):
            heard.append(peer.next()[0])
        assert (heard[-1].number, heard[-1].code) == (asked, "ended")
        assert "has not greeted us within" in heard[-1].text
        made = [one.number for one in heard if isinstance(one, headers.Call)]
        assert [one.number for one in heard if isinstance(one, headers.Cancel)] == made
