"""A door's token is asked for by a process that is killed before one step (acts). Started by test_removed_again.py.

python -m tests.cli.mortal STEP HOME HAND: steps are files of the home that are opened for writing, named anew, linked, or
removed, counted from 0. Says the token when it was not killed.
"""

import os
import signal
import sys

from kernel.cli.mcp_listening import token_of

STEPS = frozenset({"os.rename", "os.link", "os.remove"})


def main(left: int, home: str, hand: str) -> None:
    """Ask for it."""

    def heard(event: str, given: tuple[object, ...]) -> None:
        nonlocal left
        is_opened = event == "open" and isinstance(given[0], str) and given[0].startswith(home)
        if event in STEPS or (is_opened and int(str(given[2])) & (os.O_WRONLY | os.O_RDWR)):
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(heard)
    print(token_of(home, hand, anew=False)[1])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
