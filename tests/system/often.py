"""A kernel that keeps its house, and so its snapshot, many times a second. Started by test_calls_at_a_crash.py as a process.

python -c STARTER SEARCH-PATH tests.system.often HOME READY
"""


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    from kernel import core
    from kernel import main as kernel_main

    core.HOUSEKEEPING, core.SNAPSHOT_AFTER = 0.1, 0  # type: ignore[misc]
    kernel_main.main(arguments)
