"""The port to which a page sends a person back: whoever holds it up by saying little is let go."""

import socket
import threading
import time
import urllib.request

import pytest

from kernel.cli import mcp_listening, mcp_redirect


def test_one_that_says_its_head_letter_by_letter_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_redirect, "HEAD_WITHIN", 0.3)
    with mcp_listening.bound(0) as listener:
        port = listener.getsockname()[1]
        waiting = mcp_redirect.Redirected(listener)
        with socket.create_connection((mcp_listening.HOST, port)) as slow:
            dripping = threading.Thread(target=_drip, args=(slow,))
            dripping.start()
            back = f"{mcp_redirect.address(port)}?code=a"
            with urllib.request.urlopen(back, timeout=20) as page:
                assert page.status == 200
            dripping.join(20)
            assert not dripping.is_alive()
        with open(waiting.fileno(), "rb") as told:
            assert told.read() == f"{back}\n".encode()


def _drip(link: socket.socket) -> None:
    """Until it is cut off."""
    try:
        while True:
            link.sendall(b"x")
            time.sleep(0.05)
    except OSError:
        pass
