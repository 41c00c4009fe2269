"""The process of a Hand under test: reads a Start from standard input, joins, runs, exits.

With `warm` it does as the template does first: preload, settle, fork; the child's process id is its one line of output.
"""

import os
import sys

import msgspec

from wire.launch import Start


def main(arguments: list[str]) -> None:
    """Be it."""
    start = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Start)
    if arguments == ["warm"]:
        from runtime.preload import preload

        _, settle = preload("")
        settle()
        if pid := os.fork():
            print(pid, flush=True)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    from runtime.main import join

    os._exit(join(start)())


if __name__ == "__main__":
    main(sys.argv[1:])
