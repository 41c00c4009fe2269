"""What every command has (acts): --home, --json, its result on stdout, its words on stderr.

Text goes out by say() and write(): what they are given may come from a Hand, and nothing in it reaches a terminal that is
more than a character to see. What draws a line anew, or prints words as they come, writes by itself, and only what screen.py
made safe: audit_verify.py, pipeline_run.py, progress.py, words.py. Bytes go into a pipe as they are: streams.py.

A command is a function of a Session and its own arguments; its docstring is its manual page. `command()` makes the
click command of it; table and help text of the whole stand in commands.py.
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
"""By which a command tells its own manual page, whoever calls it."""

HOME_VARIABLE: Final = "MANIPLE_HOME"
RECENT: Final = 5_000


class Printed:
    """Whether a command has put something on stdout; main.py gives one to each, as the object of click's context."""

    is_any = False


class Session:
    """One run of a command. home: the home's path, absolute. json: whether the result is for a program.

    named: the home as it was typed after --home, "" when it was not; hints repeat it.
    """

    def __init__(self, home: str, *, json: bool, named: str = "") -> None:
        self.home = home
        self.json = json
        self.named = named

    def client(self) -> "Client":
        """A link to the kernel, for a `with`."""
        from kernel.cli.client import Client

        return Client(self.home)

    def log(self) -> "Path":
        """The log's folder, once all that a running kernel has done so far is on disk. Raises Ended where there is none."""
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
        """Words of ours, whose hints name the home that was named."""
        return with_home(text, self.named)

    def say(self, text: str = "") -> None:
        """Words for a person, on stderr."""
        say(self.hinted(text))

    def result(self, value: object, draw: Callable[[], str], *, nothing: str = "") -> None:
        """The result, on stdout: the value as JSON, or drawn for people. draw is called only then.

        What looks like a hint in it stays as it is, for most of it is others' text: draw passes its own through hinted().
        nothing: the words for a person, on stderr, where there is nothing to draw.
        """
        if self.json:
            write_json(as_json(value) + "\n")
        elif text := draw():
            write(text + "\n")
        elif nothing:
            self.say(nothing)


def say(text: str) -> None:
    """Lines on stderr; where nobody can hear them, nothing."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(screen.safe(text) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


def write(text: str) -> None:
    """Text on stdout, there before this returns. Raises OSError when it cannot be taken."""
    _write(screen.safe(text))


def write_json(text: str, *, exact: bool = False) -> None:
    """JSON on stdout, as write() does. exact: byte for byte, unless a terminal shows it."""
    _write(text if exact and not screen.is_terminal(sys.stdout) else screen.safe_json(text))


def note_printed() -> None:
    """Something goes to stdout: what has begun there is not followed by an object that tells of a failure."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and isinstance(ctx.obj, Printed):
        ctx.obj.is_any = True


def _write(text: str) -> None:
    if text:
        note_printed()
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


def as_json(value: object) -> str:
    """A result for programs; nothing in it acts on a terminal."""
    import msgspec

    from wire import codec

    return screen.safe_json(msgspec.json.format(codec.as_json(value), indent=2).decode())


def chosen_home(option: str | None) -> str:
    """The home: --home, else MANIPLE_HOME, else ~/.maniple. Its path goes over the bus to every run, so it is text."""
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
    """Make a command of a function of a Session and its parameters.

    json: it has a result that a program may want.
    """

    def made(function: Function) -> click.Command:
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

    return made


def _outer_home(ctx: click.Context) -> str | None:
    """--home as given before the command's name."""
    return ctx.find_root().params.get("home")


def _home_option() -> click.Option:
    return click.Option(
        ["--home"],
        metavar="DIR",
        help="The home, instead of $MANIPLE_HOME or ~/.maniple.",
        type=click.Path(readable=False),  # whoever may not read it is told so as by the variable
    )


def _json_option() -> click.Option:
    return click.Option(["--json"], is_flag=True, help="Print the result as JSON.")


def _manual(docstring: str) -> str:
    """A docstring as click's help: its first line, then its paragraphs; indented blocks are kept as they are."""
    from inspect import cleandoc

    paragraphs = cleandoc(docstring).split("\n\n")
    return "\n\n".join(f"\b\n{text}" if text.startswith("    ") else text for text in paragraphs)


def hand_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of installed Hands, for the shell's completion; none when the kernel does not run."""
    from kernel.cli import replies
    from wire.errors import ManipleError

    try:
        with Session(chosen_home(_outer_home(ctx)), json=False).client() as client:
            hands = replies.read(client.call("kernel.hands").value, replies.Rows).hands
    except (ManipleError, OSError):
        return []
    return [hand.name for hand in hands if hand.name.startswith(incomplete)]


def run_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of runs that the log's last RECENT entries tell the start of, for the shell's completion, the newest first."""
    from kernel.cli import logbook
    from wire.errors import ManipleError

    try:
        lines, _place = logbook.last_lines(logbook.folder_of(chosen_home(_outer_home(ctx))), RECENT)
        begun = [logbook.read(line).run for line in reversed(lines) if b'"kind":"run.start"' in line]
    except (ManipleError, OSError):
        return []
    return [run for run in dict.fromkeys(begun) if run.startswith(incomplete)]


def hand_or_run_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Both, where both may stand."""
    return [*hand_names(ctx, param, incomplete), *run_names(ctx, param, incomplete)]


class _RunId(click.ParamType[str]):
    """The id of a run, whether there is one or not."""

    name = "run"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if str(value).startswith("r-") and screen.is_text(str(value)):
            return str(value)
        raise Ended(
            f"{value} is not a run's id: see `maniple ps`, and `maniple runs` for those of the past", Exit.USAGE
        )


run_argument: Final = click.argument("run", metavar="RUN", type=_RunId(), shell_complete=run_names)
hand_argument: Final = click.argument("hand", metavar="HAND", shell_complete=hand_names)
