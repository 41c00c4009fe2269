"""Reads and scans folders of skills, and keeps those installed alone in the Hand `skills` (acts).

Before that Hand is sealed again, its skills are read from the home and compared with the seal in the log: a file that was
changed since is never sealed. If the key of that seal is no longer trusted, unchanged skills are sealed again with the next
install or removal.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from kernel.cli import installed as standing
from kernel.cli import installing, named_files, package, replies, rights, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from manifests.check import check
from manifests.errors import ManifestInvalid, SealRefused
from manifests.grants import reaches
from manifests.seal import MANIFEST_FILE, MOST_FILES, compare, open_seal
from manifests.skills import folder as folders
from manifests.skills import reading, scanning
from manifests.skills.reading import Skill
from manifests.trust import TrustStore

_FINDINGS_SHOWN: Final = 40
"""Most findings of each kind that are shown; --json has all."""

_KEY_LOST: Final = frozenset({"revoked", "expired"})
"""Codes of refusals of a genuine seal whose key is no longer trusted."""


class Shelf(Struct, frozen=True, kw_only=True):
    """The skills installed alone. version: of the Hand that holds them, "" if there are none. keyless: why the key that
    sealed them is no longer trusted; "" if it is.
    """

    version: str = ""
    skills: dict[str, Skill] = {}
    keyless: str = ""

    def resealing_note(self) -> str:
        """A note that all skills will be sealed again with the next change; "" if they need not be."""
        names = ", ".join(sorted(self.skills))
        return f"{self.keyless}: all that are installed alone are sealed anew: {names}" if self.keyless else ""


def read(path: str) -> Skill:
    """Read the skill in a folder. Raises Ended with its problems."""
    if not named_files.is_folder(path):
        raise Ended(
            f"{path} is not a folder: name the one that holds {reading.FILE}, as in ./NAME",
            Exit.USAGE,
        )
    name = os.path.basename(os.path.abspath(path))
    skill, problems = reading.read(name, package.read_files(path), path.rstrip("/") or "/")
    if skill is None or problems:
        words = "; ".join(f"{one.file}:{one.line}: {one.what}: {one.instead}" for one in problems[:5])
        raise Ended(f"this is not a skill: {screen.visible(words)}; then type the same again")
    return skill


def read_installed(client: Client) -> Shelf:
    """Read the skills installed alone. Raises Ended (refused) if a file differs from the seal."""
    if (hand := standing.find(client, folders.HAND)) is None:
        return Shelf()
    folder = os.path.join(client.home, "hands", hand.folder)
    if hand.package.manifest.hand.entry != folders.ENTRY:
        raise Ended(
            f"a Hand {folders.HAND} is installed that holds no skills: `maniple remove {folders.HAND}` makes room"
        )
    mend = f"`maniple remove {folders.HAND}` takes all of them away; then install them anew"
    try:
        found = package.read(folder)
    except (Ended, ManifestInvalid) as error:
        why = str(error).partition("\n")[0].partition(";")[0]
        raise Ended(f"refused: {folder} is not as it was sealed: {why}; {mend}", Exit.REFUSED) from None
    trust, keyless = TrustStore(keys=replies.read(client.call("kernel.home").value, rights.Home).keys), ""
    try:
        sealed = trust.judge(
            hand.package.seal, name=found.name, version=found.version, last_version=None,
            now=time.time_ns() // 1000, manifest=found.manifest,
        )  # fmt: skip
    except SealRefused as refused:
        if refused.code not in _KEY_LOST:
            raise Ended(f"refused: {refused}; {mend}", Exit.REFUSED) from None
        sealed, keyless = open_seal(hand.package.seal, [key.verify_key for key in trust.keys]), refused.why
    if differences := compare(sealed, found.digests()):
        raise Ended(f"refused: {'; '.join(map(str, differences[:5]))}; {mend}", Exit.REFUSED)
    skills, problems = reading.read_all(found.files, folder)
    if problems:
        raise Ended(f"what is installed cannot be read ({problems[0].file}: {problems[0].what}): {mend}")
    return Shelf(version=hand.version, skills={one.name: one for one in skills}, keyless=keyless)


def replace_all(client: Client, skills: Iterable[Skill], before: str) -> None:
    """Install the Hand `skills` with these skills. before: its version so far. Raises Ended for too many or too much."""
    import tomli_w

    shelf = list(skills)
    if len(shelf) > reading.SHELF_MOST:
        raise Ended(f"there may be {reading.SHELF_MOST} skills at most: `maniple skills remove NAME` makes room")
    toml = tomli_w.dumps(folders.manifest_of(folders.version_after(before, time.time_ns() // 1000), shelf))
    files = {MANIFEST_FILE: toml.encode(), **folders.files_of(shelf)}
    if sum(map(len, files.values())) > package.SIZE_MAX or len(files) >= MOST_FILES:
        most = f"{package.SIZE_MAX >> 20} MiB, or more than {MOST_FILES - 2} files"
        raise Ended(f"all skills together would be more than {most}: `maniple skills remove NAME` makes room")
    hand = package.Folder(path=folders.HAND, manifest=check(toml), files=files, seal="")
    installing.install(client, hand, package.make_seal(hand, installing.sealing_key(client)), ())


def fetch_readers(client: Client) -> dict[str, list[str]]:
    """Fetch which Hands may read each skill installed alone, by the skill's name."""
    found: dict[str, list[str]] = {}
    for hand, shelf in replies.read(client.call("kernel.home").value, rights.Home).grants.items():
        for one in shelf:
            if one.method.startswith(folders.PREFIX) and one.allow:
                found.setdefault(one.method.removeprefix(folders.PREFIX), []).append(hand)
    return {name: sorted(set(hands)) for name, hands in found.items()}


def revoke_from(client: Client, name: str, hands: Iterable[str]) -> None:
    """Revoke the grant of a removed skill from these Hands, so that it does not apply to a later skill of that name."""
    for hand in hands:
        client.call("kernel.revoke", hand, {"method": folders.method_of(name)})


def fetch_askers(client: Client, name: str) -> list[str]:
    """Fetch the Hands whose manifest asks for this skill, or for all, and so may be granted it."""
    found = []
    for row in standing.list_hands(client):
        manifest = standing.fetch_details(client, row.name).hand.package.manifest
        if any(reaches(one.method, folders.method_of(name)) for one in manifest.capabilities):
            found.append(row.name)
    return found


def read_sealed(client: Client, name: str) -> list[Skill]:
    """Read the skills that are part of an installed Hand. Raises NoHand, and Ended if its folder cannot be read."""
    hand = standing.fetch_details(client, name).hand
    if not hand.package.manifest.agent:
        return []
    folder = os.path.join(client.home, "hands", hand.folder)
    try:
        return reading.read_all(package.read_files(folder), name)[0]
    except OSError as error:
        raise named_files.unreadable(folder, error, Exit.FAILED) from None


def digest(skill: Skill) -> str:
    """SHA-256 over every path and content of a skill, in hex."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(skill.files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def row_of(skill: Skill, of: str = "", by: Iterable[str] = ()) -> dict[str, object]:
    """The JSON row of a skill. of: the Hand that it is sealed with, "" for none; by: who may read it."""
    return {
        "name": skill.name,
        "of": of,
        "description": skill.description,
        "license": skill.license,
        "compatibility": skill.compatibility,
        "metadata": skill.metadata,
        "tools": list(skill.tools),
        "digest": digest(skill),
        "files": {path: len(content) for path, content in skill.files.items()},
        "read_by": list(by),
    }


def findings(skill: Skill) -> list[dict[str, object]]:
    """JSON rows of what scanning a skill finds."""
    found, more = scanning.scan(skill)
    rows: list[dict[str, object]] = [msgspec.to_builtins(one) for one in found]
    return [*rows, *([{"kind": "more", "file": "", "line": 0, "text": str(more)}] if more else [])]


def describe(skill: Skill) -> Iterator[str]:
    """Yield the lines that describe a skill to the operator before it is installed."""
    yield f"{skill.name}: {skill.description}"
    rows: Mapping[str, str] = {
        "license": skill.license,
        "compatibility": skill.compatibility,
        **{f"metadata {name}": value for name, value in skill.metadata.items()},
    }
    for name, value in rows.items():
        if value:
            yield f"  {name}: {value}"
    size = screen.size(sum(map(len, skill.files.values())))
    yield f"It has {screen.count(len(skill.files), 'file')}, {size}; its digest is {digest(skill)[:16]}."
    found, more = scanning.scan(skill)
    if not found:
        yield "A look through it finds nothing to tell."
        return
    yield "A look through it finds:"
    for kind, meaning in scanning.KINDS.items():
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            yield f"  {kind}: {meaning}"
        for one in of_kind[:_FINDINGS_SHOWN]:
            yield f"    {one.file}{f':{one.line}' if one.line else ''}: {one.text}"
        if len(of_kind) > _FINDINGS_SHOWN:
            yield f"    and {len(of_kind) - _FINDINGS_SHOWN} more"
    if more:
        yield f"  and {screen.count(more, 'finding')} more"
