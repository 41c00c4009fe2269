"""Wrong usage in our own words (pure): what click found is told as what is wrong and what is expected."""

from typing import Final

import click

from kernel.cli import commands
from manifests.suggestions import did_you_mean

LARGEST: Final = 999_999_999_999_999
"""The largest number that is read: more than any log has entries, and what every part of Python can count to."""


class Whole(click.ParamType[int]):
    """A whole number, at least `least` and at most `most`."""

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


def explained(error: click.UsageError) -> str:
    """What is wrong, in a sentence without its end."""
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


def page(error: click.UsageError, words: list[str]) -> str:
    """The command whose manual page tells more. words: as they were typed."""
    return error.ctx.command_path if error.ctx is not None else page_of(words)


def page_of(words: list[str]) -> str:
    """The same, of words that name a command."""
    behind = [word for at, word in enumerate(words) if at == 0 or words[at - 1] != "--home"]
    named = [word for word in behind if word in commands.TOP][:1]
    if named and named[0] in commands.GROUPS:
        named += [word for word in behind if word in commands.GROUPS[named[0]]][:1]
    return " ".join(["maniple", *named])


def _name_of(param: click.Parameter | None) -> str:
    """As the usage line names it: an option by its longest name, an argument by its metavar."""
    if param is None:
        return "a value"
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return (param.metavar or param.name or "").strip("[].")
