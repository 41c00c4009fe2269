"""Reads pipelines from files, makes Hands of them, and finds installed ones (acts).

The kernel says which Hands are installed; the inputs of a Hand's `run` are read from its folder in the home.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import click
import msgspec
from msgspec import Struct

from kernel.cli import call, named_files, package
from kernel.cli import installed as hands
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import complete
from kernel.cli.installed import Installed
from kernel.cli.pipeline_progress import RunTree, Try
from manifests.errors import ManifestInvalid
from manifests.grants import expand_wildcards, requested
from manifests.pipeline.check import check
from manifests.pipeline.folder import file_of
from manifests.pipeline.installed import Known
from manifests.pipeline.schema import Pipeline
from manifests.pipeline.signature import Signature, of_entry
from manifests.schema import Capability, Schedule
from manifests.suggestions import did_you_mean, nearest
from wire.entries import time_text

FILE_MAX: Final = 512 * 1024


class InstalledPipeline(Struct, frozen=True):
    """An installed pipeline. folder: path of its files; text: its file; schedule: when it starts by itself."""

    pipeline: Pipeline
    version: str
    folder: str
    text: str
    schedule: Schedule | None = None


def read_file(path: str) -> str:
    """Read the text of a pipeline's file. Raises Ended if it cannot be read."""
    try:
        with named_files.open_to_read(path) as file:
            raw = file.read(FILE_MAX + 1)
    except IsADirectoryError:
        raise Ended(f"{path} is a folder: name the file in it, NAME.pipeline.toml", Exit.USAGE) from None
    except OSError as error:
        raise named_files.unreadable(path, error, want="name a file NAME.pipeline.toml") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        again = f"save it as UTF-8, then `maniple pipeline check {shlex.quote(path)}`"
        raise Ended(f"{path} is not UTF-8 text: {again}") from None


class KnownHands(Mapping[str, Known]):
    """All installed Hands as the checker needs them; each is fetched from the kernel when it is looked up.

    Each fetch is a call, and so an entry of the log: a pipeline of three Hands must not cause one for every Hand.
    """

    def __init__(self, client: Client) -> None:
        self._client, self._found = client, dict[str, Known]()
        self._names = {row.name: None for row in hands.list_hands(client)}
        self._methods: list[str] | None = None

    def __getitem__(self, name: str) -> Known:
        if name not in self._names:
            raise KeyError(name)
        if self._methods is None:
            self._methods = [row.method for row in call.fetch_methods(self._client)]
        if name not in self._found:
            self._found[name] = _describe_hand(self._client, name, self._methods)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _describe_hand(client: Client, name: str, methods: list[str]) -> Known:
    shown = hands.fetch_details(client, name)
    section = shown.hand.package.manifest.hand
    is_pipeline = bool(section.pipeline)
    inputs = input_signature(client, shown.hand)
    provides_run = f"{name}.run" in shown.hand.package.manifest.provides
    return Known(
        name=name,
        is_task=section.kind == "task",
        is_pipeline=is_pipeline,
        has_work=inputs.found and not provides_run,
        params=inputs.params,
        takes_more=inputs.more,
        asks=expand_wildcards(requested(shown.hand.package.manifest), methods),
        granted=shown.grants,
    )


def input_signature(client: Client, hand: Installed) -> Signature:
    """The inputs of a task Hand's work, as far as its files declare them."""
    section = hand.package.manifest.hand
    folder = os.path.join(client.home, "hands", hand.folder)
    if section.pipeline:
        try:
            text = read_file(os.path.join(folder, section.pipeline))
            return Signature(params=check(text, file=section.pipeline).inputs)
        except (Ended, ManifestInvalid):
            return Signature()
    if section.kind != "task" or not section.entry:
        return Signature()
    file = section.entry.partition(":")[0].replace(".", "/") + ".py"
    try:
        return of_entry(section.entry, {file: read_file(os.path.join(folder, file)).encode()})
    except Ended:
        return Signature()


def fetch_all(client: Client) -> tuple[list[InstalledPipeline], dict[str, str]]:
    """Fetch all installed pipelines, and the names of task Hands that cannot be read, each with the reason.

    One that an earlier version of Maniple added may have a file that this one refuses.
    """
    found, unreadable = list[InstalledPipeline](), dict[str, str]()
    for name in (row.name for row in hands.list_hands(client) if row.kind == "task"):
        try:
            hand = hands.fetch_details(client, name).hand
            if hand.package.manifest.hand.pipeline:
                found.append(_read_installed(client, hand))
        except ManifestInvalid as error:
            first = error.problems[0]
            mend = "mend its file, then `maniple pipeline add FILE` again"
            unreadable[name] = f"{first.file}:{first.line}:{first.column}: {first.what}; {mend}"
        except Ended as error:
            unreadable[name] = str(error)
    return found, unreadable


def _fetch_hands(client: Client) -> list[Installed]:
    """Fetch the Hands of all installed pipelines that can be read."""
    shown = list[Installed]()
    for row in hands.list_hands(client):
        with suppress(Ended):
            shown.append(hands.fetch_details(client, row.name).hand)
    return [hand for hand in shown if hand.package.manifest.hand.pipeline]


def complete_name(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of an installed pipeline."""
    return complete(ctx, incomplete, lambda client: [hand.name for hand in _fetch_hands(client)])


def _read_installed(client: Client, hand: Installed) -> InstalledPipeline:
    section = hand.package.manifest.hand
    folder = os.path.join(client.home, "hands", hand.folder)
    path = os.path.join(folder, section.pipeline)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Ended(f"{path} cannot be read: {why}; `maniple pipeline add FILE` again") from None
    return InstalledPipeline(
        check(text, file=section.pipeline), hand.version, folder, text, hand.package.manifest.schedule
    )


def fetch(client: Client, name: str) -> InstalledPipeline:
    """Fetch an installed pipeline by name. Raises Ended if there is none."""
    if (hand := hands.find(client, name)) is None:
        meant = did_you_mean(nearest(name, (one.name for one in _fetch_hands(client))))
        raise Ended(f"there is no pipeline {name!r}{meant}: see `maniple pipeline list`")
    if not hand.package.manifest.hand.pipeline:
        raise Ended(f"{name} is a Hand, not a pipeline: see `maniple show {name}`")
    return _read_installed(client, hand)


def try_row(runs: RunTree, one: Try) -> dict[str, object]:
    """The JSON row of a run, with those of its pieces. Times are texts as in the log, "" while unknown."""
    started, ended = (time_text(moment) if moment else "" for moment in (one.started, one.ended))
    told = {"started": started, "ended": ended, "micro_dollars": runs.cost(one.run)}
    return {**msgspec.to_builtins(one), **told, "steps": piece_rows(runs, one.run)}


def piece_rows(runs: RunTree, run: str) -> list[dict[str, object]]:
    """JSON rows of a run's pieces, each with its tries, and these with the pieces of their runs."""
    found: list[dict[str, object]] = []
    for piece in runs.pieces_of(run):
        tries = [try_row(runs, one) for one in piece.tries]
        row: dict[str, object] = {"name": str(piece.name), "state": piece.state, "why": piece.why, "tries": tries}
        found.append({**row, "items": piece.items, "done": piece.done} if piece.items >= 0 else row)
    return found


def make_folder(pipeline: Pipeline, text: str, lends: Iterable[Capability]) -> package.Folder:
    """Make the folder of the Hand that a pipeline becomes, not yet sealed."""
    import tomli_w

    from manifests.check import check as check_manifest
    from manifests.pipeline.folder import manifest_of
    from manifests.seal import MANIFEST_FILE

    toml = tomli_w.dumps(manifest_of(pipeline, lends))
    files = {MANIFEST_FILE: toml.encode(), file_of(pipeline.name): text.encode()}
    return package.Folder(path=pipeline.name, manifest=check_manifest(toml), files=files, seal="")


def folder_from_file(path: str) -> package.Folder:
    """Make the Hand of a pipeline's file for a replay: it lends nothing. Raises ManifestInvalid, Ended."""
    text = read_file(path)
    return make_folder(check(text, file=path), text, ())
