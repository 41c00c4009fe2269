"""The process of a Hand under test: reads a Start from standard input, joins, runs, exits."""

import os
import sys

import msgspec

from wire.launch import Start


def main() -> None:
    start = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Start)
    from runtime.main import join

    os._exit(join(start)())


if __name__ == "__main__":
    main()
