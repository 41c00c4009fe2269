"""A server of the Model Context Protocol that is a program here has no network but the hosts that it was given."""

import http.server
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from kernel.cli.client import Client
from tests.living import Kernel
from tests.system.mcp_servers import add, reaching_here


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with reaching_here(tmp_path_factory.mktemp("mcp") / "home") as kernel:
        yield kernel


class _Host(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """Something that listens, and says 405."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Host) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


FETCHING: Final = """
import threading, urllib.request, urllib.error
def fetch(message):
    try:
        said = urllib.request.urlopen(message["params"]["arguments"]["text"], timeout=5).status
    except urllib.error.HTTPError as error:
        said = "%d %s" % (error.code, error.read().decode()[:60])
    except OSError as error:
        said = str(error)
    tell(id=message["id"], result=text(str(said)))
def called(message):
    threading.Thread(target=fetch, args=(message,)).start()
"""


def said(client: Client, hand: str, url: str) -> str:
    """What its tool says of what it fetched."""
    value = client.call(f"{hand}.do", "", {"text": url}).value
    assert isinstance(value, dict)
    return str(value["text"])


def test_a_program_reaches_the_hosts_it_was_given_and_no_other_also_with_many_calls_open(
    kernel: Kernel, client: Client, host: str
) -> None:
    hand = add(kernel, "reaching", FETCHING, hosts=(host,))
    found: list[str] = []

    def fetch(url: str) -> None:
        with kernel.client() as other:
            found.append(said(other, hand, url))

    threads = [threading.Thread(target=fetch, args=(f"http://{host}/",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["405 "] * 4
    fetch("http://127.0.0.1:9/")
    assert found[-1].startswith("403 capability: mcp-reaching holds no grant for web.connect")


@pytest.mark.wide
def test_a_program_that_was_given_no_host_reaches_none(kernel: Kernel, client: Client, host: str) -> None:
    hand = add(kernel, "unreaching", FETCHING)
    text = said(client, hand, f"http://{host}/")
    assert "Operation not permitted" in text or "unreachable" in text
