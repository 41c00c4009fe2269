"""Makes and finds doors (acts): Hands that hold what the operator offers to MCP clients."""

from collections.abc import Iterable, Mapping

from kernel.cli import installed, package, pipelines, replies, rights
from kernel.cli.call import MethodRow, fetch_methods, unknown_method
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


def match_methods(client: Client, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Methods and their resource patterns, from words METHOD or METHOD=RESOURCE. Raises Ended for unknown methods."""
    rows = fetch_methods(client)
    found: dict[str, dict[str, None]] = {}
    for word in words:
        pattern, _, resource = word.partition("=")
        chosen = [row for row in rows if _is_match(row.method, pattern)]
        if not chosen:
            raise unknown_method(pattern, rows)
        for row in chosen:
            found.setdefault(row.method, {})[_resource_pattern(row, word, resource)] = None
    return {method: tuple(patterns) for method, patterns in sorted(found.items())}


def fetch_startable(
    client: Client, names: Iterable[str]
) -> tuple[Mapping[str, door.Work], Mapping[str, tuple[str, ...]]]:
    """Fetch the Hands that clients may start, and what these are granted, by method. Raises Ended for a service."""
    found: dict[str, door.Work] = {}
    lent: dict[str, dict[str, None]] = {}
    for name in dict.fromkeys(names):
        shown = installed.fetch_details(client, name)
        manifest = shown.hand.package.manifest
        if manifest.hand.kind != "task":
            raise Ended(f"{name} is a service: offer its methods instead, see `maniple methods {name}`", Exit.USAGE)
        params = {"task": "string"} if manifest.agent else pipelines.input_signature(client, shown.hand).params
        found[name] = door.Work(summary=manifest.hand.description, params=None if params is None else dict(params))
        for one in shown.grants:
            lent.setdefault(one.method, {}).update(dict.fromkeys(one.allow))
    return found, {method: tuple(allow) for method, allow in sorted(lent.items()) if allow}


def make_folder(door_wanted: door.Wanted) -> package.Folder:
    """Make the folder of a door's Hand, not yet sealed. Raises ManifestInvalid."""
    import tomli_w

    toml = tomli_w.dumps(door.manifest_of(door_wanted))
    works = door.encode(door.Works(hands=dict(door_wanted.hands)))
    files = {MANIFEST_FILE: toml.encode(), "main.py": door.MAIN.encode(), door.FILE: works}
    return package.Folder(path=door_wanted.hand, manifest=check(toml), files=files, seal="")


def revoke_obsolete(client: Client, hand: str, manifest: Manifest) -> None:
    """Revoke what a door is granted and its manifest does not ask for any more."""
    wanted = {(one.method, one.lent): set(one.allow) for one in requested(manifest)}
    for one in replies.read(client.call("kernel.home").value, rights.Home).grants.get(hand, ()):
        kept = wanted.get((one.method, one.lent), set())
        if obsolete := [pattern for pattern in one.allow if pattern not in kept]:
            client.call(
                "kernel.revoke", hand, {"method": one.method, "allow": obsolete if kept else None, "rule": False}
            )


def hand_name(name: str) -> str:
    """The name of a door's Hand, from the door's name or the Hand's. Raises Ended (usage) for an invalid name."""
    hand = name if name.startswith(door.PREFIX) else f"{door.PREFIX}{name}"
    if not is_hand_name(hand):
        raise Ended(
            f"{name} cannot be a door's name: write lower-case letters and digits, with - between words", Exit.USAGE
        )
    return hand


def require_installed(client: Client, name: str) -> Installed:
    """Fetch a door's installed Hand. Raises Ended if there is none."""
    if (hand := installed.find(client, hand_name(name))) is None:
        raise Ended(f"there is no door {name}: `maniple mcp offer {name} METHOD...` makes one")
    return hand


def _is_match(method: str, pattern: str) -> bool:
    """Whether a method matches METHOD or PREFIX.*; methods of the kernel and of doors never match."""
    if method.startswith(("kernel.", door.PREFIX)):
        return False
    return method == pattern or (pattern.endswith(".*") and method.startswith(pattern[:-1]))


def _resource_pattern(row: MethodRow, word: str, resource: str) -> str:
    """The resource pattern typed for a method. Raises Ended (usage) if it is missing, invalid or superfluous."""
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
