"""`maniple new` (acts)."""

import os
import shlex
import shutil
import sys

import click

from kernel.cli import package
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.names import is_hand_name

TASK = '''"""{title}: a task Hand, one process per run."""

from runtime import Hand


class {name_of_class}(Hand):
    async def run(self, who: str = "world") -> object:
        await self.progress(1, 2, "thinking of a greeting")
        self.log.info("greeting", who=who)
        return {{"text": f"Hello, {{who}}!"}}
'''

SERVICE = '''"""{title}: a service Hand, which stays up and answers calls."""

from runtime import Call, Hand


class {name_of_class}(Hand):
    async def greet(self, call: Call, who: str = "world") -> dict[str, object]:
        self.log.info("greeting", who=who)
        return {{"text": f"Hello, {{who}}!"}}
'''

README = """# {name}

Says hello. Change `main.py` to what it should do, and write into `HAND.toml`

- what it may ask of others, under `[capabilities]`,
- what it offers, under `[provides]`,
- what its operator can set, under `[settings]`.

`maniple check` tells every problem, `maniple install` seals it, shows what it asks for and installs it.

    maniple check .
    maniple install .
    {use}
"""


@command()
@click.argument("name", metavar="NAME")
@click.option("--service", is_flag=True, help="One that stays up and answers calls, instead of a task.")
@click.option("--into", metavar="DIR", type=click.Path(), help="The folder to make it in, instead of this one.")
def new(session: Session, name: str, service: bool, into: str | None) -> None:
    """Make the folder of a Hand that works: HAND.toml, about ten lines of Python, and a README.

    NAME is in kebab-case, such as disk-watch. It is a task Hand, which has a process per run; with --service one that
    stays up.
    """
    if not is_hand_name(name):
        raise Ended(f"`{name}` is no name for a Hand: use lower-case words and dashes, such as disk-watch", Exit.USAGE)
    folder = os.path.join(into or "", name)
    try:
        os.mkdir(folder)
    except FileExistsError:
        raise Ended(f"{folder} is there already: choose another name, or `maniple check {folder}`") from None
    except (FileNotFoundError, NotADirectoryError):
        raise Ended(
            f"{into} is not a folder that is there: make it first, then `maniple new {name} --into {into}`"
        ) from None
    use = f"maniple call {name}.greet who=you" if service else f"maniple start {name} who=you --wait"
    texts = {
        "HAND.toml": _toml(name, service=service),
        "main.py": (SERVICE if service else TASK).format(
            title=name.replace("-", " ").capitalize(), name_of_class=_class(name)
        ),
        "README.md": README.format(name=name, use=use),
    }
    try:
        for file, text in texts.items():
            package.write(os.path.join(folder, file), text.encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was not there before
        raise
    session.result({"folder": folder, "files": sorted(texts)}, lambda: folder)
    session.say(f"It works as it is. Next: `maniple install {shlex.quote(folder)}`, then `{use}`")
    sys.stderr.flush()


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))


def _toml(name: str, *, service: bool) -> str:
    import tomli_w

    manifest: dict[str, object] = {
        "hand": {
            "name": name,
            "version": "0.1.0",
            "description": "Says hello.",
            "entry": f"main:{_class(name)}",
            "kind": "service" if service else "task",
            "autonomy": "readonly",
        },
        "capabilities": {},
    }
    if service:
        manifest["provides"] = {
            f"{name}.greet": {
                "summary": "Say hello to somebody",
                "resource": "none",
                "effect": "read",
                "idempotent": True,
                "params": {"who": "string?"},
                "returns": {"text": "string"},
            }
        }
    return tomli_w.dumps(manifest)
