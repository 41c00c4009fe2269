"""Texts of usage errors (pure): what is wrong and what is expected, in place of click's own messages."""

from typing import Final

import click

from kernel.cli import commands
from manifests.suggestions import did_you_mean

LARGEST: Final = 999_999_999_999_999
"""The largest number that an argument may be: above the entries of any log, and within 64 bits."""


class WholeNumber(click.ParamType[int]):
    """The parameter type of a whole number from `least` to `most`."""

    name = "number"

    def __init__(self, least: int, most: int = LARGEST) -> None:
        self._least, self._most = least, most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        if not (text.isascii() and text.isdecimal() and self._least <= int(text[:32]) <= self._most):
            self.fail(f"`{text}` is not a whole number from {self._least} to {self._most}", param, ctx)
        return int(text)


def explain(error: click.UsageError) -> str:
    """Say in a sentence, without a full stop, what is wrong."""
    match error:
        case click.MissingParameter():
            return f"{_name_of(error.param)} is missing"
        case click.BadParameter():
            return f"{_name_of(error.param)}: {error.message.rstrip('.')}"
        case click.NoSuchOption(option_name="--json") if error.ctx is not None and error.ctx.parent is None:
            return "--json comes after the command, as in `maniple status --json`"
        case click.NoSuchOption():
            return f"there is no option {error.option_name}{did_you_mean(next(iter(error.possibilities or ()), ''))}"
        case click.BadOptionUsage():
            wants = "takes no value" if "does not take" in error.message else "needs a value after it"
            return f"{error.option_name} {wants}"
    message = error.format_message().rstrip(".")
    if message.startswith("Got unexpected extra argument"):
        return f"it takes no more arguments, and was given {message.partition('(')[2].removesuffix(')')}"
    return message


def command_of(error: click.UsageError, words: list[str]) -> str:
    """The command whose manual page explains the error, as in `maniple audit tail`. words: as they were typed."""
    return error.ctx.command_path if error.ctx is not None else command_in(words)


def command_in(words: list[str]) -> str:
    """The command that these words name, as in `maniple audit tail`; `maniple` if they name none."""
    candidates = [word for at, word in enumerate(words) if at == 0 or words[at - 1] != "--home"]
    named = [word for word in candidates if word in commands.TOP][:1]
    if named and named[0] in commands.GROUPS:
        named += [word for word in candidates if word in commands.GROUPS[named[0]]][:1]
    return " ".join(["maniple", *named])


def _name_of(param: click.Parameter | None) -> str:
    """A parameter's name in the usage line: an option's longest name, an argument's metavar."""
    if param is None:
        return "a value"
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return (param.metavar or param.name or "").strip("[].")
