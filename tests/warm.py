"""Starts a kernel whose first template is forked, not executed (acts): this saves a quarter of a second of imports.

The digests of Maniple's code, which each kernel records at its start, are computed once by the forking process.

The fork happens before the kernel has a key in its memory; the child then waits for the arguments and environment that an
executed template would get. Later templates, and those of another module, are executed. Other differences: the forked
template has the kernel's modules loaded, and its hash seed, and so the order of sets, is the same for all homes.
"""

import json
import os
import resource
import sys
import traceback
from importlib import import_module
from socket import socket
from typing import Any, Final, NoReturn

from kernel import core, digests
from kernel.descriptors import pair, receive, send
from kernel.launcher import TEMPLATE
from kernel.process import child, template
from runtime import preload

_preloaded: Final = preload.preload("")


def _code_digests() -> Any:
    """Compute the digests in a child, so that the text of all files does not lie in the memory of every kernel and run."""
    source, target = os.pipe()
    if not (pid := os.fork()):
        os.write(target, json.dumps(digests.code_digests()).encode())
        os._exit(0)
    os.close(target)
    with open(source, "rb") as file:
        found = json.load(file)
    os.waitpid(pid, 0)
    return found


_digests: Final = _code_digests()
_spawn: Final = os.posix_spawn
_LINK: Final = 3


def main(arguments: list[str]) -> None:
    """Fork the template, then run the main() of the module named by the first argument, with the other arguments."""
    ours, theirs = pair()
    pid = os.fork()
    if not pid:
        ours.close()
        _become_template(theirs)
    theirs.close()

    def spawn_template(
        program: str, words: list[str], environment: dict[str, str], *, file_actions: list[tuple[int, ...]]
    ) -> int:
        os.posix_spawn = _spawn
        is_first_template = TEMPLATE in words
        if is_first_template:
            message = json.dumps([words[words.index(TEMPLATE) + 1 :], environment])
            send(ours, message.encode(), [action[1] for action in file_actions if action[-1] == _LINK])
        ours.close()
        if is_first_template:
            return pid
        os.waitpid(pid, 0)
        return _spawn(program, words, environment, file_actions=file_actions)

    os.posix_spawn = spawn_template  # type: ignore[assignment]
    core.__dict__["code_digests"] = lambda: _digests
    import_module(arguments[0]).main(arguments[1:])


def _become_template(ours: socket) -> NoReturn:
    """Wait for arguments and environment, and run as a template with them; exit if the kernel closes its end."""
    try:
        packet, found = receive(ours)
        if packet:
            arguments, environment = json.loads(packet)
            resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
            os.dup2(found[0], _LINK)
            os.closerange(_LINK + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            os.environ.clear()
            os.environ.update(environment)
            child.__dict__["_HASH_SEED"] = environment["PYTHONHASHSEED"]
            preload.__dict__["preload"] = lambda names: _preloaded
            template.main(arguments)
    except BaseException:  # noqa: BLE001 - like an executed process, this one prints any error and ends
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)
