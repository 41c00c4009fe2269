"""The parts that all commands share (acts): --home, --json, results on stdout, messages on stderr.

say() and write() print text that may come from a Hand: they escape everything that is not a visible character. Modules
that redraw a line, or print words as they arrive, write by themselves, and only text that screen.py escaped: audit_verify.py,
pipeline_run.py, progress.py, words.py. streams.py writes bytes into pipes unchanged.

A command is a function of a Session and its own arguments; its docstring is its manual page. `command()` turns it into a
click command; commands.py lists all commands with their short help.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import click

from kernel.cli import screen
from kernel.cli.exits import Ended, Exit, NoKernel
from kernel.cli.hints import with_home

if TYPE_CHECKING:
    from pathlib import Path

    from kernel.cli.client import Client

Function = TypeVar("Function", bound=Callable[..., None])

HELP: Final = ("-h", "--help")
"""The options that print a command's manual page."""

HOME_VARIABLE: Final = "MANIPLE_HOME"
HOME_HELP: Final = "The home, instead of $MANIPLE_HOME or ~/.maniple."
RECENT_ENTRIES: Final = 5_000
"""Entries of the log that the completion of run ids reads."""


class Output:
    """Records whether a command has written to stdout; main.py passes one to each, as the object of click's context."""

    has_begun = False


class Session:
    """One run of a command. home: the home's absolute path. json: whether --json was given.

    named: the home as typed after --home, which hints repeat; "" without --home.
    """

    def __init__(self, home: str, *, json: bool, named: str = "") -> None:
        self.home = home
        self.json = json
        self.named = named

    def client(self) -> "Client":
        """Connect to the kernel; use the client in a `with`."""
        from kernel.cli.client import Client

        return Client(self.home, say=self.say)

    def log(self) -> "Path":
        """Wait until everything that a running kernel has done is on disk, and return the log's folder. Ended if none."""
        from kernel.cli import logbook
        from kernel.cli.client import Client

        folder = logbook.folder_of(self.home)
        try:
            with Client(self.home, is_written=True):
                return folder
        except NoKernel:
            return folder
        except Ended as error:
            self.say(f"what the kernel did last may be missing here: {error}")
            return folder

    def hinted(self, text: str) -> str:
        """A message of Maniple whose hints, commands between backquotes, repeat --home as typed."""
        return with_home(text, self.named)

    def say(self, text: str = "") -> None:
        """Print a message for a person on stderr, with its hints completed."""
        say(self.hinted(text))

    def result(self, value: object, draw: Callable[[], str], *, nothing: str = "") -> None:
        """Print the result on stdout: the value as JSON, or what draw() returns for people.

        Hints in the drawn text are left alone, as most of it is written by others; draw calls hinted() for its own.
        nothing: the message on stderr if draw() returns "".
        """
        if self.json:
            write_json(as_json(value) + "\n")
        elif text := draw():
            write(text + "\n")
        elif nothing:
            self.say(nothing)


def say(text: str) -> None:
    """Print lines on stderr, escaped; errors of stderr are ignored."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(screen.safe(text) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


def write(text: str) -> None:
    """Print text on stdout, escaped, and flush it. Raises OSError if that fails."""
    _write(screen.safe(text))


def write_json(text: str, *, exact: bool = False) -> None:
    """Print JSON on stdout, as write() does. exact: do not escape it, except on a terminal."""
    _write(text if exact and not screen.is_terminal(sys.stdout) else screen.safe_json(text))


def note_printed() -> None:
    """Record that output on stdout has begun: main.py then prints no failure object behind it."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and isinstance(ctx.obj, Output):
        ctx.obj.has_begun = True


def _write(text: str) -> None:
    if text:
        note_printed()
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


def as_json(value: object) -> str:
    """Encode a result as indented JSON in which nothing acts on a terminal."""
    import msgspec

    from wire import codec

    return screen.safe_json(msgspec.json.format(codec.as_json(value), indent=2).decode())


def chosen_home(option: str | None) -> str:
    """The home's absolute path: --home, else MANIPLE_HOME, else ~/.maniple. Ended if it is not text, which the bus needs."""
    named = option or os.environ.get(HOME_VARIABLE) or "~/.maniple"
    home = os.path.expanduser(named)
    if home.startswith("~"):
        raise Ended("there is no home folder to put .maniple in: name one, as in `maniple --home DIR init`")
    path = os.path.abspath(home)
    if not screen.is_text(path):
        raise Ended(
            f"the path of a home is UTF-8 text, and {path} is not: name another, as in `maniple init --home DIR`",
            Exit.USAGE,
        )
    return path


def command(*, json: bool = True) -> Callable[[Function], click.Command]:
    """Decorator: turn a function of a Session and its parameters into a click command.

    json: the command has a result, and so the option --json.
    """

    def decorate(function: Function) -> click.Command:
        parameters: list[click.Parameter] = list(reversed(getattr(function, "__click_params__", [])))
        options = [_home_option(), *([_json_option()] if json else [])]

        def callback(**given: object) -> None:
            named = str(given.pop("home") or _outer_home(click.get_current_context()) or "")
            is_json = bool(given.pop("json", False))
            function(Session(chosen_home(named), json=is_json, named=named), **given)

        return click.Command(
            function.__name__.replace("_", "-"),
            callback=callback,
            params=[*parameters, *options],
            help=_manual(function.__doc__ or ""),
            context_settings={"help_option_names": [*HELP]},
        )

    return decorate


def _outer_home(ctx: click.Context) -> str | None:
    """The value of --home before the command's name."""
    return ctx.find_root().params.get("home")


def _home_option() -> click.Option:
    return click.Option(
        ["--home"],
        metavar="DIR",
        help=HOME_HELP,
        type=click.Path(readable=False),  # a home that cannot be read gives the same error as with the variable
    )


def _json_option() -> click.Option:
    return click.Option(["--json"], is_flag=True, help="Print the result as JSON.")


def _manual(docstring: str) -> str:
    """Convert a docstring into click's help text; indented blocks keep their lines."""
    from inspect import cleandoc

    paragraphs = cleandoc(docstring).split("\n\n")
    return "\n\n".join(f"\b\n{text}" if text.startswith("    ") else text for text in paragraphs)


def complete(ctx: click.Context, incomplete: str, names: "Callable[[Client], list[str]]") -> list[str]:
    """Complete one of the names that a running kernel knows; nothing without one."""
    from wire.errors import ManipleError

    try:
        with Session(chosen_home(_outer_home(ctx)), json=False).client() as client:
            return [name for name in names(client) if name.startswith(incomplete)]
    except (ManipleError, OSError):
        return []


def hand_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of an installed Hand."""
    from kernel.cli import replies

    def names(client: "Client") -> list[str]:
        return [hand.name for hand in replies.read(client.call("kernel.hands").value, replies.Hands).hands]

    return complete(ctx, incomplete, names)


def method_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a method that a Hand provides."""
    from kernel.cli.call import fetch_methods

    def names(client: "Client") -> list[str]:
        return [row.method for row in fetch_methods(client) if not row.method.startswith("kernel.")]

    return complete(ctx, incomplete, names)


def run_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the id of a run that started within the log's last RECENT_ENTRIES entries, newest first."""
    from kernel.cli import logbook
    from wire.errors import ManipleError

    try:
        lines, _place = logbook.last_lines(logbook.folder_of(chosen_home(_outer_home(ctx))), RECENT_ENTRIES)
        started = [logbook.read(line).run for line in reversed(lines) if b'"kind":"run.start"' in line]
    except (ManipleError, OSError):
        return []
    return [run for run in dict.fromkeys(started) if run.startswith(incomplete)]


def hand_or_run_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a Hand or the id of a run."""
    return [*hand_names(ctx, param, incomplete), *run_names(ctx, param, incomplete)]


class _RunId(click.ParamType[str]):
    """The parameter type of a run's id; the run need not exist."""

    name = "run"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if str(value).startswith("r-") and screen.is_text(str(value)):
            return str(value)
        raise Ended(
            f"{value} is not a run's id: see `maniple ps`, and `maniple runs` for those of the past", Exit.USAGE
        )


RUN_ID: Final = _RunId()
run_argument: Final = click.argument("run", metavar="RUN", type=RUN_ID, shell_complete=run_names)
hand_argument: Final = click.argument("hand", metavar="HAND", shell_complete=hand_names)
