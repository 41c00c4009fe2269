"""Entry point of the command line (acts): runs a command, and turns any error into one sentence and an exit code.

No traceback leaves this module. Python's exceptions about this machine (no permission, full disk, closed pipe) become
one line each; a bug in Maniple is reported as one, with its file and line.
"""

import importlib
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from typing import Final, NoReturn

import click

from kernel.cli import commands, failures, named_files, room, usage_errors
from kernel.cli.exits import Ended, Exit, NoHand, NoProvider, NotDone, NotLinux, RunNotDone
from kernel.cli.frame import HELP, HOME_HELP, Output, as_json, chosen_home, say, write, write_json
from kernel.cli.hints import with_home
from kernel.cli.screen import listed, visible
from manifests.errors import ManifestInvalid, Problem
from manifests.names import is_hand_name
from manifests.suggestions import did_you_mean, nearest
from wire.errors import ManipleError

PROJECT: Final = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "pyproject.toml"
)
_WITHOUT_RUN: Final = ("template", "ended")
"""Codes of a call that failed because no run could be made; `ended` has other causes as well."""


class CommandGroup(click.Group):
    """A group of commands from a table (name: short help). It imports a command's module only when that command is used."""

    def __init__(self, name: str, rows: Mapping[str, str], *, prefix: str = "", default: str = "", about: str) -> None:
        super().__init__(
            name,
            help=about,
            params=[] if prefix else _options(),
            no_args_is_help=not default,
            context_settings={"help_option_names": [*HELP]},
        )
        self._rows = rows
        self._prefix = prefix
        self._default = default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._rows:
            return None
        inner = commands.GROUPS.get(cmd_name) if not self._prefix else None
        if inner is not None:
            default = commands.DEFAULTS.get(cmd_name, "")
            about = commands.TOP[cmd_name] + "." + (f" Alone it is `maniple {cmd_name} {default}`." if default else "")
            return CommandGroup(cmd_name, inner, prefix=cmd_name + " ", default=default, about=about)
        name = commands.module_of(self._prefix + cmd_name)
        module = importlib.import_module(f"kernel.cli.{name}")
        found: click.Command = getattr(module, name)
        found.name = cmd_name
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self._default and (not args or (args[0].startswith("-") and args[0] not in HELP)):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._rows and not args[0].startswith("-"):
            ctx.fail(self._unknown(args[0]))
        return super().resolve_command(ctx, args)

    def _unknown(self, name: str) -> str:
        absent = f"there is no command `{self._prefix}{name}`"
        if meant := nearest(name, self._rows):
            return f"{absent}: did you mean `maniple {self._prefix}{meant}`?"
        return f"{absent}: it has {listed([*self._rows])}" if self._prefix else absent

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = {"Commands": self._rows} if self._prefix else commands.SECTIONS
        widest = max(len(name) for rows in sections.values() for name in rows)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), help) for name, help in rows.items()])


def _options() -> list[click.Parameter]:
    """The options of `maniple` itself, which stand before a command's name."""
    return [
        click.Option(["--home"], metavar="DIR", type=click.Path(readable=False), help=HOME_HELP),
        click.Option(["--version"], is_flag=True, expose_value=False, callback=_version, help="Print the version."),
    ]


def _version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the version that pyproject.toml states, and exit."""
    if is_asked and not ctx.resilient_parsing:
        import tomllib

        with open(PROJECT, "rb") as file:
            write(f"maniple {tomllib.load(file)['project']['version']}\n")
        ctx.exit()


def cli() -> click.Group:
    """Build the root command."""
    return CommandGroup(
        "maniple",
        commands.TOP,
        about="Maniple: Hands as confined processes, under a small kernel that checks and logs every call.\n\n"
        "Begin with `maniple init`, then `maniple up`. What a command does: `maniple COMMAND --help`.\n\n"
        "Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 usage, "
        "3 kernel not running, 4 refused, 5 verification failed, 130 interrupted.",
    )


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its code."""
    _open_standard_descriptors()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if the caller ignores it, no child can be waited for
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    words = sys.argv[1:] if arguments is None else arguments
    code = _run_until_interrupted(words)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        _close_stdout()
        code = code or int(Exit.FAILED)
    sys.exit(code)


def _open_standard_descriptors() -> None:
    """Open /dev/null as each of 0, 1 and 2 that the caller closed, so that no other file, also in a kernel, becomes it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _run_until_interrupted(words: list[str]) -> int:
    """Run a command in which Ctrl-C raises KeyboardInterrupt. Before and after it, Ctrl-C just ends the process."""
    previous = signal.getsignal(signal.SIGINT)
    try:
        if previous is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run(words)
        if previous is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, previous)
    except KeyboardInterrupt:  # between two lines of this function
        return Exit.INTERRUPTED
    return code


def run(words: list[str]) -> int:
    """Run a command, print its error if it fails, and return its exit code."""
    output = Output()
    try:
        room.raise_file_limit()
        code = cli().main(args=words, prog_name="maniple", standalone_mode=False, obj=output)
        return code if isinstance(code, int) else Exit.DONE
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):  # click has already ended the line that shows ^C
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _close_stdout()
        return Exit.FAILED
    except Exception as error:  # noqa: BLE001 - nothing above this would turn it into a sentence
        code, text = _explain(error, words)
        if text:
            say(f"maniple: {text}")
        if failures.wants_json(words) and not output.has_begun:
            _print_failure(failures.as_json(error, text, code))
        return code


def _print_failure(failure: dict[str, object]) -> None:
    """Print the object that describes a failure on stdout; if stdout cannot be written, do nothing."""
    try:
        write_json(as_json(failure) + "\n")
    except OSError:
        _close_stdout()
    except MemoryError:
        pass


def _explain(error: Exception, words: list[str]) -> tuple[Exit, str]:
    """Return an error's exit code and its sentence, which is "" if the command has printed everything already."""
    match error:
        case click.UsageError():
            see = f"{usage_errors.command_of(error, words)} --help"
            return Exit.USAGE, _one_line(usage_errors.explain(error), words, mend=see)
        case Ended():
            see = _help_command(words) if error.code == Exit.USAGE else ""
            text = _ended_text(error, words)
            if isinstance(error, RunNotDone):
                return error.code, "\n  ".join(_one_line(line, words) for line in text.split("\n"))
            return error.code, _one_line(text, words, mend=see)
        case ManifestInvalid():
            return Exit.FAILED, "\n".join(_problem_lines(each) for each in error.problems)
        case ManipleError():
            return Exit.FAILED, _one_line(str(error), words)
        case OSError():
            text = room.exhausted(error) or _os_error(error)
            return Exit.FAILED, _one_line(text, words, mend="" if "`" in text else _help_command(words))
        case MemoryError():
            return Exit.FAILED, _one_line("there is not enough memory for that", words)
        case _:
            return Exit.FAILED, _one_line(room.exhausted(error) or _bug_text(error), words)


def _one_line(text: str, words: list[str], *, mend: str = "") -> str:
    """Make a text one visible line. `mend` is appended if it names no command; its commands repeat --home as typed."""
    if mend and text and "`maniple" not in text:
        text = f"{text}: see `{mend}`"
    return with_home(visible(text), _named_home(words))


def _ended_text(error: Ended, words: list[str]) -> str:
    """The error's text; for a bundled Hand that is not installed, with what installs it, for another with a similar name; if
    no run could be made, what this machine lacks.
    """
    text = str(error)
    if isinstance(error, NotDone) and error.reason in _WITHOUT_RUN:
        return _why_no_hand_runs(words) or text
    if isinstance(error, NoProvider):
        how = _how_to_install(error.owner)
        return NoHand(error.owner).sentence("", how) if how else text
    if not isinstance(error, NoHand):
        return text
    if how := _how_to_install(error.name):
        return error.sentence("", how)
    from kernel.cli import logbook

    try:
        names = logbook.installed_names(logbook.folder_of(chosen_home(_named_home(words))))
    except (ManipleError, OSError):
        return text
    return error.sentence(did_you_mean(nearest(error.name, names)))


def _how_to_install(hand: str) -> str:
    """The clause with the command that installs a bundled Hand; "" for the name of any other."""
    from kernel.cli import bundled

    path = os.path.join(bundled.HANDS, hand)
    is_bundled = is_hand_name(hand) and os.path.isfile(os.path.join(path, "HAND.toml"))
    return f"it comes with Maniple, and `maniple install {shlex.quote(path)}` installs it" if is_bundled else ""


def _why_no_hand_runs(words: list[str]) -> str:
    """A sentence on what this machine lacks that every run needs; "" if it lacks nothing."""
    from kernel.cli import machine

    lacking = machine.lacking(machine.inspect(chosen_home(_named_home(words))))
    return lacking and f"no Hand can run here: this machine lacks {lacking}; `maniple doctor` says how to mend that"


def _problem_lines(problem: Problem) -> str:
    """Two lines: place and problem, then what to write instead. Control characters of the file are made visible."""
    return (
        f"{visible(f'{problem.file}:{problem.line}:{problem.column}: {problem.what}')}\n    {visible(problem.instead)}"
    )


def _named_home(words: list[str]) -> str:
    """The value of --home among the words of a command line; "" if it is absent."""
    for at, word in enumerate(words):
        if word == "--home" and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--home="):
            return word.removeprefix("--home=")
    return ""


def _os_error(error: OSError) -> str:
    import errno

    if error.errno == errno.ENOENT and not _has_working_folder():
        return "the folder that you are in is gone: `cd` to one that is there"
    name = "" if isinstance(error.filename, int) else os.fsdecode(error.filename or "")
    what = f"{name}: " if name else ""
    why = (error.strerror or str(error)).lower()
    mend = {
        errno.ENOSPC: "make room on its disk, then type the same again",
        errno.EDQUOT: "make room, then type the same again",
        errno.EFBIG: "raise `ulimit -f`, which bounds a file here, then type the same again",
        errno.EROFS: "it is mounted read-only: use another place, or a home elsewhere with --home",
    }.get(error.errno or 0) or (named_files.hint(name, error.errno or 0) if name else "")
    return "; ".join(filter(None, (f"{what}{why}", mend)))


def _has_working_folder() -> bool:
    """Whether the working folder still has a path: stat(".") succeeds even after the folder was removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _help_command(words: list[str]) -> str:
    return f"{usage_errors.command_in(words)} --help"


def _bug_text(error: Exception) -> str:
    if sys.platform != "linux":  # Python there lacks parts that Maniple uses: not a bug
        return str(NotLinux())
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "nowhere"
    what = f"{type(error).__name__} at {where}: {error}"
    return f"a bug in Maniple, {what}; please report it with the command you typed"


def _close_stdout() -> None:
    """Point stdout, which nobody reads any more, at /dev/null, so that Python's flush at exit does not fail."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        pass
