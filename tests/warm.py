"""A kernel whose first template is forked beside it (acts): to be executed would cost that a quarter of a second of imports.

The fork is made before the kernel has a key in its memory, and waits to be told what it is to be, as an interpreter is by
its command line. A template that comes later, or one of another module, is executed. What else differs: such a template has
the kernel's modules, and one order of sets for all homes, that of whatever forks.
"""

import json
import os
import resource
import sys
import traceback
from importlib import import_module
from socket import socket
from typing import Final, NoReturn

from kernel.descriptors import pair, receive, send
from kernel.launcher import TEMPLATE
from kernel.process import child, template
from runtime import preload

_preloaded: Final = preload.preload("")
_spawn: Final = os.posix_spawn
_LINK: Final = 3


def main(arguments: list[str]) -> None:
    """As the main() of the kernel's module, which is the first argument, with those after it."""
    end, theirs = pair()
    pid = os.fork()
    if not pid:
        end.close()
        _be_template(theirs)
    theirs.close()

    def begin(
        program: str, words: list[str], environment: dict[str, str], *, file_actions: list[tuple[int, ...]]
    ) -> int:
        os.posix_spawn = _spawn
        is_usual = TEMPLATE in words
        if is_usual:
            told = json.dumps([words[words.index(TEMPLATE) + 1 :], environment])
            send(end, told.encode(), [action[1] for action in file_actions if action[-1] == _LINK])
        end.close()
        if is_usual:
            return pid
        os.waitpid(pid, 0)
        return _spawn(program, words, environment, file_actions=file_actions)

    os.posix_spawn = begin  # type: ignore[assignment]
    import_module(arguments[0]).main(arguments[1:])


def _be_template(end: socket) -> NoReturn:
    """Wait to be told, and become it. The kernel's end may be closed instead."""
    try:
        packet, found = receive(end)
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
    except BaseException:  # noqa: BLE001 - whatever it was, the process ends here, as one that was executed would
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)
