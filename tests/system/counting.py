"""A kernel that tells when it adds up the memory of processes (acts): only tests can start it."""

from collections.abc import Sequence
from pathlib import Path

from kernel import main as kernel_main
from kernel import watch
from kernel.process_tree import resident_of_all

TOLD = "counted"
"""The file in the home that is there when it has done so."""


def main(arguments: list[str]) -> None:
    """Be such a kernel of the home that the arguments name."""

    def told(processes: Sequence[int], shared: int) -> int:
        Path(arguments[0], TOLD).touch()
        return resident_of_all(processes, shared)

    vars(watch)["resident_of_all"] = told
    kernel_main.main(arguments)
