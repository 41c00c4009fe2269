"""Trust: a Hand starts only under a key that may seal it, now, for all it asks; and no key gets more than its giver."""

from typing import Any

import msgspec
import pytest

from manifests import reinstalling
from manifests.errors import SealRefused, TrustRefused
from manifests.schema import Capability, Confinement, Events, Manifest
from manifests.seal import Seal, seal
from manifests.trust import EVERYTHING, TrustedKey, TrustStore
from tests.manifests.texts import cap, manifest
from wire.signing import SigningKey, sign_note

DAY = 86_400_000_000
NOW = 1_800_000_000_000_000
FILES = {"HAND.toml": "ab" * 32}
OWN = SigningKey("home.example/seal", b"\x05" * 32)
AUTHOR = SigningKey("author.example/seal", b"\x01" * 32)
SECOND = SigningKey("second.example/seal", b"\x02" * 32)
THIRD = SigningKey("third.example/seal", b"\x03" * 32)


def _key(signing: SigningKey, **changes: Any) -> TrustedKey:
    fields: dict[str, Any] = {"hands": ("*",), "most": EVERYTHING, "added": NOW - DAY, **changes}
    return TrustedKey(name=signing.name, public=signing.verify_key.public, **fields)


def _judge(store: TrustStore, text: str | None = None, **changes: Any) -> Seal:
    asked: dict[str, Any] = {
        "name": "watcher",
        "version": "1.0.0",
        "last_version": None,
        "now": NOW,
        "manifest": manifest(cap("web.fetch", "https://a.example/**")),
        **changes,
    }
    return store.judge(seal("watcher", "1.0.0", FILES, AUTHOR) if text is None else text, **asked)


def _refused(store: TrustStore, text: str | None = None, **changes: Any) -> SealRefused:
    with pytest.raises(SealRefused) as refused:
        _judge(store, text, **changes)
    assert refused.value.mend
    return refused.value


TRUSTING = TrustStore().add(_key(AUTHOR))
AUTHOR_ID = AUTHOR.verify_key.id


def test_a_good_seal_by_a_trusted_key_starts() -> None:
    assert _judge(TRUSTING).files == FILES
    assert _judge(TRUSTING, last_version="1.0.0").by == (AUTHOR_ID,)
    assert _judge(TRUSTING, last_version="1.0.0-rc.1").version == "1.0.0"


def test_a_good_seal_loads_nothing_that_says_how_to_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stay in the memory of every kernel: the modules of MCP and skills, which take 16 ms. (A mock, since another
    test in this process may have loaded them.)
    """

    def load(_: Manifest) -> str:
        raise AssertionError("it was asked how to reinstall the Hand")

    monkeypatch.setattr(reinstalling, "how_to_reinstall", load)
    assert _judge(TRUSTING).files == FILES


def test_a_hand_without_a_seal_is_unsigned() -> None:
    assert _refused(TRUSTING, "").code == "unsigned"
    with pytest.raises(SealRefused, match="has no seal"):
        TRUSTING.judge(None, name="x", version="1.0.0", last_version=None, now=NOW, manifest=manifest())


def test_a_seal_that_is_none_is_malformed() -> None:
    assert _refused(TRUSTING, "seal").code == "malformed"
    assert _refused(TRUSTING, sign_note("hello\n", AUTHOR)).code == "malformed"


def test_an_altered_seal_is_forged() -> None:
    text = seal("watcher", "1.0.0", FILES, AUTHOR).replace("abab", "abac")
    assert _refused(TRUSTING, text).code == "forged"


def test_a_key_that_borrows_a_trusted_name_is_unknown() -> None:
    borrowed = SigningKey(AUTHOR.name, b"\x09" * 32)
    refusal = _refused(TRUSTING, seal("watcher", "1.0.0", FILES, borrowed))
    assert refusal.code == "unknown key"
    assert borrowed.verify_key.id in refusal.why


def test_a_seal_by_another_key_names_it() -> None:
    refusal = _refused(TRUSTING, seal("watcher", "1.0.0", FILES, SECOND))
    assert refusal.code == "unknown key"
    assert f"{SECOND.name}+{SECOND.verify_key.id}" in refusal.why
    assert "maniple keys add" in refusal.mend
    assert "look at it and type `maniple seal DIR`" in refusal.mend
    assert _refused(TrustStore()).code == "unknown key"


def test_a_revoked_key_stops_the_next_start_whatever_the_clock_says() -> None:
    store = TRUSTING.revoke(AUTHOR_ID, now=NOW)
    assert _refused(store).code == "revoked"
    assert _refused(store, now=0).code == "revoked"
    assert store.revoke(AUTHOR_ID, now=NOW + DAY) == store


def test_a_key_counts_until_it_is_revoked_or_ends() -> None:
    ends = _key(AUTHOR, expires=NOW)
    assert [one.is_usable(NOW) for one in (_key(AUTHOR), ends, _key(AUTHOR, revoked=NOW - 1))] == [True, False, False]
    assert ends.is_usable(NOW - 1)
    assert not msgspec.structs.replace(ends, revoked=0).is_usable(NOW - 1)


def test_an_expired_key_stops_the_next_start() -> None:
    store = TrustStore().add(_key(AUTHOR, expires=NOW))
    _judge(store, now=NOW - 1)
    assert _refused(store).code == "expired"


@pytest.mark.parametrize("hands", [(), ("other",), ("watch",), ("Watcher",), ("watcher.*",)])
def test_a_key_for_other_hands_does_not_count(hands: tuple[str, ...]) -> None:
    assert _refused(TrustStore().add(_key(AUTHOR, hands=hands))).code == "not for this Hand"


def test_a_key_for_a_family_of_hands_counts_for_it() -> None:
    assert _judge(TrustStore().add(_key(AUTHOR, hands=("watch*",)))).name == "watcher"


@pytest.mark.parametrize(
    "most",
    [
        (),
        (cap("web.fetch"),),
        (cap("web.fetch", "https://b.example/**"),),
        (cap("web.fetch", "https://a.example/*"),),
        (cap("files.*", "*"),),
    ],
)
def test_a_hand_that_asks_for_more_than_its_key_may_grant_does_not_start(most: tuple[Capability, ...]) -> None:
    refusal = _refused(TrustStore().add(_key(AUTHOR, most=most)))
    assert refusal.code == "wants more"
    assert '"web.fetch" = ["https://a.example/**"]' in refusal.why


def test_only_what_goes_beyond_is_named() -> None:
    store = TrustStore().add(_key(AUTHOR, most=(cap("web.*", "https://*.example/**"),)))
    asks = manifest(cap("web.fetch", "https://a.example/**", "http://a.example/**"), cap("files.read"))
    assert '= ["http://a.example/**"], more' in _refused(store, manifest=asks).why


@pytest.mark.parametrize(
    ("opens", "as_much"),
    [
        (Confinement(roots=True), cap("files.*", "*")),
        (Confinement(network="host"), cap("web.*", "*")),
        (Confinement(outside_read=("/etc",)), cap("machine.*", "*")),
    ],
)
def test_what_the_walls_leave_open_counts_as_what_it_amounts_to(opens: Confinement, as_much: Capability) -> None:
    asks = msgspec.structs.replace(manifest(cap("web.fetch", "https://a.example/**")), confinement=opens)
    fetch = cap("web.fetch", "https://**.example/**")
    refusal = _refused(TrustStore().add(_key(AUTHOR, most=(fetch, cap("files.read", "*")))), manifest=asks)
    assert (refusal.code, "[confinement]" in refusal.why) == ("wants more", True)
    _judge(TrustStore().add(_key(AUTHOR, most=(fetch, as_much))), manifest=asks)
    _judge(TRUSTING, manifest=asks)


def test_own_and_events_are_more_than_plain_capabilities() -> None:
    store = TrustStore().add(_key(AUTHOR, most=(cap("web.*", "*"),)))
    _judge(store)
    assert _refused(store, manifest=manifest(cap("web.fetch", "*", own=True))).code == "wants more"
    listening = msgspec.structs.replace(manifest(), events=Events(subscribes=("web.*",)))
    assert _refused(store, manifest=listening).code == "wants more"
    _judge(TRUSTING, manifest=listening)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "watches"},
        {"version": "1.0.1"},
        {"manifest": manifest(name="watches")},
        {"manifest": manifest(version="1.0.1")},
    ],
)
def test_a_seal_for_another_name_or_version_does_not_count(changes: dict[str, Any]) -> None:
    assert _refused(TRUSTING, **changes).code == "mismatch"


def test_a_downgrade_does_not_start() -> None:
    refusal = _refused(TRUSTING, last_version="1.0.1")
    assert refusal.code == "downgrade"
    assert "1.0.1" in refusal.why


def test_one_good_signature_is_enough_and_a_bad_one_is_never_passed_over() -> None:
    text = seal("watcher", "1.0.0", FILES, AUTHOR).rpartition("\n\n")[0] + "\n"
    both = sign_note(text, SECOND, AUTHOR)
    _judge(TRUSTING, both)
    _judge(TRUSTING.add(_key(SECOND, hands=())), both)
    altered = both.replace(both.splitlines()[-1][-12:-4], "AAAAAAAA")
    assert _refused(TRUSTING.add(_key(SECOND)), altered).code == "forged"


# the store -----------------------------------------------------------------------------------------------------------


def _not_added(store: TrustStore, key: TrustedKey) -> TrustRefused:
    with pytest.raises(TrustRefused) as refused:
        store.add(key)
    assert refused.value.mend
    return refused.value


def test_a_key_is_added_once_and_a_revoked_one_never_comes_back() -> None:
    assert "already" in _not_added(TRUSTING, _key(AUTHOR)).why
    gone = TRUSTING.revoke(AUTHOR_ID, now=NOW)
    assert "does not come back" in _not_added(gone, _key(AUTHOR)).why
    renamed = SigningKey("new.example/seal", b"\x01" * 32)
    assert "does not come back" in _not_added(gone, _key(renamed)).why


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "two words"},
        {"public": b"short"},
        {"hands": ("a/b",)},
        {"hands": ("",)},
        {"hands": ("https://a.example/",)},
        {"most": (cap("web", "*"),)},
        {"most": (cap("web.fetch", "https://a.example"),)},
        {"expires": NOW - DAY},
        {"revoked": NOW},
    ],
)
def test_a_malformed_key_is_not_added(changes: dict[str, Any]) -> None:
    _not_added(TrustStore(), msgspec.structs.replace(_key(AUTHOR), **changes))


NARROW = {"hands": ("watch*",), "most": (cap("web.*", "https://*.example/**"),), "expires": NOW + DAY}


def test_a_rotated_key_takes_over_with_no_more_and_the_old_one_ends() -> None:
    store = TrustStore().add(_key(AUTHOR, **NARROW))
    rotated = store.rotate(AUTHOR_ID, name=SECOND.name, public=SECOND.verify_key.public, now=NOW)
    new = rotated.find(SECOND.verify_key.id)
    assert (new.hands, new.most, new.expires) == (NARROW["hands"], NARROW["most"], NARROW["expires"])
    _judge(rotated, seal("watcher", "1.0.0", FILES, SECOND))
    assert _refused(rotated).code == _refused(rotated, now=0).code == "revoked"
    assert store.find(AUTHOR_ID).revoked is None


def test_rotating_needs_a_key_that_counts() -> None:
    store = TrustStore().add(_key(OWN)).add(_key(AUTHOR, **NARROW))
    fields: dict[str, Any] = {"name": SECOND.name, "public": SECOND.verify_key.public, "now": NOW}
    with pytest.raises(TrustRefused, match="revoked"):
        store.revoke(AUTHOR_ID, now=NOW).rotate(AUTHOR_ID, **fields)
    with pytest.raises(TrustRefused, match="expired"):
        store.rotate(AUTHOR_ID, **{**fields, "now": NOW + DAY})
    with pytest.raises(TrustRefused, match="no key"):
        store.rotate("00000000", **fields)


@pytest.mark.parametrize(
    ("name", "signing", "why"),
    [
        (OWN.name, OWN, "trusted already"),
        (SECOND.name, AUTHOR, "trusted already"),
        (THIRD.name, THIRD, "does not come back"),
        ("renamed.example/seal", THIRD, "does not come back"),
        ("two words", SECOND, "not a key"),
    ],
)
def test_a_key_is_not_rotated_to_one_that_was_there_or_is_none(name: str, signing: SigningKey, why: str) -> None:
    store = TrustStore().add(_key(OWN)).add(_key(AUTHOR)).add(_key(THIRD)).revoke(THIRD.verify_key.id, now=NOW)
    with pytest.raises(TrustRefused, match=why):
        store.rotate(AUTHOR_ID, name=name, public=signing.verify_key.public, now=NOW)


def test_the_homes_own_key_is_the_first_until_it_is_rotated_whatever_becomes_of_it() -> None:
    own, fields = OWN.verify_key.id, {"name": SECOND.name, "public": SECOND.verify_key.public, "now": NOW}
    store = TrustStore().add(_key(OWN)).add(_key(AUTHOR))
    for one in (store, store.revoke(own, now=NOW), store.revoke(AUTHOR_ID, now=NOW)):
        assert (one.is_own(own), one.is_own(AUTHOR_ID)) == (True, False)
        assert one.rotate(own, **fields).is_own(SECOND.verify_key.id)  # type: ignore[arg-type]
    assert store.rotate(AUTHOR_ID, **fields).is_own(own)  # type: ignore[arg-type]
    assert not TrustStore().is_own(own)


def test_an_old_store_is_not_changed() -> None:
    TRUSTING.add(_key(THIRD, **NARROW)).revoke(AUTHOR_ID, now=NOW)
    assert TRUSTING.find(AUTHOR_ID).revoked is None


def test_the_homes_own_key_may_grant_whatever_a_hand_can_ask() -> None:
    asks: Manifest = manifest(
        cap("web.*", "*", own=True), cap("kernel.*", "*"), cap("kernel.spawn", "web"), cap("a.b", "own")
    )
    assert _judge(TRUSTING, manifest=asks).name == "watcher"
