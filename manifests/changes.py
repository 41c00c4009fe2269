"""The operator's changes to a home (pure): checked here, recorded by the kernel, in force from that entry on.

CHANGES lists them. Each turns an Asked into the log entries to record, and never changes the state itself: only recorded
entries do, through state.fold, at once and at every later start. Raises Refusal for what is not allowed, ChangeInvalid
for what is malformed or unknown. The disk and the clock come in as functions and values.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from manifests import amounts, capabilities, grants, settings
from manifests.approvals import UNASKED
from manifests.budgets import HOME
from manifests.errors import ChangeInvalid, NoSuchHand, PatternInvalid, SettingsInvalid, TrustRefused, ValueInvalid
from manifests.grants import GrantSet, as_text, exceeding, is_method_pattern, requested
from manifests.installed import Artefact, Installed, Package
from manifests.judging import check_owner, judge
from manifests.roots import read_mounts, reveals_home
from manifests.schema import Allowance, Budget, Capability, Provided, ResourceKind
from manifests.state import State
from manifests.trust import EVERYTHING, TrustedKey
from wire import canonical
from wire.entries import LINE_MAX
from wire.errors import NoteMalformed, Refusal
from wire.signing import VerifyKey

Detail = dict[str, object]
DETAIL_MAX: Final = LINE_MAX - 4096
"""The most bytes of an entry's `detail`; the rest of the line holds the fields that every entry has."""

RESERVED_ROOTS: Final = frozenset(("scratch", "state", "own", "shared", "session"))
ROOTS_MOST: Final = 128
"""The most roots: a run of `files` gets a descriptor for each, with others, in one packet."""


class Asked(Struct, frozen=True, kw_only=True):
    """A request for one change. resource: what to change; now: microseconds since the epoch; home: its real path.

    new_id: the id for a new Hand; methods: all existing ones; load: reads a folder below `hands/`; real: returns the real
    path of a folder, "" if it is not a folder; mounts: reads the mount table; secrets: a Hand's secret settings, by its id.
    """

    state: State
    resource: str
    arguments: Mapping[str, object]
    now: int
    home: str
    new_id: str
    methods: tuple[str, ...]
    load: Callable[[str], Package]
    real: Callable[[str], str]
    mounts: Callable[[], str]
    secrets: Callable[[str], dict[str, object]]

    def hand(self) -> Installed:
        """The installed Hand that the resource names."""
        if self.resource not in self.state.hands:
            raise NoSuchHand(self.resource)
        return self.state.hands[self.resource]

    def text(self, name: str) -> str:
        """A text argument, "" if it is missing."""
        return str(self.arguments.get(name) or "")


class Decided(Struct, frozen=True, kw_only=True):
    """The entries that make a change. secrets: of `hand`, stored first, in the file that the entry names; None for none.

    Power may be cut between any two, so the deciding one alone makes the change, and is also its answer: what stands before
    it counts for nothing without it, what stands behind it is true by then.
    """

    entries: tuple[tuple[str, Detail], ...]
    deciding: int = -1
    hand: str = ""
    secrets: dict[str, object] | None = None

    @property
    def answer(self) -> Detail:
        """The reply of the method: the detail of the deciding entry."""
        return self.entries[self.deciding][1]


class Change(Struct, frozen=True, kw_only=True):
    """A kernel method that changes the home, and the function that decides which entries it records."""

    provided: Provided
    decide: Callable[[Asked], Decided]


def _install(this: Asked) -> Decided:
    """Install or upgrade a Hand. An upgrade keeps its id and grants; a Hand is refused whose needs are missing or a ring."""
    folder = this.text("folder")
    if "/" in folder or folder.startswith(".") or not folder:
        raise ChangeInvalid("folder is the name of a folder in the home's hands/")
    package = this.load(folder)
    hand = package.manifest.hand
    sealed = judge(this.state, package, this.now)
    check_owner(this.state, hand.name, sealed, this.now)
    missing = [name for name in hand.needs if name not in this.state.hands]
    if missing:
        raise Refusal("needs", f"{hand.name} needs {', '.join(missing)}: install that first")
    needed = [*hand.needs]
    for name in needed:  # it grows
        if name == hand.name:
            raise Refusal("needs", f"{name} would need itself, through its `needs` or theirs: take one of them out")
        needed += set(this.state.hands[name].package.manifest.hand.needs).difference(needed)
    before = this.state.hands.get(hand.name)
    if (instead := this.text("instead")) and (before is None or before.id != instead):
        raise ChangeInvalid(
            f"{hand.name} was removed, or another one installed, since you were asked about an upgrade: type the same again"
        )
    whose: Detail = {"hand": before.id if before else this.new_id, "name": hand.name}
    seal = hashlib.sha256(package.seal.encode()).hexdigest()
    detail: Detail = {**whose, "version": hand.version, "folder": folder, "seal": seal, "by": [*sealed.by]}
    if this.arguments.get("as_declared"):
        detail["as_declared"] = True
    if hand.wasm:
        detail["artefact"] = _plain(_artefact(this.arguments.get("artefact")))
    if before is not None and before.since and package.manifest.schedule == before.package.manifest.schedule:
        detail["since"] = before.since
    given = _agreed(package, this.arguments.get("grants") or [], (*this.methods, *package.manifest.provides))
    entries = [("grant", {**whose, "capabilities": _plain(given)})] if given else list[tuple[str, Detail]]()
    if hand.autostart and before is None:
        entries.append(("hand.state", {**whose, "state": "wanted"}))
    return Decided(entries=(*entries, ("hand.install", detail)), hand=str(whose["hand"]))


def _artefact(given: object) -> Artefact:
    """Return the compiled module of a WASM Hand, which the installing command made and the log pins."""
    try:
        return msgspec.convert(given, Artefact)
    except msgspec.ValidationError:
        raise ChangeInvalid("a WASM Hand is installed with the key and digest of its compiled module") from None


def _remove(this: Asked) -> Decided:
    hand = this.hand()
    needed_by = [
        installed.name for installed in this.state.hands.values() if hand.name in installed.package.manifest.hand.needs
    ]
    if needed_by:
        raise Refusal("needs", f"{hand.name} is needed by {', '.join(needed_by)}, to be removed first")
    return Decided(entries=(("hand.remove", {**_whose(hand), "folder": hand.folder}),), hand=hand.id)


def _grant(this: Asked) -> Decided:
    """Grant at most what the sealed manifest requests, with wildcards expanded to the existing methods."""
    hand = this.hand()
    given = _agreed(hand.package, this.arguments["capabilities"], this.methods)
    return Decided(entries=(("grant", {**_whose(hand), "capabilities": _plain(given)}),), hand=hand.id)


def _agreed(package: Package, wanted: object, methods: tuple[str, ...]) -> list[Capability]:
    try:
        given = msgspec.convert(wanted, tuple[Capability, ...])
        for capability in given:
            if not is_method_pattern(capability.method):
                raise ChangeInvalid(f"{capability.method!r} is not a method or `prefix.*`: see `maniple methods`")
            for pattern in capability.allow:
                capabilities.check_pattern(pattern)
    except (msgspec.ValidationError, PatternInvalid) as error:
        raise ChangeInvalid(f"these are no capabilities: {error}") from None
    name, asks = package.manifest.hand.name, requested(package.manifest)
    given = tuple(grants.mark_lent(capability, GrantSet.of(asks)) for capability in given)
    beyond = exceeding([grants.comparable(capability) for capability in given], GrantSet.of(asks))
    if beyond:
        all_asks = "; ".join(map(as_text, asks)) or "nothing"
        wanted = as_text(beyond[0] if beyond[0].approval is False else replace(beyond[0], approval=None))
        raise Refusal("capability", f"{name} does not ask for {wanted} in its manifest; it asks for {all_asks}")
    expanded = list(grants.expand_wildcards(given, methods))
    asking = (capability.method for capability in expanded if capability.approval)
    if unasked := next((method for method in asking if method in UNASKED), ""):
        raise ChangeInvalid(
            f"nobody is asked about {unasked}: grant it without asking, and by name what is to be asked about"
        )
    return expanded


def _revoke(this: Asked) -> Decided:
    """Revoke by method or `prefix.*`. If `allow` names patterns, only those: the others are granted again at once."""
    hand, method, patterns = this.hand(), this.text("method"), this.arguments.get("allow")
    names = set(map(str, patterns)) if isinstance(patterns, list) else set()
    gone = [
        capability
        for capability in this.state.grants.get(hand.id, ())
        if _is_of(method, capability.method)
        and (not names or names & set(capability.allow))
        and not this.arguments.get("rule")
    ]
    rules = [
        rule
        for rule in this.state.rules.get(hand.id, ())
        if _is_of(method, rule.method) and (not names or rule.pattern in names)
    ]
    if not gone and not rules:
        raise ChangeInvalid(f"{hand.name} holds no such grant: see `maniple grants {hand.name}`")
    left = [
        replace(capability, allow=tuple(pattern for pattern in capability.allow if pattern not in names))
        for capability in gone
        if names and set(capability.allow) - names
    ]
    taken: Detail = {**_whose(hand), "capabilities": _plain(gone)}
    if rules:
        taken["rules"] = _plain(rules)
    rest = [("grant", {**_whose(hand), "capabilities": _plain(left)})]
    return Decided(entries=(*(rest if left else ()), ("revoke", taken)), hand=hand.id)


def _is_of(pattern: str, method: str) -> bool:
    return method == pattern or (pattern.endswith(".*") and method.startswith(pattern[:-1]))


def _add_root(this: Asked) -> Decided:
    """Name a folder. One that contains, lies in, or leads to the home is refused."""
    name, path, home = this.resource, this.text("path"), this.home
    real = this.real(path)
    if not path.startswith("/"):
        raise ChangeInvalid(f"{path!r} is not an absolute path: write it from / on")
    if not real:
        raise ChangeInvalid(f"there is no folder {path!r}: make it first, or name another")
    if not capabilities.path.is_root(name):
        raise ChangeInvalid(f"{name!r} is not a name for a root: write small letters and digits, and - between")
    if name in RESERVED_ROOTS:
        raise Refusal("roots", f"the root name {name!r} is reserved: choose another")
    if len({*this.state.roots, name}) > ROOTS_MOST:
        raise Refusal("roots", f"there are {ROOTS_MOST} roots: take one back first, `maniple roots remove NAME`")
    if reveals_home(real, home, read_mounts(this.mounts())):
        raise Refusal("roots", f"{path} holds, lies in or leads to the home {home}: no Hand may reach that")
    return Decided(entries=(("root.add", {"name": name, "path": real}),))


def _remove_root(this: Asked) -> Decided:
    if this.resource not in this.state.roots:
        raise ChangeInvalid(f"there is no root {this.resource!r}: see `maniple roots`")
    return Decided(entries=(("root.remove", {"name": this.resource}),))


def _add_key(this: Asked) -> Decided:
    """Trust a key: for the named Hands, and for at most the given capabilities."""
    most, expires = this.arguments.get("most"), this.arguments.get("expires")
    try:
        public = VerifyKey.parse(this.text("key"))
        key = TrustedKey(
            name=public.name,
            public=public.public,
            hands=msgspec.convert(this.arguments["hands"], tuple[str, ...]),
            most=msgspec.convert(most, tuple[Capability, ...]) if most is not None else EVERYTHING,
            added=this.now,
            expires=expires if isinstance(expires, int) else None,
        )
        this.state.trust.add(key)
    except (msgspec.ValidationError, TrustRefused, NoteMalformed) as error:
        raise ChangeInvalid(f"this key cannot be trusted: {error}") from None
    return Decided(entries=(("key.add", _key(key)),))


def _rotate_key(this: Asked) -> Decided:
    """Replace a key: the new one gets the rights of the old one, whose seals no longer count."""
    try:
        public = VerifyKey.parse(this.text("key"))
        store = this.state.trust.rotate(this.resource, name=public.name, public=public.public, now=this.now)
        new, old = store.find(public.id), store.find(this.resource)
    except (TrustRefused, NoteMalformed) as error:
        raise ChangeInvalid(str(error)) from None
    return Decided(entries=(("key.add", {**_key(new), "instead": old.id}), ("key.revoke", _key(old))), deciding=0)


def _revoke_key(this: Asked) -> Decided:
    """Revoke a key, for ever: Hands that it sealed stop now and do not start again."""
    try:
        key = this.state.trust.revoke(this.resource, now=this.now).find(this.resource)
    except TrustRefused as error:
        raise ChangeInvalid(str(error)) from None
    return Decided(entries=(("key.revoke", _key(key)),))


def _set(this: Asked) -> Decided:
    """Change settings of a Hand; None unsets one. If any value is invalid, nothing changes. A required setting that had no
    value may stay without one; the Hand then does not start.

    The entry has all of the Hand's values, as JSON text since the log has no floats; secret ones are in the file it names.
    """
    hand, given = this.hand(), this.arguments["values"]
    declared, secrets = hand.package.manifest.settings, this.secrets(hand.id)
    if not isinstance(given, dict):
        raise ChangeInvalid("values is a table of name and value")
    try:
        if this.arguments.get("typed"):
            given = settings.parse(declared, {name: str(value) for name, value in given.items()})
        before = settings.only_declared(declared, {**this.state.settings.get(hand.id, {}), **secrets})
        wanted = {**before, **given}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        settings.check(declared, wanted, untouched=declared.keys() - before.keys() - given.keys())
    except SettingsInvalid as error:
        raise ChangeInvalid("; ".join(error.problems)) from None
    hidden = {name: value for name, value in wanted.items() if declared[name].secret}
    plain = {name: value for name, value in wanted.items() if name not in hidden}
    text = msgspec.json.encode(plain, order="sorted").decode()
    file: Detail = {} if hidden == secrets else {"file": f"{hand.id}.{this.new_id[2:]}.secrets"}
    detail: Detail = {**_whose(hand), "settings": text, "secrets": sorted(hidden), **file}
    return Decided(entries=(("settings", detail),), hand=hand.id, secrets=hidden if file else None)


def _budget(this: Asked) -> Decided:
    """Set the budget of a Hand, or of the home if none is named, in place of its manifest's; [] removes the setting."""
    name = this.text("hand")
    if name and name not in this.state.hands:
        raise NoSuchHand(name)
    hand = this.state.hands[name].id if name else HOME
    before = this.state.budgets.get(hand, Budget())
    try:
        after = Budget(
            tokens=_allowances(this.arguments.get("tokens"), before.tokens, amounts.parse_tokens),
            dollars=_allowances(this.arguments.get("dollars"), before.dollars, amounts.parse_dollars),
        )
    except ValueInvalid as error:
        raise ChangeInvalid(f"{error.why}: {error.instead}") from None
    detail: Detail = {"hand": hand, "name": name, "budget": _plain(after), "state": "set"}
    return Decided(entries=(("budget", detail),), hand=hand)


def _allowances(
    given: object, before: tuple[Allowance, ...], read: Callable[[str], Allowance]
) -> tuple[Allowance, ...]:
    """Parse allowances, at most one per window. Returns `before` if `given` is not a list."""
    return amounts.parse_all(map(str, given), read) if isinstance(given, list) else before


def _whose(hand: Installed) -> Detail:
    return {"hand": hand.id, "name": hand.name}


def _key(key: TrustedKey) -> Detail:
    return {"key": _plain(key)}


def _plain(value: object) -> object:
    """Return a value as the log's canonical JSON reads it back: tables, lists, text, numbers; bytes as base64."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _whole(decide: Callable[[Asked], Decided], this: Asked) -> Decided:
    """Decide a change. Raises ChangeInvalid unless every entry fits the log: else only the first ones would be recorded."""
    decided = decide(this)
    for kind, detail in decided.entries:
        if (size := len(canonical.encode(detail))) > DETAIL_MAX:
            raise ChangeInvalid(
                f"the log takes {DETAIL_MAX} bytes for a {kind}, and this has {size}: grant fewer patterns, or say less"
            )
    return decided


def _row(
    name: str, summary: str, decide: Callable[[Asked], Decided], resource: ResourceKind = "name", /, **params: str
) -> Change:
    provided = Provided(method=f"kernel.{name}", summary=summary, resource=resource, effect="write", params=params)
    return Change(provided=provided, decide=partial(_whole, decide))


CHANGES: Final = {
    change.provided.method: change
    for change in (
        _row(
            "install",
            "Install a Hand",
            _install,
            "none",
            folder="string",
            grants="list?",
            as_declared="bool?",
            artefact="dict?",
            instead="string?",
        ),
        _row("remove", "Remove a Hand", _remove),
        _row("grant", "Give a Hand capabilities", _grant, capabilities="list"),
        _row("revoke", "Revoke capabilities", _revoke, method="string", allow="list?", rule="bool?"),
        _row("root-add", "Name a folder", _add_root, path="string"),
        _row("root-remove", "Remove a named folder", _remove_root),
        _row("key-add", "Trust a key", _add_key, "none", key="string", hands="list", most="list?", expires="int?"),
        _row("key-rotate", "Replace a key", _rotate_key, key="string"),
        _row("key-revoke", "Revoke a key", _revoke_key),
        _row(
            "budget-set",
            "Limit what a Hand, or the home, may spend",
            _budget,
            "none",
            hand="string?",
            tokens="list?",
            dollars="list?",
        ),
        _row("set", "Change a Hand's settings", _set, values="dict", typed="bool?"),
    )
}
