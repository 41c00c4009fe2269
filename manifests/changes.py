"""Changes the operator makes to a home, as the details of log entries (pure): checked here, recorded by the kernel.

Each function takes the state as it is and what was asked, and returns the detail of the entry that makes the change true;
what may not be is raised as Refusal, what cannot be as ChangeInvalid. `changes` never change the state themselves: only the
recorded entry does, through state.fold, at once and at every later start.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from manifests import capabilities, settings
from manifests.errors import ManifestsError, PatternInvalid, SealRefused, SettingsInvalid, TrustRefused
from manifests.grants import GrantSet, as_text, asked, exceeding, expand, is_method_pattern
from manifests.schema import Capability
from manifests.seal import Seal
from manifests.state import Installed, Package, State
from manifests.trust import EVERYTHING, TrustedKey
from wire.errors import NoteMalformed, Refusal
from wire.signing import VerifyKey

Detail = dict[str, object]
RESERVED_ROOTS = frozenset(("scratch", "state", "own", "shared", "session"))


class ChangeInvalid(ManifestsError):
    """What was asked cannot be: a malformed pattern, an unknown name. The text says what to write instead."""


def judge(state: State, package: Package, now: int) -> Seal:
    """The package's seal, if it lets the Hand be installed, or start, now (microseconds since the epoch); else Refusal."""
    hand = package.manifest.hand
    try:
        return state.trust.judge(
            package.seal,
            name=hand.name,
            version=hand.version,
            last_version=state.versions.get(hand.name),
            now=now,
            manifest=package.manifest,
        )
    except SealRefused as refused:
        raise Refusal("seal", f"{hand.name} {hand.version} is refused: {refused}") from None


def install(state: State, package: Package, folder: str, hand_id: str, now: int) -> Detail:
    """Detail of hand.install. An upgrade keeps its id; a Hand whose needs are missing is refused."""
    hand = package.manifest.hand
    judge(state, package, now)
    missing = [name for name in hand.needs if name not in state.hands]
    if missing:
        raise Refusal("needs", f"{hand.name} needs {', '.join(missing)}: install that first")
    before = state.hands.get(hand.name)
    return {
        "hand": before.id if before else hand_id,
        "name": hand.name,
        "version": hand.version,
        "folder": folder,
        "seal": hashlib.sha256(package.seal.encode()).hexdigest(),
    }


def remove(state: State, hand: Installed) -> Detail:
    """Detail of hand.remove."""
    needed_by = [one.name for one in state.hands.values() if hand.name in one.package.manifest.hand.needs]
    if needed_by:
        raise Refusal("needs", f"{', '.join(needed_by)} needs {hand.name}: remove that first")
    return {"hand": hand.id, "name": hand.name}


def grant(package: Package, hand_id: str, wanted: object, methods: Iterable[str]) -> Detail:
    """Detail of grant: at most what the sealed manifest asks for, wildcards expanded to the methods that exist."""
    try:
        given = msgspec.convert(wanted, tuple[Capability, ...])
    except msgspec.ValidationError as error:
        raise ChangeInvalid(f"capabilities: {error}") from None
    for one in given:
        if not is_method_pattern(one.method):
            raise ChangeInvalid(f"{one.method!r} is no method or `prefix.*`: see `maniple methods`")
        for pattern in one.allow:
            _check_pattern(pattern)
    asks = asked(package.manifest)
    beyond = exceeding(given, GrantSet.of(asks))
    if beyond:
        all_asks = "; ".join(map(as_text, asks)) or "nothing"
        name = package.manifest.hand.name
        raise Refusal(
            "capability", f"{name} does not ask for {as_text(beyond[0])} in its manifest; it asks for {all_asks}"
        )
    known = [*methods]
    expanded = [
        Capability(method=name, allow=one.allow, own=one.own)
        for one in given
        for name in (expand(one.method, known) if one.method.endswith("*") else (one.method,))
    ]
    name = package.manifest.hand.name
    return {"hand": hand_id, "name": name, "capabilities": _plain(expanded)}


def revoke(state: State, hand: Installed, method: str, patterns: Iterable[str]) -> tuple[Detail, Detail | None]:
    """Details of revoke, and of the grant that gives back what only some patterns were taken from."""
    names = set(patterns)
    gone = [
        one
        for one in state.grants.get(hand.id, ())
        if (one.method == method or (method.endswith(".*") and one.method.startswith(method[:-1])))
        and (not names or names & set(one.allow))
    ]
    if not gone:
        raise ChangeInvalid(f"{hand.name} holds no such grant: see `maniple grants {hand.name}`")
    left = [
        Capability(
            method=one.method, allow=tuple(pattern for pattern in one.allow if pattern not in names), own=one.own
        )
        for one in gone
        if names and set(one.allow) - names
    ]
    whose: Detail = {"hand": hand.id, "name": hand.name}
    back: Detail | None = {**whose, "capabilities": _plain(left)} if left else None
    return {**whose, "capabilities": _plain(gone)}, back


def root(name: str, real: str, home: str) -> Detail:
    """Detail of root.add: real and home are paths without links. A folder that meets the home is refused."""
    if name in RESERVED_ROOTS:
        raise Refusal("roots", f"the root name {name!r} is reserved: choose another")
    if real == "/" or real == home or home.startswith(real + "/") or real.startswith(home + "/"):
        raise Refusal("roots", f"{real} holds, lies in or leads to the home {home}: no Hand may reach that")
    return {"name": name, "path": real}


def add_key(state: State, arguments: Mapping[str, object], now: int) -> Detail:
    """Detail of key.add: a key to trust, for which Hands, and the most these may be granted."""
    most, expires = arguments.get("most"), arguments.get("expires")
    try:
        public = VerifyKey.parse(str(arguments["key"]))
        key = TrustedKey(
            name=public.name,
            public=public.public,
            hands=msgspec.convert(arguments["hands"], tuple[str, ...]),
            most=msgspec.convert(most, tuple[Capability, ...]) if most is not None else EVERYTHING,
            added=now,
            expires=expires if isinstance(expires, int) else None,
        )
        state.trust.add(key)
    except (msgspec.ValidationError, TrustRefused, NoteMalformed) as error:
        raise ChangeInvalid(f"this key cannot be trusted: {error}") from None
    return {"key": _plain(key)}


def rotate_key(state: State, old: str, text: str, now: int) -> tuple[Detail, Detail]:
    """Details of key.revoke and key.add: the new key has the rights of the old one, whose seals count no more."""
    try:
        public = VerifyKey.parse(text)
        store = state.trust.rotate(old, name=public.name, public=public.public, now=now)
        keys = store.find(old), store.find(public.id)
    except (TrustRefused, NoteMalformed) as error:
        raise ChangeInvalid(str(error)) from None
    return {"key": _plain(keys[0])}, {"key": _plain(keys[1])}


def revoke_key(state: State, key_id: str, now: int) -> Detail:
    """Detail of key.revoke: for ever."""
    try:
        return {"key": _plain(state.trust.revoke(key_id, now=now).find(key_id))}
    except TrustRefused as error:
        raise ChangeInvalid(str(error)) from None


def change_settings(
    state: State, hand: Installed, secrets: Mapping[str, object], given: Mapping[str, object], *, typed: bool
) -> tuple[Detail, dict[str, object]]:
    """Detail of settings, and the secret ones, which no log ever holds: all of a Hand's own values after the change.

    None takes one back. All are right, or none changes. In the detail they are JSON text, since the log has no floats.
    """
    declared = hand.package.manifest.settings
    try:
        if typed:
            given = settings.read(declared, {name: str(value) for name, value in given.items()})
        wanted = {**state.settings.get(hand.id, {}), **secrets, **given}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        settings.check(declared, wanted)
    except SettingsInvalid as error:
        raise ChangeInvalid("; ".join(error.problems)) from None
    hidden = {name: value for name, value in wanted.items() if declared[name].secret}
    plain = {name: value for name, value in wanted.items() if name not in hidden}
    text = msgspec.json.encode(plain, order="sorted").decode()
    return {"hand": hand.id, "name": hand.name, "settings": text, "secrets": sorted(hidden)}, hidden


def _check_pattern(pattern: str) -> None:
    try:
        capabilities.check_pattern(pattern)
    except PatternInvalid as error:
        raise ChangeInvalid(f"{pattern!r}: {error}") from None


def _plain(value: object) -> object:
    """A value as the log's canonical JSON reads it back: tables, lists, text, numbers; bytes as base64."""
    return msgspec.json.decode(msgspec.json.encode(value))
