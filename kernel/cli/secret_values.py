"""Reads secrets from the terminal without echo, from a line of stdin, an environment variable or a file (acts).

None of these puts a secret on the command line, where the shell's history and the process list would show it.
"""

import os
import sys
from collections.abc import Iterable
from typing import Final

from kernel.cli import named_files, screen, standard_input
from kernel.cli.exits import Ended, Exit

FILE_MAX: Final = 64 * 1024
"""Most bytes of a file with a secret."""


def ask(hand: str, name: str) -> str:
    """Prompt for a Hand's secret setting, or read the next line of stdin if that is not a terminal."""
    if screen.is_terminal(sys.stdin):
        return prompt(name, f"{name} of {hand}")
    line = standard_input.read_line(f"the line for `{name}`")
    if not line:
        raise Ended(f"no value for `{name}` came on stdin: give a line for each --secret", Exit.USAGE)
    return _not_empty(line, f"the line for `{name}` on stdin")


def prompt(name: str, what: str) -> str:
    """Prompt for a secret on the terminal, without echo. what: its name in the prompt."""
    from getpass import getpass

    try:
        text = getpass(f"{what} (not shown): ")
    except EOFError:
        raise Ended(f"no value for `{name}` was typed, and nothing was changed", Exit.USAGE) from None
    return _not_empty(text, f"what was typed for `{name}`")


def from_environment(variable: str) -> str:
    """Read an environment variable. Raises Ended if it is not set; what is no name may be a secret and is not repeated."""
    if (value := os.environ.get(variable)) is None:
        if not variable.isidentifier():
            raise Ended("the value of --secret-env is not the name of an environment variable", Exit.USAGE)
        raise Ended(f"no environment variable {variable} is set: `export {variable}` it, or give --secret", Exit.USAGE)
    return _not_empty(value, f"the environment variable {variable}")


def from_file(path: str) -> str:
    """Read a file. Raises Ended if it cannot be read, is too long or is not UTF-8."""
    try:
        with named_files.open_to_read(path) as file:
            content = file.read(FILE_MAX + 1)
        text = content.decode()
    except OSError as error:
        raise named_files.unreadable(path, error) from None
    except UnicodeDecodeError:
        raise Ended(f"{path} is not UTF-8 text, so it is not a secret that can be set", Exit.USAGE) from None
    if len(content) > FILE_MAX:
        raise Ended(
            f"{path} has more than {FILE_MAX // 1024} KiB: name the file that holds the secret alone", Exit.USAGE
        )
    return _not_empty(text, path)


def parse_pair(option: str, word: str) -> tuple[str, str]:
    """Split KEY=WHERE. Raises Ended for other words, without repeating them, as they may hold a secret."""
    name, sign, where = word.partition("=")
    if not sign or not name or not where:
        raise Ended(f"{option} wants KEY=WHERE, such as {option} anthropic_key=…", Exit.USAGE)
    return name, where


def check_names(names: Iterable[str]) -> None:
    """Check the words of --secret. Raises Ended for NAME=VALUE, without repeating it, as it holds a secret."""
    if any("=" in name for name in names):
        raise Ended("--secret wants a name alone, and asks for its value", Exit.USAGE)


def _not_empty(text: str, where: str) -> str:
    """Strip the line ending, LF or CRLF, from a secret. Raises Ended if nothing is left."""
    if not (value := text.rstrip("\r\n")):
        raise Ended(f"{where} is empty", Exit.USAGE)
    return value
