"""Adds a token to every request on its way (acts): the suite can send none, and a door answers nobody without.

    with relayed("http://127.0.0.1:4001/mcp", token) as url: …

Everything else passes as it is, but that the relay's own port in Host and Origin becomes the door's, as if it were not there.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

END = b"\r\n\r\n"


@contextmanager
def relayed(url: str, token: str) -> Iterator[str]:
    """The URL of a relay to a door, there until the block is left."""
    port = urlsplit(url).port
    assert port is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = listener.getsockname()[1]
        threads: list[threading.Thread] = []
        serving = threading.Thread(target=_serve, args=(listener, own, port, token, threads))
        serving.start()
        yield f"http://127.0.0.1:{own}/mcp"
        listener.shutdown(socket.SHUT_RDWR)
        for thread in (serving, *threads):
            thread.join()


def _serve(listener: socket.socket, own: int, port: int, token: str, threads: list[threading.Thread]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            thread = threading.Thread(target=_carry, args=(client, own, port, token))
            threads.append(thread)
            thread.start()


def _carry(client: socket.socket, own: int, port: int, token: str) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_answers, args=(server, client))
        back.start()
        _requests(client, server, own, port, token)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        back.join()


def _requests(client: socket.socket, server: socket.socket, own: int, port: int, token: str) -> None:
    """Each request's head with the token, and its body as it is."""
    rest = b""
    with suppress(OSError):
        while True:
            while END not in rest:
                piece = client.recv(65536)
                if not piece:
                    return
                rest += piece
            head, _, rest = rest.partition(END)
            first, *lines = head.split(b"\r\n")
            lines = [line.replace(f":{own}".encode(), f":{port}".encode()) for line in lines]
            lengths = [line.split(b":")[1] for line in lines if line.lower().startswith(b"content-length:")]
            server.sendall(b"\r\n".join([first, f"Authorization: Bearer {token}".encode(), *lines]) + END)
            left = int(lengths[0]) if lengths else 0
            while left > 0:
                rest = rest or client.recv(65536)
                server.sendall(rest[:left])
                left, rest = left - min(left, len(rest)), rest[left:]


def _answers(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while piece := server.recv(65536):
            client.sendall(piece)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
