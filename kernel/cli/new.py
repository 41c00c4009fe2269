"""`maniple new` (acts)."""

import keyword
import os
import shlex
import shutil
from typing import Final

import click

from kernel.cli import bundled, named_files, package
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.names import RESERVED, is_hand_name
from manifests.seal import MANIFEST_FILE

TASK: Final = '''"""{title}: a task Hand, one process per run."""

from runtime import Hand


class {name_of_class}(Hand):
    async def run(self, who: str = "world") -> object:
        await self.progress(1, 2, "thinking of a greeting")
        self.log.info("greeting", who=who)
        return {{"text": f"Hello, {{who}}!"}}
'''

SERVICE: Final = '''"""{title}: a service Hand, which stays up and answers calls."""

from runtime import Call, Hand


class {name_of_class}(Hand):
    async def greet(self, call: Call, who: str = "world") -> dict[str, object]:
        self.log.info("greeting", who=who)
        return {{"text": f"Hello, {{who}}!"}}
'''

MODULE: Final = """;; {title}: WebAssembly text. `maniple install` compiles it as it is; docs/wasm.md says what else there is.
(module
  (import "maniple" "log" (func $log (param $level i32) (param $at i32) (param $size i32)))
  (memory (export "memory") 2)

  (data (i32.const 0) "\\81\\a5heard")    ;; msgpack: a table of one, whose name is "heard"
  (data (i32.const 16) "listening")

  ;; Room for what the host gives, and 8 bytes before it. One instance answers one call, so nothing is given back.
  (global $free (mut i32) (i32.const 1024))
  (func (export "maniple_alloc") (param $size i32) (result i32)
    (global.set $free (i32.add (i32.add (global.get $free) (local.get $size)) (i32.const 8)))
    (i32.sub (global.get $free) (local.get $size)))

  ;; The arguments lie at $at, in msgpack. The answer is the table above with them as its value.
  (func (export "{export}") {parameters}(param $at i32) (param $size i32) (result i64)
    (call $log (i32.const 0) (i32.const 16) (i32.const 9))
    (memory.copy (i32.sub (local.get $at) (i32.const 7)) (i32.const 0) (i32.const 7))
    (i64.or (i64.shl (i64.extend_i32_u (i32.sub (local.get $at) (i32.const 7))) (i64.const 32))
            (i64.extend_i32_u (i32.add (local.get $size) (i32.const 7))))))
"""

PLAYBOOK: Final = """# {title}

You greet whoever the task names, in one friendly sentence, in the language of their name where that is plain.

1. Find out who is to be greeted. If the task does not say, greet the world.
2. Answer with the greeting and nothing else.
"""

README: Final = """# {name}

Says hello. Change `{file}` to what it should do, and write into `HAND.toml`

- what it may ask of others, under `[capabilities]`,
- what it offers, under `[provides]`,
- what its operator can set, under `[settings]`.

`maniple check` lists every problem. `maniple install` seals it, shows what it asks for, and installs a copy: do it again
after each change.

    maniple check .
    maniple install .
    {use}
"""


@command()
@click.argument("name", metavar="NAME")
@click.option("--service", is_flag=True, help="A Hand that stays up and answers calls, instead of a task.")
@click.option("--wasm", is_flag=True, help="A WebAssembly module, instead of Python.")
@click.option("--agent", is_flag=True, help="A Hand that thinks with a model, by a playbook and without code.")
@click.option("--into", metavar="DIR", type=named_files.PATH, help="Create it in DIR, instead of this folder.")
def new(session: Session, name: str, service: bool, wasm: bool, agent: bool, into: str | None) -> None:
    """Create the folder of a Hand that works: HAND.toml, about ten lines of Python, and a README.

    NAME is in kebab-case, such as disk-watch. The Hand is a task: each of its runs has a process of its own. With
    --service it stays up. With --wasm it is a module in WebAssembly text, which needs no build tool; docs/wasm.md has
    one in C. With --agent it is a task that thinks with a model: PLAYBOOK.md says what to do, and its tools are the
    methods it is granted.
    """
    if agent and (service or wasm):
        raise Ended("--agent excludes --service and --wasm: a Hand that thinks is a task, and has no code", Exit.USAGE)
    if not is_hand_name(name):
        raise Ended(
            f"`{name}` is not a name for a Hand: use lower-case words and dashes, such as disk-watch", Exit.USAGE
        )
    if name in RESERVED:
        raise Ended(f"`{name}` is a word of Maniple itself: choose another name, such as my-{name}", Exit.USAGE)
    if os.path.isfile(os.path.join(bundled.HANDS, name, MANIFEST_FILE)):
        raise Ended(f"`{name}` is a Hand that comes with Maniple: choose another name, such as my-{name}", Exit.USAGE)
    folder = os.path.join(into or "", name)
    try:
        os.mkdir(folder)
    except FileExistsError:
        raise Ended(
            f"{folder} is there already: choose another name, or `maniple check {shlex.quote(folder)}`"
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        if into is None:
            raise  # the working folder is gone
        raise Ended(
            f"there is no folder {into}: make it first, then `maniple new {name} --into {shlex.quote(into)}`"
        ) from None
    next_command = f"maniple call {name}.greet who=you" if service else f"maniple start {name} who=you --wait"
    if agent:
        next_command = f"maniple start {name} task='Greet Ada' --wait"
    code = {"PLAYBOOK.md": PLAYBOOK.format(title=_title(name))} if agent else _code(name, service=service, wasm=wasm)
    texts = {
        "HAND.toml": _toml(name, service=service, wasm=wasm, agent=agent),
        **code,
        "README.md": README.format(name=name, use=next_command, file=next(iter(code))),
    }
    try:
        for file, text in texts.items():
            package.write(os.path.join(folder, file), text.encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was not there before
        raise
    session.result({"folder": folder, "files": sorted(texts)}, lambda: folder)
    session.say(f"It works as it is. Next: `maniple install {shlex.quote(folder)}`, then `{next_command}`")


def _code(name: str, *, service: bool, wasm: bool) -> dict[str, str]:
    title = _title(name)
    if wasm:
        export, parameters = ("greet", "(param $of i32) (param $of_size i32) ") if service else ("run", "")
        return {"main.wat": MODULE.format(title=title, export=export, parameters=parameters)}
    return {"main.py": (SERVICE if service else TASK).format(title=title, name_of_class=_class(name))}


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()


def _class(name: str) -> str:
    text = "".join(word.capitalize() for word in name.split("-"))
    return f"{text}Hand" if keyword.iskeyword(text) else text  # True, False, None


def _toml(name: str, *, service: bool, wasm: bool, agent: bool) -> str:
    import tomli_w

    runs = {"wasm": "main.wat"} if wasm else {"entry": f"main:{_class(name)}"}
    manifest: dict[str, object] = {
        "hand": {
            "name": name,
            "version": "0.1.0",
            "description": "Says hello.",
            **({} if agent else runs),
            "kind": "service" if service else "task",
            "autonomy": "readonly",
        },
        "capabilities": {"model.complete": ["default"]} if agent else {},
    }
    if agent:
        manifest["agent"] = {"model": "default", "playbook": "PLAYBOOK.md", "steps": 10, "tokens": "50k"}
        manifest["events"] = {"subscribes": ["operator.said"]}
    if service:
        manifest["provides"] = {
            f"{name}.greet": {
                "summary": "Say hello to somebody",
                "resource": "none",
                "effect": "read",
                "idempotent": True,
                "params": {"who": "string?"},
                "returns": {"heard": "dict"} if wasm else {"text": "string"},
            }
        }
    return tomli_w.dumps(manifest)
