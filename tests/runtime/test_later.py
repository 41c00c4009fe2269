"""Modules whose import is put off: libraries use them as if they were imported, and all others import them as usual."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.later import putting_off
from tests.runtime.peer import ROOT

RARE = "rarely_used_by_a_test"
SOURCE = "VALUE = 1\nLIMIT = 2\ndef double(x): return 2 * x\n"


@pytest.fixture(autouse=True)
def rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / f"{RARE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop(RARE, None)


def _library() -> dict[str, object]:
    """Run what a library does that imports the module and reads one attribute of it."""
    names: dict[str, object] = {}
    exec(
        f"import {RARE} as rare\nfrom {RARE} import LIMIT\ndef use(): return rare.double(rare.VALUE), rare.LIMIT", names
    )
    return names


def test_a_library_that_reads_only_known_attributes_imports_nothing_until_it_uses_the_module() -> None:
    with putting_off({RARE: {"LIMIT": 3}}):
        library = _library()
    assert RARE not in sys.modules
    assert library["LIMIT"] == 3
    use = library["use"]
    assert callable(use)
    assert use() == (2, 2)
    assert RARE in sys.modules


def test_a_library_that_needs_another_attribute_at_once_gets_the_module() -> None:
    with putting_off({RARE: {}}):
        library = _library()
    assert library["LIMIT"] == 2
    assert sys.modules[RARE].VALUE == 1


def test_everybody_else_imports_the_module_as_usual() -> None:
    with putting_off({RARE: {"LIMIT": 3}}):
        _library()
    assert __import__(RARE).LIMIT == 2


def test_a_module_that_is_imported_already_stays() -> None:
    module = __import__(RARE)
    with putting_off({RARE: {"LIMIT": 3}}):
        assert sys.modules[RARE] is module
    assert sys.modules[RARE] is module


def test_what_the_runtime_puts_off_works_when_it_is_used() -> None:
    script = """
import sys
import runtime
seldom = {"asyncio.sslproto", "locale", "pickle", "ssl", "urllib.parse"}
assert seldom.isdisjoint(sys.modules), seldom & sys.modules.keys()
import asyncio, pathlib, socket, zmq

async def connect() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    await loop.sock_sendall(ours, b"plain")  # asks whether it is a socket of ssl
    assert theirs.recv(5) == b"plain" and "ssl" not in sys.modules
    import ssl
    theirs.sendall(b"no TLS")
    try:
        await loop.create_connection(asyncio.Protocol, sock=ours, ssl=ssl.create_default_context(), server_hostname="x")
    except ssl.SSLError as error:
        assert asyncio.base_events.sslproto.SSLProtocol
        print(type(error).__name__)
    else:
        raise RuntimeError("a connection without TLS")
    with ssl.create_default_context().wrap_socket(socket.socket(), server_hostname="x") as secure:
        secure.setblocking(False)
        try:
            await loop.sock_sendall(secure, b"")
        except TypeError:
            print("refused")

asyncio.run(connect())
with zmq.Context() as context, context.socket(zmq.PAIR) as left, context.socket(zmq.PAIR) as right:
    left.bind("inproc://x")
    right.connect("inproc://x")
    left.send_pyobj({"a": 1})
    print(right.recv_pyobj(), pathlib.Path("/a b").as_uri())

import subprocess
print(subprocess.check_output(["echo", "text"], text=True), end="")
"""
    seen = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (seen.stderr, seen.stdout) == ("", "SSLError\nrefused\n{'a': 1} file:///a%20b\ntext\n")
