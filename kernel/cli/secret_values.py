"""Secrets as people give them (acts): typed and not shown, a line on stdin, a variable of the environment, or a file.

None of these puts a secret among a command's words, where the shell's history and the list of processes have it.
"""

import os
import sys
from typing import Final

from kernel.cli import named_files, screen, standard_input
from kernel.cli.exits import Ended, Exit

LONGEST: Final = 64 * 1024
"""Bytes of a file that is a secret."""


def asked(hand: str, name: str) -> str:
    """As it is typed, or the next line of stdin."""
    if screen.is_terminal(sys.stdin):
        return typed(name, f"{name} of {hand}")
    line = standard_input.line(f"the line for `{name}`")
    if not line:
        raise Ended(f"no value for `{name}` came on stdin: give a line for each --secret", Exit.USAGE)
    return _not_empty(line, f"the line for `{name}` on stdin")


def typed(name: str, what: str) -> str:
    """As it is typed on the terminal, and not shown. what: it is called there."""
    from getpass import getpass

    try:
        text = getpass(f"{what} (not shown): ")
    except EOFError:
        raise Ended(f"no value for `{name}` was typed, and nothing was changed", Exit.USAGE) from None
    return _not_empty(text, f"what was typed for `{name}`")


def of_environment(variable: str) -> str:
    """The value of a variable. Raises Ended for one that is not set."""
    if (value := os.environ.get(variable)) is None:
        raise Ended(f"no environment variable {variable} is set: `export {variable}` it, or give --secret", Exit.USAGE)
    return _not_empty(value, f"the environment variable {variable}")


def of_file(path: str) -> str:
    """What a file holds. Raises Ended for one that cannot be read, or is no secret."""
    try:
        with named_files.open_to_read(path) as file:
            content = file.read(LONGEST + 1)
        text = content.decode()
    except OSError as error:
        raise named_files.unreadable(path, error) from None
    except UnicodeDecodeError:
        raise Ended(f"{path} is not UTF-8 text, so it is not a secret that can be set", Exit.USAGE) from None
    if len(content) > LONGEST:
        raise Ended(
            f"{path} has more than {LONGEST // 1024} KiB: name the file that holds the secret alone", Exit.USAGE
        )
    return _not_empty(text, path)


def pair(option: str, word: str) -> tuple[str, str]:
    """KEY and where its value is. Raises Ended for a word that is not KEY=WHERE, and does not repeat it."""
    name, sign, where = word.partition("=")
    if not sign or not name or not where:
        raise Ended(f"{option} wants KEY=WHERE, such as {option} anthropic_key=…: see --help", Exit.USAGE)
    return name, where


def _not_empty(text: str, where: str) -> str:
    """A secret without the end of its line, whichever system wrote it. Raises Ended for an empty one."""
    if not (value := text.rstrip("\r\n")):
        raise Ended(f"{where} is empty", Exit.USAGE)
    return value
