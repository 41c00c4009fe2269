"""Sets up things on this machine for attacks to reach for: servers, sockets, programs, a terminal (acts).

They lie in one folder below /tmp that anybody may enter, so only a layer keeps a run from them; the folder is removed at
the end. Stand-ins replace what would be dangerous or may be missing (a container engine's socket, a set-uid program).
"""

import ctypes
import os
import pty
import selectors
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

WELCOME: Final = b"welcome"
SHARED: Final = b"what others share"
_CREATE, _REMOVE = 0o1000, 0
_CAPABILITIES: Final = bytes.fromhex("0100000206000000000000000000000000000000")
"""security.capability, version 2: effective and permitted CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""


class WelcomeServers:
    """Servers that answer every client with WELCOME, in one thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._end, self._wake = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def open(self, family: int, kind: int, address: str | tuple[str, int]) -> socket.socket:
        """Open a server. All must be opened before start()."""
        server = socket.socket(family, kind)
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen()
        self._selector.register(server, selectors.EVENT_READ)
        return server

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and every server."""
        self._end.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # all are sockets
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    return
                server = key.fileobj
                assert isinstance(server, socket.socket)
                with suppress(OSError):  # the client may have gone
                    self._answer(server)

    def _answer(self, server: socket.socket) -> None:
        if server.type == socket.SOCK_DGRAM:
            _, whence = server.recvfrom(64)
            server.sendto(WELCOME, whence)
            return
        link, _ = server.accept()
        with link:
            link.sendall(WELCOME)


def _programs(folder: Path) -> Mapping[str, str]:
    """Copy `id` as a set-uid program, and `cat` as one with file capabilities; returns their paths by name."""
    paths = {"set_uid": folder / "set-uid", "capable": folder / "capable"}
    for path, program in zip(paths.values(), ("id", "cat"), strict=True):
        found = shutil.which(program)
        assert found, f"{program} is part of every Linux"
        shutil.copyfile(found, path)
        path.chmod(0o755)
    if os.geteuid() == 0:
        paths["set_uid"].chmod(0o4755)
        os.setxattr(paths["capable"], "security.capability", _CAPABILITIES)
    return {name: str(path) for name, path in paths.items()}


@contextmanager
def _shared_memory() -> Iterator[int]:
    """Make a System V segment that anybody may attach, and yield its key."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    key = 0x6D61_0000 | os.getpid() & 0xFFFF
    segment = libc.shmget(key, 4096, _CREATE | 0o666)
    address = libc.shmat(segment, None, 0)
    ctypes.memmove(address, SHARED, len(SHARED))
    libc.shmdt(ctypes.c_void_p(address))
    try:
        yield key
    finally:
        libc.shmctl(segment, _REMOVE, None)


@contextmanager
def _shared_file() -> Iterator[str]:
    """Make a file in memory that anybody may read, as POSIX shared memory is one, and yield its path."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="maniple-prey-") as file:
        file.write(SHARED)
        file.flush()
        os.chmod(file.name, 0o644)
        yield file.name


@contextmanager
def _terminal() -> Iterator[str]:
    """Open a pseudo-terminal that no process controls, and yield its path."""
    master, slave = pty.openpty()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


@contextmanager
def set_up_prey() -> Iterator[dict[str, str]]:
    """Set everything up, and yield what attacks are given of it, by name."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="maniple-prey-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder)
        folder.chmod(0o755)
        drop = folder / "drop"
        drop.mkdir()
        drop.chmod(0o1777)
        owned = folder / "mine"
        owned.write_text("whoever made this folder owns this")
        servers = WelcomeServers()
        stack.callback(servers.close)
        tcp = servers.open(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        udp = servers.open(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        name = f"maniple-prey-{os.getpid()}-{id(folder)}"
        servers.open(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}")
        for path, mode in (("engine.sock", 0o660), ("open.sock", 0o666)):
            servers.open(socket.AF_UNIX, socket.SOCK_STREAM, str(folder / path))
            (folder / path).chmod(mode)
        servers.start()
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # reads nothing
        yield {
            "deaf": str(deaf.getsockname()[1]),
            "port": str(tcp.getsockname()[1]), "udp_port": str(udp.getsockname()[1]), "abstract": name,
            "engine": str(folder / "engine.sock"), "open_socket": str(folder / "open.sock"),
            "drop": str(drop), "mine": str(owned), **_programs(folder),
            "shared_memory": str(stack.enter_context(_shared_memory())),
            "shared_file": stack.enter_context(_shared_file()),
            "terminal": stack.enter_context(_terminal()),
        }  # fmt: skip
