"""The JSON object that any command prints with --json when it fails (pure).

main.py prints it, unless something has gone to stdout before: a result that itself says what is wrong, as those of
`check` and `start --wait` do, or lines or bytes that nothing may follow. After Ctrl-C none is printed.
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
"""The object's `code` for failures that are not ends of calls, by exit code."""


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line, valid or not, asks for JSON; words after `--` belong to another program."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def as_json(error: BaseException, text: str, code: Exit) -> dict[str, object]:
    """The object, whose keys docs/cli.md explains. text: the sentence on stderr; code: the exit code."""
    reason = error.reason if isinstance(error, NotDone) else ""
    is_refused = code is Exit.REFUSED
    return {
        "outcome": "refused" if is_refused else "cancelled" if reason == "cancelled" else "failed",
        "code": reason or _CODES.get(code, "failed"),
        "text": text,
        "grant": error.grant if isinstance(error, NotDone) else "",
        "exit": int(code),
    }
