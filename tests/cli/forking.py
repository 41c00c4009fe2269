"""The server that imports what commands of `maniple` need, and forks each command (acts). Started by forked.py.

Its first argument is the descriptor of a socket that brings one command after another: a line of JSON each way. Its second,
if any, is the link to the process that forks kernels. It has no thread and only forks. A command's own file is not imported
beforehand, but by the child.
"""

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from tests.forks import Forked, Forks

ROOT = Path(__file__).resolve().parent.parent.parent
MAIN = ROOT / "kernel" / "cli" / "__main__.py"


def main() -> None:
    """Serve until the socket closes; a child continues below as if it had just been started.

    Forks first, so as not to be a child of the starter, which may wait for all its own; then reports its process id.
    """
    if os.fork():
        os._exit(0)
    sigint_action = signal.signal(signal.SIGINT, signal.SIG_IGN)  # only its children get it
    sys.path.insert(0, str(ROOT))
    from kernel.cli import commands, starting
    from tests.forking import exiting_at_once
    from tests.forks import Forks

    own = {commands.module_of(name) for name in commands.all_commands()}
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
            request = json.loads(line)
            if _fork_child(link, request["stdin"].encode("latin-1")):
                break
        else:
            return
    for number in map(int, sys.argv[2:]):
        kernels = socket.socket(fileno=number)
        if {"init", "up"}.isdisjoint(request["words"]):
            kernels.close()
        else:
            starting.__dict__["subprocess"] = KernelForks(Forks(link=kernels))
    sys.argv = [str(MAIN), *request["words"]]
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, sigint_action)
    with exiting_at_once():
        exec(code, {"__name__": "__main__", "__file__": str(MAIN), "__builtins__": __builtins__})


class KernelForks:
    """Replaces the module `subprocess` where a command starts a kernel: the kernel is forked."""

    DEVNULL = subprocess.DEVNULL

    def __init__(self, forks: "Forks") -> None:
        self._forks = forks

    def Popen(  # noqa: N802
        self, command: list[str], *, stdin: int, stdout: IO[bytes], stderr: IO[bytes], cwd: str, pass_fds: tuple[int],
        start_new_session: bool,
    ) -> "Forked":  # fmt: skip
        """Fork the kernel of this command line: python -I -c STARTER SEARCH-PATH kernel.main HOME READY."""
        from tests.living import WARM_MODULE  # the package is not importable before main() has started

        with open(os.devnull, "rb") as nothing:
            descriptors = {0: nothing.fileno(), 1: stdout.fileno(), 2: stderr.fileno(), pass_fds[0]: pass_fds[0]}
            return self._forks.fork(
                WARM_MODULE,
                command[5:],
                descriptors,
                folder=cwd,
                environment=dict(os.environ),
                own_session=start_new_session,
            )


def _fork_child(link: socket.socket, stdin_bytes: bytes) -> bool:
    """Fork a child. Returns True in the child, with its standard descriptors set; False in the server, after its end."""
    (stdin, to), (out, stdout), (err, stderr) = (os.pipe() for _ in range(3))
    os.write(to, stdin_bytes)
    if is_child := not (pid := os.fork()):
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            os.dup2(descriptor, number)
    for descriptor in (stdin, to, stdout, stderr, *((out, err) if is_child else ())):
        os.close(descriptor)
    if is_child:
        return True
    outputs = _read(link, out, err)
    if outputs is None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if outputs is None:
        sys.exit()
    ran = {
        "code": os.waitstatus_to_exitcode(status),
        "out": outputs[0].decode("latin-1"),
        "err": outputs[1].decode("latin-1"),
    }
    link.sendall(json.dumps(ran).encode() + b"\n")
    return False


def _read(link: socket.socket, *pipes: int) -> list[bytes] | None:
    """Read pipes to their ends and close them; None if the requester has closed the link."""
    outputs = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as waiting:
        for descriptor in (link.fileno(), *pipes):
            waiting.register(descriptor, selectors.EVENT_READ)
        while len(waiting.get_map()) > 1:
            for key, _ in waiting.select():
                if key.fd == link.fileno():
                    return None
                part = os.read(key.fd, 65536)
                outputs[key.fd] += part
                if not part:
                    waiting.unregister(key.fd)
                    os.close(key.fd)
    return list(outputs.values())


if __name__ == "__main__":
    main()
