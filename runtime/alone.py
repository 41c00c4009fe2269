"""The process of a run that a test replays (acts): the usual runtime, without kernel and confinement; see replayed.py.

Started as `python -m runtime.alone`, with a Start on standard input. A WASM Hand's compiled module, which the template
prepares for other runs, is made here.
"""

import os
import random
import sys

import msgspec
from msgspec.structs import replace

from manifests import schema
from runtime.main import join
from wire.launch import Start


def main() -> None:
    """Runs the Hand and ends with its exit code."""
    start = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Start)
    if module := schema.decode(start.launch.manifest).hand.wasm:
        from runtime.wasm.engine import Engine, Module, binary_of

        start = replace(start, artefact=Module.from_binary(Engine(), binary_of(start.code[module])).artefact())
    random.seed(start.launch.seed)
    os._exit(join(start)())


if __name__ == "__main__":
    main()
