"""A program that loads a door's token and kills itself before one step (acts). tests/cli/test_repeated_commands.py runs it.

python -m tests.cli.mortal STEP HOME HAND: a step opens a file of the home for writing, or renames, links or removes one;
STEP counts from 0. Prints the token if it ends before that step.
"""

import os
import signal
import sys

from kernel.cli.mcp_listening import load_token

STEPS = frozenset({"os.rename", "os.link", "os.remove"})


def main(left: int, home: str, hand: str) -> None:
    """Load the token; kill this process before step `left`."""

    def count_step(event: str, given: tuple[object, ...]) -> None:
        nonlocal left
        is_opened = event == "open" and isinstance(given[0], str) and given[0].startswith(home)
        if event in STEPS or (is_opened and int(str(given[2])) & (os.O_WRONLY | os.O_RDWR)):
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(count_step)
    print(load_token(home, hand, renew=False)[1])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
