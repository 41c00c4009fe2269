"""What a program is told of a command that failed (pure): the one object that --json prints then, whatever the command.

main.py prints it, unless a result has gone to stdout before: that tells itself what is wrong, as those of `check` and
`start --wait` do, or is lines or bytes that nothing may follow. After Ctrl-C there is none: whoever typed it knows.
"""

from collections.abc import Sequence
from typing import Final

from kernel.cli.exits import Exit, NotDone

_CODES: Final = {
    Exit.FAILED: "failed",
    Exit.USAGE: "usage",
    Exit.NO_KERNEL: "no kernel",
    Exit.REFUSED: "refused",
    Exit.UNVERIFIED: "not verified",
}
"""The code of what was no end of a call, by its exit code."""


def is_for_a_program(words: Sequence[str]) -> bool:
    """Whether the words of a command, right or wrong, ask for JSON; what follows `--` is another program's."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def told(error: BaseException, text: str, code: Exit) -> dict[str, object]:
    """The object. text: the sentence that a person reads; code: the exit code. docs/cli.md has what its keys mean."""
    reason = error.reason if isinstance(error, NotDone) else ""
    is_refused = code is Exit.REFUSED
    return {
        "outcome": "refused" if is_refused else "cancelled" if reason == "cancelled" else "failed",
        "code": reason or _CODES.get(code, "failed"),
        "text": text,
        "grant": error.grant if isinstance(error, NotDone) else "",
        "exit": int(code),
    }
