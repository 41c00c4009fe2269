"""What every command has (acts): --home, --json, its result on stdout, its words on stderr.

A command is a function of a Session and its own arguments; its docstring is its manual page. `command()` makes the
click command of it; table and help text of the whole stand in commands.py.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import click

from kernel.cli.exits import Ended

if TYPE_CHECKING:
    from kernel.cli.client import Client

Function = TypeVar("Function", bound=Callable[..., None])

HOME_VARIABLE: Final = "MANIPLE_HOME"


class Session:
    """One run of a command. home: the home's path, absolute. json: whether the result is for a program."""

    def __init__(self, home: str, *, json: bool) -> None:
        self.home = home
        self.json = json

    def client(self) -> "Client":
        """A link to the kernel, for a `with`."""
        from kernel.cli.client import Client

        return Client(self.home)

    def say(self, text: str = "") -> None:
        """Words for a person, on stderr."""
        say(text)

    def result(self, value: object, draw: Callable[[], str]) -> None:
        """The result, on stdout: the value as JSON, or drawn for people. draw is called only then."""
        text = as_json(value) if self.json else draw()
        write(text + "\n" if text else "")


def say(text: str) -> None:
    """A line on stderr; where nobody can hear it, nothing."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


def write(text: str) -> None:
    """Text on stdout, there before this returns. Raises OSError when it cannot be taken."""
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


def as_json(value: object) -> str:
    """A result for programs."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def chosen_home(option: str | None) -> str:
    """The home: --home, else MANIPLE_HOME, else ~/.maniple."""
    named = option or os.environ.get(HOME_VARIABLE) or "~/.maniple"
    home = os.path.expanduser(named)
    if home.startswith("~"):
        raise Ended("there is no home folder to put .maniple in: name a home with --home")
    return os.path.abspath(home)


def command(*, json: bool = True) -> Callable[[Function], click.Command]:
    """Make a command of a function of a Session and its parameters.

    json: it has a result that a program may want.
    """

    def made(function: Function) -> click.Command:
        parameters: list[click.Parameter] = list(reversed(getattr(function, "__click_params__", [])))
        options = [_home_option(), *([_json_option()] if json else [])]

        def callback(**given: object) -> None:
            path = given.pop("home") or _outer_home(click.get_current_context())
            is_json = bool(given.pop("json", False))
            function(Session(chosen_home(str(path) if path else None), json=is_json), **given)

        return click.Command(
            function.__name__.replace("_", "-"),
            callback=callback,
            params=[*parameters, *options],
            help=_manual(function.__doc__ or ""),
        )

    return made


def _outer_home(ctx: click.Context) -> str | None:
    """--home as given before the command's name."""
    return ctx.find_root().params.get("home")


def _home_option() -> click.Option:
    return click.Option(
        ["--home"], metavar="DIR", help="The home, instead of $MANIPLE_HOME or ~/.maniple.", type=click.Path()
    )


def _json_option() -> click.Option:
    return click.Option(["--json"], is_flag=True, help="The result as JSON.")


def _manual(docstring: str) -> str:
    """A docstring as click's help: its first line, then its paragraphs; indented blocks are kept as they are."""
    from inspect import cleandoc

    paragraphs = cleandoc(docstring).split("\n\n")
    return "\n\n".join(f"\b\n{text}" if text.startswith("    ") else text for text in paragraphs)


def hand_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of installed Hands, for the shell's completion; none when the kernel does not run."""
    from kernel.cli import told
    from wire.errors import ManipleError

    try:
        with Session(chosen_home(_outer_home(ctx)), json=False).client() as client:
            hands = told.read(client.call("kernel.hands").value, told.Rows).hands
    except (ManipleError, OSError):
        return []
    return [hand.name for hand in hands if hand.name.startswith(incomplete)]


hand_argument: Final = click.argument("hand", metavar="HAND", shell_complete=hand_names)
