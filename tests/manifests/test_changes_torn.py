"""Power may be cut between the entries of one change: then it is made or not, and what is asked for again makes it."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from manifests.changes import CHANGES, Asked
from manifests.installed import Package
from manifests.schema import Capability
from manifests.state import State, authority, fold, from_bytes, to_bytes
from tests.manifests.test_changes import HOME_KEY, NOW, asked_of, package_of, trusting
from wire.entries import NO_PREV, Entry, time_text
from wire.signing import SigningKey

ORG, DOCS = "https://example.org/**", "https://example.org/docs/**"
CALLS = (
    ("web.fetch", "https://example.org/docs/a"), ("web.fetch", "https://example.org/a"), ("web.connect", "example.org:443"),
)  # fmt: skip
NEW_KEY = SigningKey("new", bytes([9] * 32))


def fetching(*allow: str) -> dict[str, object]:
    return {"method": "web.fetch", "allow": [*allow]}


def folded(state: State, entries: tuple[tuple[str, dict[str, object]], ...], package: Package) -> State:
    """A copy of the state, with these entries."""
    after = from_bytes(to_bytes(state))
    for kind, detail in entries:
        verdict = str(detail.get("state", ""))
        entry = Entry(
            seq=0, prev=NO_PREV, time=time_text(NOW), kind=kind, principal="operator", verdict=verdict, detail=detail
        )
        fold(after, entry, lambda _: package)
    return after


def counting(state: State) -> object:
    """All of a state that anybody notices: which Hands there are, what each may do, which are up, which keys count."""
    held = {
        name: (hand.version, [authority(state, hand).allows(*call) for call in CALLS])
        for name, hand in state.hands.items()
    }
    return held, [hand.name for hand in state.to_be_up()], state.trust, state.settings, state.roots


def torn(change: str, asked: Asked, package: Package) -> Iterator[tuple[State, State, State]]:
    """For each part of a change's entries that may be on disk alone: the states before, with it, and with all."""
    entries = CHANGES[change].decide(asked).entries
    assert len(entries) > 1, "one entry is never torn"
    after = folded(asked.state, entries, package)
    for there in range(len(entries)):
        yield asked.state, folded(asked.state, entries[:there], package), after


def changes() -> Iterator[tuple[str, Asked, Package]]:
    """Every change that takes more than one entry."""
    first = package_of("news", "1.0.0", HOME_KEY)
    up = replace(first, manifest=replace(first.manifest, hand=replace(first.manifest.hand, autostart=True)))
    yield "kernel.install", asked_of(trusting(), up, folder="f", grants=[fetching(ORG)]), up
    state = trusting()
    state = folded(state, CHANGES["kernel.install"].decide(asked_of(state, first, folder="f")).entries, first)
    more = package_of("news", "1.1.0", HOME_KEY, '"web.connect" = ["example.org:443"]\n')
    grants = [{"method": "web.connect", "allow": ["example.org:443"]}]
    yield "kernel.install", asked_of(state, more, folder="g", grants=grants), more
    state.grants["h-0000000000000000"] = (Capability(method="web.fetch", allow=(ORG, DOCS)),)
    yield "kernel.revoke", asked_of(state, first, "news", method="web.fetch", allow=[DOCS]), first
    for key in trusting().trust.keys:
        yield "kernel.key-rotate", asked_of(trusting(), first, key.id, key=NEW_KEY.verify_key.text()), first


@pytest.mark.parametrize(("change", "asked", "package"), [*changes()])
def test_of_a_change_whose_entries_are_not_all_on_disk_all_is_made_or_nothing(
    change: str, asked: Asked, package: Package
) -> None:
    for before, with_it, after in torn(change, asked, package):
        assert counting(with_it) in (counting(before), counting(after))


@pytest.mark.parametrize(("change", "asked", "package"), [*changes()])
def test_what_was_not_made_is_made_when_it_is_asked_for_again(change: str, asked: Asked, package: Package) -> None:
    for _, with_it, after in torn(change, asked, package):
        if counting(with_it) != counting(after):
            again = CHANGES[change].decide(replace(asked, state=with_it)).entries
            assert counting(folded(with_it, again, package)) == counting(after)
