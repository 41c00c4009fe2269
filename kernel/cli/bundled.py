"""Finds and installs the bundled Hands, those in the project's hands/ folder (acts)."""

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Final

from kernel.cli import installing, package
from kernel.cli.client import Client
from kernel.cli.exits import Ended
from kernel.cli.package import Folder
from manifests.errors import ManifestInvalid
from manifests.grants import requested
from manifests.seal import SEAL_FILE, lists
from wire.errors import ManipleError
from wire.signing import SigningKey

HANDS: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "hands")


def find() -> tuple[list[Folder], dict[str, str]]:
    """Read all bundled Hands, each after the Hands it needs; also returns those left out: folder name to reason.

    `__pycache__` folders that tests or tools left there are ignored: they are not copied into a home.
    """
    found: dict[str, Folder] = {}
    left_out: dict[str, str] = {}
    for name in sorted(os.listdir(HANDS)) if os.path.isdir(HANDS) else []:
        path = os.path.join(HANDS, name)
        if not os.path.isfile(os.path.join(path, "HAND.toml")):
            continue
        try:
            folder = package.read(path, skip_caches=True)
            found[folder.name] = folder
        except ManifestInvalid as error:
            left_out[name] = str(error.problems[0]).replace("\n    ", "; ")
        except Ended as error:
            left_out[name] = str(error)
    return _needs_first(found), left_out


def outdated(home: str) -> list[str]:
    """Names of bundled Hands that are installed in a home only with other files, from another version of Maniple."""
    folders_in_home, found = sorted(os.listdir(os.path.join(home, "hands"))), []
    for name in sorted(os.listdir(HANDS)) if os.path.isdir(HANDS) else []:
        places = [
            one for one in folders_in_home if re.fullmatch(rf"{re.escape(name)}-\d+\.\d+\.\d+.*-[0-9a-f]{{8}}", one)
        ]
        path = os.path.join(HANDS, name)
        with contextlib.suppress(OSError, Ended):
            if places and not _matches_any_seal(path, [os.path.join(home, "hands", one, SEAL_FILE) for one in places]):
                found.append(name)
    return found


def _matches_any_seal(path: str, sealed: list[str]) -> bool:
    """Whether one of these seals lists exactly the files of a folder."""
    files = package.read_files(path, skip_caches=True)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != SEAL_FILE}
    texts = (Path(one).read_text("utf-8", "replace") for one in sealed)
    return any(lists(text, digests) for text in texts)


def install_all(client: Client, folders: list[Folder], key: SigningKey) -> tuple[list[Folder], dict[str, str]]:
    """Seal and install each Hand, granting what it asks for. Returns those installed, and name to reason for the others."""
    done: list[Folder] = []
    left_out: dict[str, str] = {}
    for folder in folders:
        try:
            installing.install(client, folder, package.make_seal(folder, key), requested(folder.manifest))
            done.append(folder)
        except ManipleError as error:
            left_out[folder.name] = str(error)
    return done, left_out


def _needs_first(found: dict[str, Folder]) -> list[Folder]:
    ordered: dict[str, Folder] = {}

    def visit(folder: Folder, above: tuple[str, ...]) -> None:
        for need in folder.manifest.hand.needs:
            if need in found and need not in ordered and need not in above:
                visit(found[need], (*above, folder.name))
        ordered.setdefault(folder.name, folder)

    for folder in found.values():
        visit(folder, ())
    return list(ordered.values())
