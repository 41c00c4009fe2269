"""The proxy on a run's loopback, with the kernel's side of its calls in the test's hand."""

import contextlib
import socket
import struct

import pytest

from tests.runtime.peer import Peer
from wire import headers

PROXY = """
    import socket
    from runtime import Hand
    from runtime.proxy import Proxy

    class Test(Hand):
        async def start(self):
            listener = socket.create_server(("127.0.0.1", 0))
            (self.scratch / "port").write_text(str(listener.getsockname()[1]))
            self.in_background(Proxy(self.kernel, listener.detach(), tuple).serve())
"""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER, with which closing resets."""


def test_a_call_whose_program_broke_its_connection_off_is_taken_back_though_its_server_is_silent(peer: Peer) -> None:
    peer.launch(PROXY).ready()
    port = int((peer.scratch / "port").read_text())
    with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as program:
        program.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        program.sendall(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n")
        call, _ = peer.expect(headers.Call)
        peer.send(headers.Chunk(number=call.number), b"")  # it is connected
        assert program.recv(100).startswith(b"HTTP/1.1 200")
    assert peer.expect(headers.Cancel)[0].number == call.number
    peer.send(headers.Cancelled(number=call.number))
    assert peer.stop() == 0


def test_who_sends_much_is_told_why_it_is_refused(peer: Peer) -> None:
    """A connection that was closed before all was read would be reset, and the answer gone with it."""
    peer.launch(PROXY).ready()
    port = int((peer.scratch / "port").read_text())
    with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as program:
        program.settimeout(20)
        program.sendall(b"POST http://example.org/ HTTP/1.1\r\n\r\n" + b"x" * 100_000)
        call, _ = peer.expect(headers.Call)
        peer.send(headers.Refused(number=call.number, code="capability", why="not granted"))
        heard = program.recv(12)
        program.sendall(b"x" * 5_000_000)
        program.shutdown(socket.SHUT_WR)
        while piece := program.recv(1000):
            heard += piece
    assert heard.startswith(b"HTTP/1.1 403")
    assert b"not granted" in heard
    assert peer.stop() == 0


def test_who_is_refused_and_sends_on_without_end_is_left(peer: Peer) -> None:
    peer.launch(PROXY).ready()
    port = int((peer.scratch / "port").read_text())
    with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as program:
        program.settimeout(20)
        program.sendall(b"GET ftp://example.org/ HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError):
            while True:
                program.sendall(b"x" * 1_000_000)
    assert peer.stop() == 0
