"""A kernel that tells when it has the system count the pages of processes (acts): only tests can start it."""

from collections.abc import Sequence
from pathlib import Path

from kernel import main as kernel_main
from kernel import watch
from kernel.process_tree import memory_of

TOLD = "counted"
"""The file in the home that is there when it has done so."""


def main(arguments: list[str]) -> None:
    """Be such a kernel of the home that the arguments name."""

    def told(processes: Sequence[int], shared: int, most: int) -> int:
        Path(arguments[0], TOLD).touch()
        return memory_of(processes, shared, most)

    vars(watch)["memory_of"] = told
    kernel_main.main(arguments)
