"""The kernel's state, as a fold over the log (pure except for the loader that is passed in).

There is no second source of truth: installs, grants, keys, roots, settings, spending, and what is wanted, paused or frozen
follow from the log's entries in order. A snapshot is this value as of one entry; deleting it only makes a start slower.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from manifests.grants import GrantSet, narrow, requested
from manifests.installed import Artefact, Installed, Package
from manifests.ledger import Ledger, apply_entry, payers_of, plus, sum_of, within_of
from manifests.schema import Budget, Capability, Effect, HandSection, Manifest
from manifests.seal import MANIFEST_FILE
from manifests.standing_rules import Rule, add_rules, remove_rules, waiting_of
from manifests.trust import TrustedKey, TrustStore
from manifests.unfinished import WORK, Open, Unfinished, add_spent, end_run, forget_unasked, mark_begun
from wire.amounts import Cost
from wire.entries import Entry, time_micros
from wire.errors import ManipleError
from wire.ids import HandId

FIRED_KEPT: Final = 16
"""The number of a Hand's scheduled runs that are remembered, so that a repeated firing starts no second run."""


class State(Struct, kw_only=True, forbid_unknown_fields=True):
    """Everything that entries can change. `hands` and `versions` are by a Hand's name, other tables by its id.

    kept: replaced versions of Hands that unfinished runs began with, by seal. versions: the highest ever installed, which
    prevents downgrades. made_of: digests of the code, besides its Hand's, that every run consists of. budgets: set by the
    operator, "" for the home; ledger: spending. open: calls by number; a running kernel has its open calls in its exchange,
    and adds them for a snapshot. fired: a Hand's last FIRED_KEPT scheduled runs, by their firings' keys.
    """

    hands: dict[str, Installed] = {}
    kept: dict[str, Installed] = {}
    made_of: dict[str, str] = {}
    versions: dict[str, str] = {}
    grants: dict[str, tuple[Capability, ...]] = {}
    rules: dict[str, tuple[Rule, ...]] = {}
    settings: dict[str, dict[str, object]] = {}
    secrets: dict[str, str] = {}
    trust: TrustStore = TrustStore()
    roots: dict[str, str] = {}
    wanted: set[str] = set()
    paused: set[str] = set()
    quarantined: dict[str, str] = {}
    unfinished: dict[str, Unfinished] = {}  # by the run's id
    budgets: dict[str, Budget] = {}
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    open: dict[int, Open] = {}
    fired: dict[str, dict[str, str]] = {}
    frozen: bool = False
    installs: int = 0
    calls: int = 0

    def by_id(self, hand: str) -> Installed | None:
        """Return the installed Hand with this id, or None."""
        return next((installed for installed in self.hands.values() if installed.id == hand), None)

    def secrets_of(self, hand: str) -> str:
        """Return the name of the file with a Hand's secret settings; without one in the log, it is that of the Hand's id."""
        return self.secrets.get(hand, f"{hand}.secrets")

    def to_be_up(self) -> list[Installed]:
        """Return the services that the operator wants up and that are neither paused nor quarantined; none if frozen."""
        held = self.paused | self.quarantined.keys()
        wanted = [] if self.frozen else [hand for hand in self.hands.values() if hand.id in self.wanted - held]
        return [hand for hand in wanted if not hand.is_task]


MADE_OF: Final = ("interpreter", "runtime", "wire")
"""The parts of Maniple, of those with a digest in a `kernel.start` entry, that runs execute: a new one upgrades all Hands."""

Load = Callable[[str], Package]
"""Reads a folder below `hands/`, by name. Raises ManipleError if it cannot."""


def fold(state: State, entry: Entry, load: Load) -> None:
    """Apply one entry to the state. Kinds that change nothing are ignored."""
    if entry.call > state.calls:
        state.calls = entry.call
    change = _CHANGES.get(entry.kind)
    if change is not None:
        change(state, entry, load)


def authority(state: State, hand: Installed) -> GrantSet:
    """Return a Hand's authority: what its sealed manifest requests and the operator granted."""
    return narrow(GrantSet.of(requested(hand.package.manifest)), GrantSet.of(state.grants.get(hand.id, ())))


def _install(state: State, entry: Entry, load: Load) -> None:
    detail = entry.detail
    folder, name, hand = str(detail["folder"]), str(detail["name"]), HandId(str(detail["hand"]))
    version, before = str(detail["version"]), state.hands.get(name)
    state.installs += before is None
    state.hands[name] = Installed(
        id=hand,
        name=name,
        version=version,
        folder=folder,
        number=before.number if before else state.installs,
        seal=str(detail["seal"]),
        package=_loaded(load, detail),
        as_declared=bool(detail.get("as_declared")),
        artefact=msgspec.convert(detail["artefact"], Artefact) if "artefact" in detail else None,
        by=msgspec.convert(detail.get("by", ()), tuple[str, ...]),
    )
    state.hands[name] = _scheduled(state.hands[name], before, entry)
    if before is not None:
        state.kept[before.seal] = before
    state.kept.pop(state.hands[name].seal, None)
    _keep_needed(state)
    state.versions[name] = version
    state.quarantined.pop(hand, None)


def _scheduled(hand: Installed, before: Installed | None, entry: Entry) -> Installed:
    """Return the Hand with `since`, the time from which its schedule counts. An upgrade with the same schedule keeps it.

    The entry then states it, since the replaced folder is gone when the log is read from its beginning.
    """
    schedule, since = hand.package.manifest.schedule, entry.detail.get("since")
    if schedule is None:
        return hand
    is_same = before is not None and before.package.manifest.schedule == schedule  # for entries of an older Maniple
    kept = since if isinstance(since, int) else before.since if before is not None and is_same else 0
    return replace(hand, since=kept or time_micros(entry.time))


def _loaded(load: Load, detail: Mapping[str, object]) -> Package:
    """Return the folder's content if it is what was installed; else a stand-in that has no seal and provides nothing.

    So a log can be read whose Hands were removed or replaced, and a folder that was altered while the kernel was down, or
    that this version of Maniple refuses, stops only its own Hand.
    """
    try:
        package = load(str(detail["folder"]))
        is_pinned = sha256(package.seal.encode()).hexdigest() == detail["seal"]
        if is_pinned and f"\n{package.digest}  {MANIFEST_FILE}\n" in package.seal:
            return package
    except ManipleError:
        pass
    hand = HandSection(
        name=str(detail["name"]), version=str(detail["version"]), description="Its folder is not as it was installed.",
        entry="main:Gone", kind="service", autonomy="readonly",
    )  # fmt: skip
    return Package(seal="", manifest=Manifest(hand=hand), digest="")


def _keep_needed(state: State) -> None:
    """Drop replaced versions that no unfinished run was begun with."""
    if state.kept:
        needed = {(run.hand, run.seal) for run in state.unfinished.values() if not run.has_ended}
        state.kept = {seal: hand for seal, hand in state.kept.items() if (hand.id, seal) in needed}


def _remove(state: State, entry: Entry, _: Load) -> None:
    gone = state.hands.pop(str(entry.detail["name"]))
    state.kept = {seal: hand for seal, hand in state.kept.items() if hand.id != gone.id}
    by_hand = (state.grants, state.rules, state.settings, state.secrets, state.quarantined, state.budgets, state.fired)
    for table in (*by_hand, state.ledger.spent):
        table.pop(gone.id, None)
    state.wanted, state.paused = state.wanted - {gone.id}, state.paused - {gone.id}


def _grant(state: State, entry: Entry, _: Load) -> None:
    hand = str(entry.detail["hand"])
    new = msgspec.convert(entry.detail["capabilities"], tuple[Capability, ...])
    held = state.grants.get(hand, ())
    state.grants[hand] = (*held, *(capability for capability in new if capability not in held))


def _revoke(state: State, entry: Entry, _: Load) -> None:
    hand = str(entry.detail["hand"])
    gone = msgspec.convert(entry.detail["capabilities"], tuple[Capability, ...])
    state.grants[hand] = tuple(capability for capability in state.grants.get(hand, ()) if capability not in gone)
    remove_rules(state.rules, entry)


def _add_key(state: State, entry: Entry, _: Load) -> None:
    """A key that is there instead of another revokes that one: its own entry for it may have been lost with the power."""
    key, instead = msgspec.convert(entry.detail["key"], TrustedKey), str(entry.detail.get("instead", ""))
    state.trust = state.trust.with_key(key, instead=instead)
    if instead:
        state.trust = state.trust.revoke(instead, now=key.added)


def _add_root(state: State, entry: Entry, _: Load) -> None:
    state.roots[str(entry.detail["name"])] = str(entry.detail["path"])


def _remove_root(state: State, entry: Entry, _: Load) -> None:
    state.roots.pop(str(entry.detail["name"]), None)


def _settings(state: State, entry: Entry, _: Load) -> None:
    state.settings[str(entry.detail["hand"])] = msgspec.json.decode(
        str(entry.detail["settings"]), type=dict[str, object]
    )
    if "file" in entry.detail:
        state.secrets[str(entry.detail["hand"])] = str(entry.detail["file"])


def _hand_state(state: State, entry: Entry, _: Load) -> None:
    hand = str(entry.detail["hand"])
    match entry.verdict:
        case "wanted":
            state.wanted.add(hand)
            state.quarantined.pop(hand, None)
        case "unwanted":
            state.wanted.discard(hand)
        case "released":
            state.quarantined.pop(hand, None)
        case "quarantined":
            state.quarantined[hand] = entry.why


def _pause(state: State, entry: Entry, _: Load) -> None:
    state.paused.add(str(entry.detail["hand"]))


def _resume(state: State, entry: Entry, _: Load) -> None:
    state.paused.discard(str(entry.detail["hand"]))


def _run_start(state: State, entry: Entry, _: Load) -> None:
    detail = entry.detail
    if detail.get("kind") == "task" and entry.run not in state.unfinished:
        asked, spawner, depth = detail.get("asked", 0), str(detail.get("spawner", "")), detail.get("depth", 0)
        state.unfinished[entry.run] = Unfinished(
            name=str(detail["name"]), hand=str(detail.get("hand", "")), seal=str(detail.get("seal", "")),
            made_of=state.made_of, work=entry.call, asked=asked if isinstance(asked, int) else 0, spawner=spawner,
            asker=str(detail.get("asker", spawner)), instead=str(detail.get("instead", "")),
            has_work="asked" not in detail or entry.call in state.open, depth=depth if isinstance(depth, int) else 0,
        )  # fmt: skip
    elif entry.run in state.unfinished:  # it resumes, and the calls that it makes again may reach their providers
        mark_begun(state.open, [number for number, call in state.open.items() if call.run == entry.run], is_begun=True)
    if "fired" in detail:
        begun = state.fired.setdefault(str(detail["hand"]), {})
        begun[str(detail["fired"])] = entry.run
        while len(begun) > FIRED_KEPT:
            del begun[next(iter(begun))]


def _run_left(state: State, entry: Entry, _: Load) -> None:
    mark_begun(state.open, msgspec.convert(entry.detail.get("waited", ()), tuple[int, ...]), is_begun=False)


def _label(state: State, entry: Entry, _: Load) -> None:
    if entry.run in state.unfinished:
        state.unfinished[entry.run].see(entry.labels)


def _run_end(state: State, entry: Entry, _: Load) -> None:
    gone = state.unfinished.pop(entry.run, None)
    if gone is not None and not gone.has_work:
        _never_begun(state, entry.run, gone.instead)
        forget_unasked(state.unfinished)
    elif gone is not None:
        end_run(state.unfinished, entry.run, gone)
    _keep_needed(state)


def _decision(state: State, entry: Entry, _: Load) -> None:
    if entry.run in state.unfinished:
        state.unfinished[entry.run].decided = entry.verdict


def _kernel_start(state: State, entry: Entry, _: Load) -> None:
    state.made_of = {name: str(entry.detail[name]) for name in MADE_OF if name in entry.detail}
    forget_unasked(state.unfinished)  # an older Maniple's snapshot does not say which run asked for which


def _never_begun(state: State, run: str, instead: str) -> None:
    """Forget the firing of a run that ended before its work was in the log, so that the firing can start another run.

    instead: the run whose place it was to take, and which resumes: the firing is assigned to that one again.
    """
    for begun in state.fired.values():
        for key in [key for key, started in begun.items() if started == run]:
            if instead:
                begun[key] = instead
            else:
                del begun[key]


def _call(state: State, entry: Entry, _: Load) -> None:
    most, payers = entry.detail.get("most"), payers_of(entry)
    answer, until = waiting_of(entry)
    state.open[entry.call] = Open(
        method=entry.method, resource=entry.resource, run=entry.run, parent=entry.parent, labels=entry.labels,
        effect=msgspec.convert(entry.detail.get("effect", "external"), Effect),
        seq=entry.seq, time=entry.time, answer=answer, until=until,
        most=sum_of(msgspec.convert(most, Cost)) if payers else None, payers=payers, within=within_of(entry),
    )  # fmt: skip
    if entry.method == WORK:
        for unfinished in reversed(state.unfinished.values()):  # the newest: its entry is the one before this
            if unfinished.work == entry.call:
                unfinished.begin(entry.labels)
                break
    _vouch(state, entry)
    if entry.run in state.unfinished and entry.method != WORK:
        state.unfinished[entry.run].calls += 1
    if payers:
        state.ledger.tick(time_micros(entry.time))


def _approval(state: State, entry: Entry, _: Load) -> None:
    add_rules(state.rules, entry)
    if entry.call in state.open:
        state.open[entry.call] = replace(state.open[entry.call], answer=entry.verdict)


def _end(state: State, entry: Entry, _: Load) -> None:
    if state.open.pop(entry.call, None) is not None:
        _vouch(state, entry)
    if entry.cost is None:
        return
    apply_entry(state.ledger, entry)
    if entry.method != WORK:
        add_spent(state.unfinished, state.open, entry)
    within = within_of(entry)
    while within and (above := state.open.get(within)) is not None:
        state.open[within] = replace(above, inner=plus(above.inner, sum_of(entry.cost)))
        within = above.within


def _vouch(state: State, entry: Entry) -> None:
    """Note the newest entry of a run's own calls, all of which its tape must have. A spawned run's work is not one."""
    if entry.run in state.unfinished and entry.method != WORK:
        state.unfinished[entry.run].last = entry.seq


def _budget(state: State, entry: Entry, _: Load) -> None:
    if entry.verdict != "set":
        apply_entry(state.ledger, entry)
        add_spent(state.unfinished, state.open, entry)
        return
    hand = str(entry.detail["hand"])
    state.budgets[hand] = msgspec.convert(entry.detail["budget"], Budget)
    state.ledger.forget_told(hand)


def _freeze(state: State, _: Entry, __: Load) -> None:
    state.frozen = True


def _thaw(state: State, _: Entry, __: Load) -> None:
    state.frozen = False


_CHANGES: Final[dict[str, Callable[[State, Entry, Load], None]]] = {
    "kernel.start": _kernel_start,
    "hand.install": _install,
    "hand.remove": _remove,
    "hand.state": _hand_state,
    "grant": _grant,
    "revoke": _revoke,
    "key.add": _add_key,
    "key.revoke": _add_key,
    "root.add": _add_root,
    "root.remove": _remove_root,
    "settings": _settings,
    "pause": _pause,
    "resume": _resume,
    "run.start": _run_start,
    "run.left": _run_left,
    "label": _label,
    "run.end": _run_end,
    "decision": _decision,
    "call": _call,
    "approval": _approval,
    "end": _end,
    "budget": _budget,
    "freeze": _freeze,
    "thaw": _thaw,
}

_snapshot: Final = msgspec.msgpack.Encoder()


def to_bytes(state: State) -> bytes:
    """Encode the state for a snapshot."""
    return _snapshot.encode(state)


def from_bytes(raw: bytes) -> State:
    """Decode a snapshot whose signature was verified. Raises msgspec.MsgspecError for one of another version."""
    return msgspec.msgpack.decode(raw, type=State)
