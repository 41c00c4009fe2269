"""Is what commands of `maniple` import, and forks for each of them (acts). Started by forked.py, which says what for.

It is asked on a socket, whose descriptor it is given, one command after another: a line of JSON each way. It has no thread
and makes nothing but children. What only one command imports, that command's file, is left to the child.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MAIN = ROOT / "kernel" / "cli" / "__main__.py"


def main() -> None:
    """Serve until the socket ends; a child goes on from here as if it had just been started.

    It is no child of whoever started it, which may wait for all of those; it tells its process id first.
    """
    if os.fork():
        os._exit(0)
    at_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # its children hear it
    sys.path.insert(0, str(ROOT))
    from kernel.cli import commands

    own = {commands.module_of(name) for name in commands.every()}
    for file in sorted(MAIN.parent.glob("*.py")):
        if file.stem not in own and file != MAIN:
            importlib.import_module(f"kernel.cli.{file.stem}")
    del sys.path[0]
    code = compile(MAIN.read_bytes(), MAIN, "exec")
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as link, link.makefile("rb") as lines:
        link.sendall(b"%d\n" % os.getpid())
        for line in lines:
            asked = json.loads(line)
            if _becomes_child(link, asked["stdin"].encode("latin-1")):
                break
        else:
            return
    sys.argv = [str(MAIN), *asked["words"]]
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    signal.signal(signal.SIGINT, at_interrupt)
    exec(code, {"__name__": "__main__", "__file__": str(MAIN), "__builtins__": __builtins__})


def _becomes_child(link: socket.socket, given: bytes) -> bool:
    """In the child, whose standard descriptors are in place: True. In the server, when that has ended and is told: False."""
    (stdin, to), (out, stdout), (err, stderr) = (os.pipe() for _ in range(3))
    os.write(to, given)
    if is_child := not (pid := os.fork()):
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            os.dup2(descriptor, number)
    for descriptor in (stdin, to, stdout, stderr, *((out, err) if is_child else ())):
        os.close(descriptor)
    if is_child:
        return True
    told = _read(link, out, err)
    if told is None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if told is None:
        sys.exit()
    ran = {
        "code": os.waitstatus_to_exitcode(status),
        "out": told[0].decode("latin-1"),
        "err": told[1].decode("latin-1"),
    }
    link.sendall(json.dumps(ran).encode() + b"\n")
    return False


def _read(link: socket.socket, *pipes: int) -> list[bytes] | None:
    """All that comes on pipes, which it closes. None when whoever asked is gone, or will wait no longer."""
    told = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as waiting:
        for descriptor in (link.fileno(), *pipes):
            waiting.register(descriptor, selectors.EVENT_READ)
        while len(waiting.get_map()) > 1:
            for key, _ in waiting.select():
                if key.fd == link.fileno():
                    return None
                part = os.read(key.fd, 65536)
                told[key.fd] += part
                if not part:
                    waiting.unregister(key.fd)
                    os.close(key.fd)
    return list(told.values())


if __name__ == "__main__":
    main()
