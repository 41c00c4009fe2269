"""`maniple check` (acts)."""

import shlex
import sys
import time
from collections.abc import Iterable

import click
from msgspec import Struct

from kernel.cli import entry, named_files, package, scheduled, screen
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.errors import ManifestInvalid, Problem
from manifests.schema import Manifest


class CheckResult(Struct, frozen=True, kw_only=True):
    """What `check --json` prints. advice: what is allowed, and may not do what is wanted."""

    ok: bool
    problems: tuple[dict[str, object], ...]
    advice: tuple[dict[str, object], ...] = ()


@command()
@click.argument("folder", metavar="DIR", type=named_files.PATH)
def check(session: Session, folder: str) -> None:
    """List every problem in a Hand's folder, each with its file, line, column, and what to write instead.

    HAND.toml is checked, and so is what it names: the entry's module is there, is Python and has the class, with a
    coroutine for each method in [provides] that takes its params, and a `run` that takes the inputs of its [schedule].
    The folder must hold nothing that cannot be sealed. None of the Hand's code runs; a WASM module is compiled, to see
    its imports and exports. Reported as advice are a time in [schedule] that is over, hidden files, and in Python what a
    run may not do, calls without await, modules that are nowhere, and, in a task, uses of time and randomness that differ
    when a run is resumed or replayed.
    """
    problems = _problems(folder)
    advice = [] if problems else _advice(folder)
    session.result(
        CheckResult(
            ok=not problems,
            problems=tuple(problem._asdict() for problem in problems),
            advice=tuple(one._asdict() for one in advice),
        ),
        lambda: "\n".join(map(problem_lines, [*problems, *advice])),
    )
    if problems:
        number = f"{len(problems)} problems" if len(problems) > 1 else "one problem"
        raise Ended(f"{number} in {folder}: mend what is named, then `maniple check {shlex.quote(folder)}` again")
    session.say(f"{folder} is in order: `maniple install {shlex.quote(folder)}`")


def _problems(folder: str) -> list[Problem]:
    """All problems: in HAND.toml, in the files it names, and things that cannot be sealed."""
    unsealable: list[Ended] = []
    found: list[Problem] = []
    try:
        found += _named_problems(folder, package.read_manifest(folder), unsealable)
    except ManifestInvalid as error:
        found += error.problems
        package.read_files(folder, skip_caches=False, on_problem=unsealable.append)
    named = tuple(str(one).partition(": ")[0] for one in unsealable)
    rest = [one for one in found if not any(what.startswith(f"{one.file} ") for what in named)]
    return [*rest, *(Problem(folder, 1, 1, *_split_error(str(one))) for one in unsealable)]


def _split_error(text: str) -> tuple[str, str]:
    """Split an error's text into what is wrong and what to do."""
    what, _, instead = text.partition(": ")
    return what, instead


def _named_problems(folder: str, manifest: Manifest, unsealable: list[Ended]) -> list[Problem]:
    """Problems in the files that a manifest names. unsealable: gets an error for each thing that cannot be sealed."""
    try:
        found_folder = package.read(folder, on_problem=unsealable.append)
    except Ended as error:
        if error.code is Exit.USAGE:
            raise
        unsealable.append(error)
        return []
    files = found_folder.files
    if manifest.hand.command:
        program = manifest.hand.command[0]
        file = program.removeprefix("./")
        if program == file:
            return []
        if file not in files:
            what = f"{program}, which command names, is not there"
            return [Problem(folder, 1, 1, what, f"write {file}, or change command")]
        return [] if files[file].startswith((b"#!", b"\x7fELF")) else [_no_program(f"{folder.rstrip('/')}/{file}")]
    if manifest.agent:
        from kernel.cli import agent_files

        return [
            *agent_files.problems(folder, manifest.agent, files), *scheduled.input_problems(folder, manifest, files)
        ]  # fmt: skip
    if manifest.hand.pipeline:
        return _pipeline_problems(folder, manifest.hand.pipeline, files)
    if manifest.hand.wasm:
        return _module_problems(found_folder)
    return entry.problems(folder, manifest, files)


def _no_program(file: str) -> Problem:
    what = 'it is neither a program for this machine nor a script with a first line such as "#!/bin/sh"'
    return Problem(file, 1, 1, what, "write that line, such as #!/usr/bin/env python3, or change command")


def _advice(folder: str) -> list[Problem]:
    """A time in [schedule] that is over; hidden files; in a Hand's Python, what its confinement refuses, what does
    nothing, what cannot be imported, and for a task uses of time and randomness, which differ when a run is resumed or
    replayed.
    """
    from importlib.util import find_spec

    from manifests.advice import find_absent, find_refused, find_unawaited, find_unbound

    read = package.read(folder)
    manifest, may = read.manifest, read.manifest.confinement
    found = scheduled.over(folder, manifest, read.files, time.time_ns() // 1_000_000)
    found += _hidden(folder, read.files)
    if not manifest.hand.entry:  # an agent's skills, say, run their programs in other processes
        return found
    known = sys.stdlib_module_names | {path.partition("/")[0].removesuffix(".py") for path in read.files}
    for path, content in sorted(read.files.items()):
        if path.endswith(".py"):
            shown = f"{folder.rstrip('/')}/{path}"
            try:
                text = content.decode()
                found += find_refused(text, shown, programs=may.programs, network=may.network == "host")
                found += find_unbound(text, shown) if manifest.hand.kind == "task" else ()
                if "/" not in path:  # a package that was put here knows itself what it can do without
                    found += find_absent(text, shown, lambda name: name in known or find_spec(name) is not None)
                found += find_unawaited(text, shown)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # it cannot be imported; the entry module has been checked
    return found


def _hidden(folder: str, files: Iterable[str]) -> list[Problem]:
    """What editors, version control and desktops keep in a folder, and nobody means to seal, such as .git or main.py~."""
    top = sorted({path.partition("/")[0] for path in files})
    what = "it is sealed and installed with the rest, and read at each start"
    return [
        Problem(f"{folder.rstrip('/')}/{name}", 1, 1, what, "keep it elsewhere, such as in the folder above")
        for name in top
        if name.startswith(".") or name.endswith("~")
    ]


def _pipeline_problems(folder: str, file: str, files: dict[str, bytes]) -> list[Problem]:
    """Problems in the pipeline of a Hand's folder that do not depend on the installed Hands."""
    from manifests.pipeline import check as pipelines

    shown = f"{folder.rstrip('/')}/{file}"
    if file not in files:
        return [Problem(shown, 1, 1, "the file that pipeline names is not there", f"write {file}, or change pipeline")]
    try:
        pipelines.check(files[file].decode("utf-8", "replace"), file=shown)
    except ManifestInvalid as error:
        return [*error.problems]
    return []


def _module_problems(folder: package.Folder) -> list[Problem]:
    """Problems in the module that `wasm` names, found by compiling it as `install` does."""
    from kernel.cli import compiling  # imported late: it needs the client, which nothing else here does

    if missing := package.entry_problem(folder):
        return [Problem(f"{folder.path.rstrip('/')}/HAND.toml", 1, 1, missing, "build the module, or change wasm")]
    try:
        compiling.compile_module(folder, compiling.CPU_SECONDS)
    except compiling.CannotRun as error:
        return [Problem(error.file, error.line, error.column, error.why, "mend the module, or its [provides]")]
    return []


def problem_lines(problem: Problem) -> str:
    """A problem in two lines."""
    where = screen.coloured(f"{problem.file}:{problem.line}:{problem.column}:", "bold")
    return f"{where} {screen.visible(problem.what)}\n    {screen.visible(problem.instead)}"
