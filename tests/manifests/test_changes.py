"""The operator's changes as decisions: who owns a name, and what is refused before anything is recorded."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from manifests import changes, judging, seal
from manifests.changes import CHANGES, Asked
from manifests.check import check
from manifests.errors import ChangeInvalid
from manifests.glance import hand_rows
from manifests.installed import Artefact, Package
from manifests.judging import judge_installed
from manifests.reinstalling import how_to_reinstall
from manifests.state import State, fold, from_bytes, to_bytes
from manifests.trust import EVERYTHING, TrustedKey, TrustStore
from wire.entries import NO_PREV, Entry, time_text
from wire.errors import ManipleError, Refusal
from wire.signing import SigningKey

NOW = 1_795_000_000_000_000
HOME_KEY = SigningKey("home", bytes(32))
OTHER_KEY = SigningKey("other", bytes([1] * 32))
TEXT = """
[hand]
name = "{name}"
version = "{version}"
description = "Says something."
entry = "main:Hand"
kind = "service"
autonomy = "full"
[capabilities]
"web.fetch" = ["https://example.org/**"]
"""


def package_of(name: str, version: str, key: SigningKey, more: str = "") -> Package:
    text = TEXT.format(name=name, version=version) + more
    digests = {"HAND.toml": "0" * 64, "main.py": "1" * 64}
    return Package(seal=seal.seal(name, version, digests, key), manifest=check(text), digest=digests["HAND.toml"])


def _trusted(key: SigningKey) -> TrustedKey:
    return TrustedKey(name=key.name, public=key.verify_key.public, hands=("*",), most=EVERYTHING, added=NOW)


def trusting() -> State:
    return State(trust=TrustStore(keys=(_trusted(HOME_KEY), _trusted(OTHER_KEY))))


def asked_of(state: State, package: Package, resource: str = "", **arguments: object) -> Asked:
    return Asked(
        state=state,
        resource=resource,
        arguments=arguments,
        now=NOW,
        home="/srv/home",
        new_id="h-0000000000000000",
        methods=("web.fetch", "web.connect"),
        load=lambda _: package,
        real=lambda path: path,
        secrets=lambda _: {},
        mounts=lambda: "",
    )


def install_now(state: State, package: Package) -> None:
    decided = CHANGES["kernel.install"].decide(asked_of(state, package, folder="f"))
    for kind, detail in decided.entries:
        entry = Entry(seq=0, prev=NO_PREV, time=time_text(NOW), kind=kind, principal="operator", detail=detail)
        fold(state, entry, lambda _: package)


def test_an_upgrade_is_by_the_key_of_the_version_before() -> None:
    state = trusting()
    install_now(state, package_of("news", "1.0.0", OTHER_KEY))
    install_now(state, package_of("news", "1.1.0", OTHER_KEY))
    with pytest.raises(Refusal, match=r"belongs to the key other.*`maniple remove news`"):
        install_now(state, package_of("news", "1.2.0", HOME_KEY))
    assert state.hands["news"].version == "1.1.0"


def test_what_is_installed_tells_which_hand_its_key_keeps_from_starting() -> None:
    state = trusting()
    for name, key in (("mine", HOME_KEY), ("news", OTHER_KEY)):
        install_now(state, package_of(name, "1.0.0", key))
    assert [row["why"] for row in hand_rows(state, NOW)] == ["", ""]
    state.trust = state.trust.revoke(OTHER_KEY.verify_key.id, now=NOW)
    mine, news = (str(row["why"]) for row in hand_rows(state, NOW))
    assert (mine, "the key that sealed it counts no more; install news again" in news) == ("", True)


@pytest.mark.parametrize(
    ("name", "pipeline", "typed"),
    [
        ("nightly", "nightly.toml", "`maniple pipeline add FILE`"),
        ("mcp-notes", "", "`maniple mcp add notes …`"),
        ("door-desk", "", "`maniple mcp offer desk …`"),
        ("skills", "", "`maniple skills install DIR`"),
        ("files", "", "`maniple install --bundled`"),
        ("news", "", "`maniple install DIR`"),
    ],
)
def test_what_has_no_folder_that_somebody_wrote_is_made_anew_by_what_made_it(
    name: str, pipeline: str, typed: str
) -> None:
    made = package_of(name, "1.0.0", HOME_KEY).manifest
    assert typed in how_to_reinstall(replace(made, hand=replace(made.hand, pipeline=pipeline)))


def test_a_hand_whose_folder_cannot_be_read_any_more_tells_that_and_nothing_of_its_key() -> None:
    """Another's file lies there now, or one that a newer Maniple refuses: the rest of the log is read all the same."""

    def refused(_: str) -> Package:
        raise ManipleError("HAND.toml has an unknown key")

    detail: dict[str, object] = {
        "folder": "news-1.0.0-00",
        "name": "news",
        "hand": "h-1",
        "version": "1.0.0",
        "seal": "0" * 64,
    }
    state = trusting()
    entry = Entry(seq=0, prev=NO_PREV, time=time_text(NOW), kind="hand.install", principal="operator", detail=detail)
    fold(state, entry, refused)
    with pytest.raises(
        Refusal, match=r"hands/news-1\.0\.0-00.*`maniple verify`.*`maniple check`.*`maniple install DIR`"
    ):
        judge_installed(state, state.hands["news"], NOW)
    (row,) = hand_rows(state, NOW)
    assert "`maniple check`" in str(row["why"])
    assert "key" not in str(row["why"])


def test_a_hand_whose_folder_cannot_be_read_keeps_its_owner() -> None:
    """Its seal lay in that folder; whose it was is in the log, and another trusted key does not take its grants."""
    state, package = trusting(), package_of("news", "1.0.0", OTHER_KEY)
    install_now(state, package)
    lost = state.hands["news"]
    state.hands["news"] = replace(lost, package=Package(seal="", manifest=package.manifest, digest=""))
    state = from_bytes(to_bytes(state))
    with pytest.raises(Refusal, match=r"belongs to the key other.*`maniple remove news`"):
        install_now(state, package_of("news", "1.1.0", HOME_KEY))
    old = replace(state.hands["news"], by=())  # an older Maniple's log does not say
    with pytest.raises(Refusal, match=r"nobody can tell.*`maniple remove news`"):
        install_now(replace(state, hands={"news": old}), package_of("news", "1.1.0", OTHER_KEY))
    install_now(state, package_of("news", "1.1.0", OTHER_KEY))
    assert (state.hands["news"].id, state.hands["news"].version) == (lost.id, "1.1.0")


def test_a_name_whose_key_was_revoked_may_pass_to_another_key() -> None:
    state = trusting()
    install_now(state, package_of("news", "1.0.0", OTHER_KEY))
    state.trust = state.trust.revoke(OTHER_KEY.verify_key.id, now=NOW)
    install_now(state, package_of("news", "1.1.0", HOME_KEY))
    assert state.hands["news"].version == "1.1.0"


def test_the_name_of_every_hand_in_the_box_is_kept() -> None:
    folders = {path.parent.name for path in (Path(__file__).parents[2] / "hands").glob("*/HAND.toml")}
    assert folders
    assert folders <= judging.BUNDLED


@pytest.mark.parametrize("name", sorted(judging.BUNDLED))
def test_a_bundled_name_is_the_homes_own_keys(name: str) -> None:
    with pytest.raises(Refusal, match="kept for a bundled Hand"):
        install_now(trusting(), package_of(name, "1.0.0", OTHER_KEY))
    install_now(trusting(), package_of(name, "1.0.0", HOME_KEY))


@pytest.mark.parametrize("path", ["/", "/srv", "/srv/home", "/srv/home/keys"])
def test_a_root_that_meets_the_home_is_refused(path: str) -> None:
    package = package_of("news", "1.0.0", HOME_KEY)
    with pytest.raises(Refusal, match="leads to the home"):
        CHANGES["kernel.root-add"].decide(asked_of(trusting(), package, "reports", path=path))


def test_a_root_beside_the_home_is_named() -> None:
    asked = asked_of(trusting(), package_of("news", "1.0.0", HOME_KEY), "reports", path="/srv/homely")
    assert CHANGES["kernel.root-add"].decide(asked).entries == (
        ("root.add", {"name": "reports", "path": "/srv/homely"}),
    )


@pytest.mark.parametrize("name", ["My.Data", "a_b", "a--b", "-a", "ü", "a" * 256])
def test_a_root_that_no_path_could_name_is_refused(name: str) -> None:
    asked = asked_of(trusting(), package_of("news", "1.0.0", HOME_KEY), name, path="/srv/homely")
    with pytest.raises(ChangeInvalid, match="small letters and digits"):
        CHANGES["kernel.root-add"].decide(asked)


def test_no_more_is_granted_than_the_manifest_asks_for() -> None:
    package, state = package_of("news", "1.0.0", HOME_KEY), trusting()
    install_now(state, package)
    wide = [{"method": "web.fetch", "allow": ["https://**/**"]}]
    with pytest.raises(Refusal, match="does not ask for"):
        CHANGES["kernel.grant"].decide(asked_of(state, package, "news", capabilities=wide))
    with pytest.raises(ChangeInvalid, match="no Hand"):
        CHANGES["kernel.grant"].decide(asked_of(state, package, "newz", capabilities=[]))


@pytest.mark.parametrize("manifest", ['[events]\npublishes = ["loud"]', '"kernel.*" = ["*"]'])
def test_what_nobody_is_asked_about_is_not_granted_with_asking(manifest: str) -> None:
    """Or its operator would think that he is asked, and the Hand would publish all the same."""
    package, state = package_of("news", "1.0.0", HOME_KEY, manifest), trusting()
    install_now(state, package)
    wanted = {"method": "kernel.publish", "allow": ["news.loud"], "approval": True}
    if "kernel" in manifest:
        wanted |= {"method": "kernel.*", "allow": ["*"]}
    change = replace(
        asked_of(state, package, "news", capabilities=[wanted]), methods=("kernel.publish", "kernel.spawn")
    )
    with pytest.raises(ChangeInvalid, match="nobody is asked about kernel.publish"):
        CHANGES["kernel.grant"].decide(change)
    plain = replace(change, arguments={"capabilities": [{**wanted, "approval": None}]})
    assert CHANGES["kernel.grant"].decide(plain).entries[0][0] == "grant"


def _wasm() -> Package:
    package = package_of("news", "1.0.0", HOME_KEY)
    text = TEXT.format(name="news", version="1.0.0").replace('entry = "main:Hand"', 'wasm = "main.wat"')
    return Package(seal=package.seal, manifest=check(text), digest=package.digest)


ARTEFACT = {"key": "a" * 64, "digest": "b" * 64}


def test_a_wasm_hand_is_installed_with_what_its_module_was_compiled_to() -> None:
    state = trusting()
    package = _wasm()
    decided = CHANGES["kernel.install"].decide(asked_of(state, package, folder="f", artefact=ARTEFACT))
    assert decided.entries[0][1]["artefact"] == ARTEFACT
    entry = Entry(
        seq=0,
        prev=NO_PREV,
        time=time_text(NOW),
        kind="hand.install",
        principal="operator",
        detail=decided.entries[0][1],
    )
    fold(state, entry, lambda _: package)
    assert state.hands["news"].artefact == Artefact(key="a" * 64, digest="b" * 64)
    assert from_bytes(to_bytes(state)).hands["news"].artefact == state.hands["news"].artefact


@pytest.mark.parametrize(
    "artefact", [None, {}, "a", {**ARTEFACT, "key": "../x"}, {**ARTEFACT, "digest": "B" * 64}, {**ARTEFACT, "more": 1}]
)
def test_a_wasm_hand_without_a_proper_artefact_is_not_installed(artefact: object) -> None:
    state = trusting()
    with pytest.raises(ChangeInvalid, match="key and digest"):
        CHANGES["kernel.install"].decide(asked_of(state, _wasm(), folder="f", artefact=artefact))


def test_a_hand_that_is_a_class_keeps_no_artefact() -> None:
    state = trusting()
    package = package_of("news", "1.0.0", HOME_KEY)
    decided = CHANGES["kernel.install"].decide(asked_of(state, package, folder="f", artefact=ARTEFACT))
    assert "artefact" not in decided.entries[0][1]


def test_there_are_only_so_many_roots_as_one_run_can_be_given() -> None:
    package = package_of("news", "1.0.0", HOME_KEY)
    state = trusting()
    state.roots.update({f"r{number}": "/srv/homely" for number in range(changes.ROOTS_MOST)})
    with pytest.raises(Refusal, match="there are 128 roots: take one back first"):
        CHANGES["kernel.root-add"].decide(asked_of(state, package, "one-more", path="/srv/homely"))
    assert CHANGES["kernel.root-add"].decide(asked_of(state, package, "r7", path="/srv/homely")).entries


def change_now(state: State, method: str, resource: str = "", **arguments: object) -> None:
    decided = CHANGES[method].decide(asked_of(state, package_of("news", "1.0.0", HOME_KEY), resource, **arguments))
    for kind, detail in decided.entries:
        verdict = str(detail.get("state", ""))
        entry = Entry(
            seq=0, prev=NO_PREV, time=time_text(NOW), kind=kind, principal="operator", verdict=verdict, detail=detail
        )
        fold(state, entry, lambda _: package_of("news", "1.0.0", HOME_KEY))


@pytest.mark.parametrize("is_revoked_first", [False, True])
def test_bundled_names_stay_with_the_homes_own_key_and_go_to_the_one_that_stands_in_for_it(
    is_revoked_first: bool,
) -> None:
    state, new = trusting(), SigningKey("new", bytes([2] * 32))
    install_now(state, package_of("files", "1.0.0", HOME_KEY))
    if is_revoked_first:
        change_now(state, "kernel.key-revoke", HOME_KEY.verify_key.id)
        with pytest.raises(Refusal, match="kept for a bundled Hand"):
            install_now(state, package_of("files", "1.1.0", OTHER_KEY))
    change_now(state, "kernel.key-rotate", HOME_KEY.verify_key.id, key=new.verify_key.text())
    state = replace(state, trust=from_bytes(to_bytes(state)).trust)  # as after the next start
    with pytest.raises(Refusal, match="kept for a bundled Hand"):
        install_now(state, package_of("files", "1.1.0", OTHER_KEY))
    with pytest.raises(Refusal, match="was revoked"):
        install_now(state, package_of("files", "1.1.0", HOME_KEY))
    install_now(state, package_of("files", "1.1.0", new))
    assert state.hands["files"].version == "1.1.0"
