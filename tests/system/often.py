"""A kernel that keeps its house many times a second, and a snapshot behind each entry. Started as a process.

python -c STARTER SEARCH-PATH tests.system.often HOME READY
"""


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    from kernel import core
    from kernel import main as kernel_main

    core.HOUSEKEEPING, core.SNAPSHOT_AFTER = 0.1, 1  # type: ignore[misc]
    kernel_main.main(arguments)
