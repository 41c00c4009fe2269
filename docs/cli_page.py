"""Draws docs/cli.md from the command line itself: each command's help, in the order of kernel/cli/commands.py."""

from collections.abc import Mapping

import click

from kernel.cli import commands
from kernel.cli.frame import HELP
from kernel.cli.main import cli

WIDTH = 100

HEAD = """# The command line

Results go to stdout, everything else to stderr. `--json` prints the result as JSON, for programs: [its keys](json.md).
The home is `--home`, else `$MANIPLE_HOME`, else `~/.maniple`. Colours are used only on a terminal, and not with
`NO_COLOR`. To let your shell complete commands: `maniple completion --help`. `maniple --version` prints the version.

| exit code | |
|---|---|
| 0 | done |
| 1 | failed, or something that you named does not exist |
| 2 | wrong usage: arguments that can never be right |
| 3 | the kernel is not running |
| 4 | refused |
| 5 | verification failed |
| 130 | interrupted by Ctrl-C |

In JSON, bytes are base64, and numbers that JSON cannot hold are `"NaN"`, `"Infinity"` and `"-Infinity"`.

With `--json` a command that fails prints one object, too:

| key | |
|---|---|
| `outcome` | `failed`, `refused`, or `cancelled` |
| `code` | why, for programs: the code of a call's end, such as `conflict` or `capability`; else \
`usage`, `no kernel`, `refused`, `not verified` or `failed` |
| `text` | why, for people: the sentence that is on stderr too |
| `grant` | the grant that would allow a call that was refused, or `""` |
| `exit` | the exit code |

A command that has already printed something prints no such object: the results of `start --wait`, `check`, `verify` and
others say what is wrong, and nothing follows lines or streamed bytes. After Ctrl-C there is none either.
"""


def page() -> str:
    """Draw the whole page."""
    root = cli()
    parts = [HEAD]
    for title, rows in commands.SECTIONS.items():
        parts.append(f"## {title}\n\n| | |\n|---|---|\n" + "\n".join(_rows(rows)) + "\n")
        for name in rows:
            full = [f"{name} {inner}" for inner in commands.GROUPS[name]] if name in commands.GROUPS else [name]
            parts += [_command(root, each) for each in full]
    return "\n".join(parts)


def _rows(rows: Mapping[str, str]) -> list[str]:
    """A table row for each command of a section; a group has one for each of its commands."""
    lines = []
    for name, help_text in rows.items():
        inner = commands.GROUPS.get(name)
        if inner is None:
            lines.append(f"| [`{name}`](#maniple-{name}) | {help_text} |")
        else:
            lines += [f"| [`{name} {each}`](#maniple-{name}-{each}) | {text} |" for each, text in inner.items()]
    return lines


def _command(root: click.Group, name: str) -> str:
    found: click.Command = root
    ctx = click.Context(root, info_name="maniple", help_option_names=[*HELP])
    for word in name.split():
        assert isinstance(found, click.Group)
        inner = found.get_command(ctx, word)
        assert inner is not None
        found = inner
        ctx = click.Context(found, info_name=word, parent=ctx, terminal_width=WIDTH, max_content_width=WIDTH)
    return f"### maniple {name}\n\n```text\n{found.get_help(ctx)}\n```\n"
