"""A kernel that ends sooner who floods it with what concerns no open call, so that a test need not send as much.

python -c STARTER SEARCH-PATH tests.system.impatient HOME READY
"""


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    from kernel import main as kernel_main
    from kernel import runs

    runs.__dict__["LATE_PER_MINUTE"] = 6_000
    kernel_main.main(arguments)
