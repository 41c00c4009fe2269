"""Doors as the command line has them (acts): what the operator offers to clients outside, as a Hand, and found again."""

from collections.abc import Iterable, Mapping

from kernel.cli import installed, package, pipelines, replies, rights
from kernel.cli.call import Described, every, unknown
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.installed import Installed
from manifests.capabilities import check_pattern
from manifests.check import check
from manifests.errors import PatternInvalid
from manifests.grants import requested
from manifests.mcp import door
from manifests.names import is_hand_name
from manifests.schema import Manifest
from manifests.seal import MANIFEST_FILE


def wanted(client: Client, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Methods with patterns of their resources, of words METHOD or METHOD=RESOURCE. Raises Ended for what names nothing."""
    rows = every(client)
    found: dict[str, dict[str, None]] = {}
    for word in words:
        pattern, _, resource = word.partition("=")
        chosen = [row for row in rows if _is_meant(row.method, pattern)]
        if not chosen:
            raise unknown(pattern, rows)
        for row in chosen:
            found.setdefault(row.method, {})[_resource(row, word, resource)] = None
    return {method: tuple(patterns) for method, patterns in sorted(found.items())}


def works(client: Client, names: Iterable[str]) -> tuple[Mapping[str, door.Work], Mapping[str, tuple[str, ...]]]:
    """Hands that clients may start, and what their runs may do: all that these are granted. Raises Ended."""
    found: dict[str, door.Work] = {}
    together: dict[str, dict[str, None]] = {}
    for name in dict.fromkeys(names):
        shown = installed.fetch_details(client, name)
        manifest = shown.hand.package.manifest
        if manifest.hand.kind != "task":
            raise Ended(f"{name} is a service: offer its methods instead, see `maniple methods {name}`", Exit.USAGE)
        params = {"task": "string"} if manifest.agent else pipelines.signature(client, shown.hand).params
        found[name] = door.Work(summary=manifest.hand.description, params=None if params is None else dict(params))
        for one in shown.grants:
            together.setdefault(one.method, {}).update(dict.fromkeys(one.allow))
    return found, {method: tuple(allow) for method, allow in sorted(together.items()) if allow}


def made(what: door.Wanted) -> package.Folder:
    """The Hand of a door, not yet sealed. Raises ManifestInvalid when it cannot be one."""
    import tomli_w

    toml = tomli_w.dumps(door.manifest_of(what))
    works = door.encode(door.Works(hands=dict(what.hands)))
    files = {MANIFEST_FILE: toml.encode(), "main.py": door.MAIN.encode(), door.FILE: works}
    return package.Folder(path=what.hand, manifest=check(toml), files=files, seal="")


def take_back(client: Client, hand: str, manifest: Manifest) -> None:
    """Of what a door is granted, all that its manifest does not ask for any more."""
    wanted = {(one.method, one.lent): set(one.allow) for one in requested(manifest)}
    for one in replies.read(client.call("kernel.home").value, rights.Home).grants.get(hand, ()):
        kept = wanted.get((one.method, one.lent), set())
        if gone := [pattern for pattern in one.allow if pattern not in kept]:
            client.call("kernel.revoke", hand, {"method": one.method, "allow": gone if kept else None, "rule": False})


def hand_of(name: str) -> str:
    """The name of a door's Hand, by its own name or the Hand's. Raises Ended for what can be none."""
    hand = name if name.startswith(door.PREFIX) else f"{door.PREFIX}{name}"
    if not is_hand_name(hand):
        raise Ended(
            f"{name} cannot be a door's name: write lower-case letters and digits, with - between words", Exit.USAGE
        )
    return hand


def needed(client: Client, name: str) -> Installed:
    """A door's Hand as it is installed. Raises Ended when it is not there."""
    if (hand := installed.find(client, hand_of(name))) is None:
        raise Ended(f"there is no door {name}: `maniple mcp offer {name} METHOD...` makes one")
    return hand


def _is_meant(method: str, pattern: str) -> bool:
    """Whether a method is one that a word names; the kernel's own never are."""
    if method.startswith(("kernel.", door.PREFIX)):
        return False
    return method == pattern or (pattern.endswith(".*") and method.startswith(pattern[:-1]))


def _resource(row: Described, word: str, resource: str) -> str:
    """The pattern of a method's resource, as it was typed. Raises Ended for one that is missing, or none."""
    if row.resource == "none":
        if resource:
            raise Ended(f"{row.method} acts on no resource: write just {row.method}", Exit.USAGE)
        return "*"
    if not resource:
        raise Ended(
            f"{row.method} acts on a {row.resource}: say on which, as in {word}=PATTERN; {word}=* is every one",
            Exit.USAGE,
        )
    try:
        check_pattern(resource, row.resource)
    except PatternInvalid as error:
        raise Ended(f"{word}: {error}", Exit.USAGE) from None
    return resource
