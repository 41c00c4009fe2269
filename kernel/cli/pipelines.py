"""Pipelines as the command line has them (acts): a file read and checked against what is installed, and found again.

What is installed is asked of the kernel; what a Hand's `run` takes is read from its folder in the home.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import click
import msgspec
from msgspec import Struct

from kernel.cli import call, named_files, package
from kernel.cli import installed as hands
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, chosen_home
from kernel.cli.installed import Installed
from kernel.cli.pipeline_progress import Course
from manifests.errors import ManifestInvalid
from manifests.grants import expand_wildcards, requested
from manifests.pipeline.check import check
from manifests.pipeline.folder import file_of
from manifests.pipeline.installed import Known
from manifests.pipeline.schema import Pipeline
from manifests.pipeline.signature import Signature, of_entry
from manifests.schema import Capability, Schedule
from manifests.suggestions import did_you_mean, nearest
from wire.errors import ManipleError

LARGEST: Final = 512 * 1024


class Added(Struct, frozen=True):
    """A pipeline that is installed. folder: of its files, below the home; text: of its pipeline; schedule: when it starts."""

    pipeline: Pipeline
    version: str
    folder: str
    text: str
    schedule: Schedule | None = None


def read_file(path: str) -> str:
    """The text of a pipeline's file. Raises Ended when it cannot be read."""
    try:
        with named_files.open_to_read(path) as file:
            raw = file.read(LARGEST + 1)
    except IsADirectoryError:
        raise Ended(f"{path} is a folder: name the file in it, NAME.pipeline.toml", Exit.USAGE) from None
    except OSError as error:
        raise named_files.unreadable(path, error, want="name a file NAME.pipeline.toml") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        again = f"save it as UTF-8, then `maniple pipeline check {shlex.quote(path)}`"
        raise Ended(f"{path} is not UTF-8 text: {again}") from None


class AllInstalled(Mapping[str, Known]):
    """Every installed Hand, as the checker knows it; while client is open, the kernel is asked of those that it looks at.

    Each question is a call, which the log tells: a pipeline of three Hands is not checked by one for every Hand there is.
    """

    def __init__(self, client: Client) -> None:
        self._client, self._found = client, dict[str, Known]()
        self._names = {row.name: None for row in hands.list_hands(client)}
        self._methods: list[str] | None = None

    def __getitem__(self, name: str) -> Known:
        if name not in self._names:
            raise KeyError(name)
        if self._methods is None:
            self._methods = [row.method for row in call.every(self._client)]
        if name not in self._found:
            self._found[name] = _known(self._client, name, self._methods)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _known(client: Client, name: str, methods: list[str]) -> Known:
    shown = hands.fetch_details(client, name)
    section = shown.hand.package.manifest.hand
    is_pipeline = bool(section.pipeline)
    takes = signature(client, shown.hand)
    provides_run = f"{name}.run" in shown.hand.package.manifest.provides
    return Known(
        name=name,
        is_task=section.kind == "task",
        is_pipeline=is_pipeline,
        has_work=takes.found and not provides_run,
        params=takes.params,
        takes_more=takes.more,
        asks=expand_wildcards(requested(shown.hand.package.manifest), methods),
        granted=shown.grants,
    )


def signature(client: Client, hand: Installed) -> Signature:
    """What the work of a task Hand takes, as far as its files tell."""
    section = hand.package.manifest.hand
    place = os.path.join(client.home, "hands", hand.folder)
    if section.pipeline:
        try:
            text = read_file(os.path.join(place, section.pipeline))
            return Signature(params=check(text, file=section.pipeline).inputs)
        except (Ended, ManifestInvalid):
            return Signature()
    if section.kind != "task" or not section.entry:
        return Signature()
    file = section.entry.partition(":")[0].replace(".", "/") + ".py"
    try:
        return of_entry(section.entry, {file: read_file(os.path.join(place, file)).encode()})
    except Ended:
        return Signature()


def every(client: Client) -> list[Added]:
    """Every pipeline that is installed, by name."""
    shown = (hands.fetch_details(client, row.name).hand for row in hands.list_hands(client) if row.kind == "task")
    return [_opened(client, hand) for hand in shown if hand.package.manifest.hand.pipeline]


def names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of installed pipelines, for the shell's completion; none when the kernel does not run."""
    try:
        with Session(chosen_home(ctx.find_root().params.get("home")), json=False).client() as client:
            return [one.pipeline.name for one in every(client) if one.pipeline.name.startswith(incomplete)]
    except (ManipleError, OSError):
        return []


def _opened(client: Client, hand: Installed) -> Added:
    section = hand.package.manifest.hand
    folder = os.path.join(client.home, "hands", hand.folder)
    text = read_file(os.path.join(folder, section.pipeline))
    return Added(check(text, file=section.pipeline), hand.version, folder, text, hand.package.manifest.schedule)


def added(client: Client, name: str) -> Added:
    """An installed pipeline by its name. Raises Ended for what is none."""
    if (hand := hands.find(client, name)) is None:
        meant = did_you_mean(nearest(name, (one.pipeline.name for one in every(client))))
        raise Ended(f"there is no pipeline '{name}'{meant}: see `maniple pipeline list`")
    if not hand.package.manifest.hand.pipeline:
        raise Ended(f"{name} is a Hand, not a pipeline: see `maniple show {name}`")
    return _opened(client, hand)


def pieces(course: Course, run: str) -> list[dict[str, object]]:
    """The pieces of a run for programs, each with its runs; the pieces of those below them."""
    found: list[dict[str, object]] = []
    for piece in course.of(run):
        tries = [
            {**msgspec.to_builtins(one), "micro_dollars": course.cost(one.run), "steps": pieces(course, one.run)}
            for one in piece.tries
        ]
        row: dict[str, object] = {"name": str(piece.name), "state": piece.state, "why": piece.why, "tries": tries}
        found.append({**row, "items": piece.items, "done": piece.done} if piece.items >= 0 else row)
    return found


def folder(pipeline: Pipeline, text: str, lends: Iterable[Capability]) -> package.Folder:
    """The Hand that a pipeline becomes: its folder's files, not yet sealed."""
    import tomli_w

    from manifests.check import check as check_manifest
    from manifests.pipeline.folder import manifest_of
    from manifests.seal import MANIFEST_FILE

    toml = tomli_w.dumps(manifest_of(pipeline, lends))
    files = {MANIFEST_FILE: toml.encode(), file_of(pipeline.name): text.encode()}
    return package.Folder(path=pipeline.name, manifest=check_manifest(toml), files=files, seal="")


def folder_of_file(path: str) -> package.Folder:
    """The Hand that a pipeline's file becomes for a replay: it lends nothing. Raises ManifestInvalid, Ended."""
    text = read_file(path)
    return folder(check(text, file=path), text, ())
