"""What each change of the operator's puts into the log, case by case; test_changes.py has whose a name and a root may be."""

from hashlib import sha256

import msgspec
import pytest
from msgspec.structs import replace

from manifests.changes import CHANGES, Decided
from manifests.errors import ChangeInvalid
from manifests.installed import Package
from manifests.judging import judge, judge_installed
from manifests.schema import Allowance, Budget, Capability, Schedule
from manifests.standing_rules import Rule
from manifests.state import State
from manifests.trust import EVERYTHING, TrustedKey
from tests.manifests.test_changes import HOME_KEY, NOW, asked_of, change_now, install_now, package_of, trusting
from wire.entries import Chain, time_text
from wire.errors import Refusal
from wire.signing import SigningKey


@pytest.mark.parametrize("folder", ["", ".", "..", ".hidden", "a/b", "../x", "/etc"])
def test_what_is_installed_lies_in_the_homes_hands(folder: str) -> None:
    with pytest.raises(ChangeInvalid, match="name of a folder in the home's hands"):
        CHANGES["kernel.install"].decide(asked_of(trusting(), package_of("news", "1.0.0", HOME_KEY), folder=folder))


WHOSE = {"hand": "h-0000000000000000", "name": "news"}
ORG, DOCS = "https://example.org/**", "https://example.org/docs/**"


def _row(method: str, *allow: str) -> dict[str, object]:
    return {"method": method, "allow": [*allow], "own": False, "approval": None, "lent": False}


def test_a_hand_is_installed_with_what_is_agreed_and_an_upgrade_keeps_what_it_has() -> None:
    state, package = trusting(), package_of("news", "1.0.0", HOME_KEY)
    asked = asked_of(state, package, folder="f", grants=[{"method": "web.fetch", "allow": [DOCS]}])
    (grant, install) = CHANGES["kernel.install"].decide(asked).entries
    assert (install[0], install[1]["hand"], "as_declared" in install[1]) == ("hand.install", WHOSE["hand"], False)
    assert grant == ("grant", {**WHOSE, "capabilities": [_plain(_row("web.fetch", DOCS))]})
    with pytest.raises(Refusal, match="does not ask for"):
        CHANGES["kernel.install"].decide(replace(asked, arguments={"folder": "f", "grants": [_row("web.fetch", "*")]}))
    install_now(state, package)
    again = replace(asked, new_id="h-1111111111111111", arguments={"folder": "f", "as_declared": True})
    (install,) = CHANGES["kernel.install"].decide(again).entries
    assert (install[1]["hand"], install[1]["as_declared"]) == (WHOSE["hand"], True)


def test_an_upgrade_says_since_when_a_schedule_counts_that_it_leaves_as_it_was() -> None:
    def scheduled(every: int) -> Package:
        package = package_of("news", "1.0.0", HOME_KEY)
        return replace(package, manifest=replace(package.manifest, schedule=Schedule(every_ms=every)))

    state = trusting()
    install_now(state, scheduled(1_000))
    for every, since in ((1_000, NOW), (2_000, None)):
        asked = replace(asked_of(state, scheduled(every), folder="f"), now=NOW + 5)
        assert CHANGES["kernel.install"].decide(asked).entries[0][1].get("since") == since


@pytest.mark.parametrize(
    ("name", "path", "why"),
    [
        ("reports", "srv/reports", "not an absolute path"), ("reports", "", "not an absolute path"),
        ("reports", "/gone", "there is no folder '/gone'"), ("own", "/srv/reports", "'own' is reserved"),
        ("scratch", "/srv/reports", "'scratch' is reserved"), ("session", "/srv/reports", "'session' is reserved"),
    ],
)  # fmt: skip
def test_a_root_is_a_folder_that_is_there_under_a_name_that_means_nothing_else(name: str, path: str, why: str) -> None:
    asked = asked_of(trusting(), package_of("news", "1.0.0", HOME_KEY), name, path=path)
    with pytest.raises((ChangeInvalid, Refusal), match=why):
        CHANGES["kernel.root-add"].decide(replace(asked, real=lambda path: path if path != "/gone" else ""))


def test_a_folder_is_taken_back_by_the_name_that_it_has() -> None:
    state, package = trusting(), package_of("news", "1.0.0", HOME_KEY)
    state.roots["reports"] = "/srv/reports"
    removed = CHANGES["kernel.root-remove"].decide(asked_of(state, package, "reports"))
    assert removed.entries == (("root.remove", {"name": "reports"}),)
    with pytest.raises(ChangeInvalid, match="there is no root 'data'"):
        CHANGES["kernel.root-remove"].decide(asked_of(state, package, "data"))


def test_a_hand_without_what_it_needs_is_not_installed_and_what_others_need_is_not_removed() -> None:
    state, needed = trusting(), package_of("base", "1.0.0", HOME_KEY)
    package = package_of("news", "1.0.0", HOME_KEY)
    package = replace(package, manifest=replace(package.manifest, hand=replace(package.manifest.hand, needs=("base",))))
    with pytest.raises(Refusal, match="news needs base: install that first"):
        install_now(state, package)
    install_now(state, needed)
    install_now(state, package)
    with pytest.raises(Refusal, match="base is needed by news, to be removed first"):
        CHANGES["kernel.remove"].decide(asked_of(state, needed, "base"))
    for name in ("base", "news"):  # a ring could neither be started, each before the other, nor removed
        ring = replace(needed, manifest=replace(needed.manifest, hand=replace(needed.manifest.hand, needs=(name,))))
        with pytest.raises(Refusal, match="base would need itself"):
            install_now(state, ring)
    removed = CHANGES["kernel.remove"].decide(asked_of(state, package, "news"))
    assert removed.entries == (("hand.remove", {**WHOSE, "folder": "f"}),)


RULES = (
    Rule(method="web.fetch", pattern=DOCS, until=NOW + 9, call=2),
    Rule(method="web.connect", pattern="*", until=NOW + 9, call=4),
)
HELD = (
    Capability(method="web.fetch", allow=(ORG, DOCS)), Capability(method="web.fetch", allow=("https://a.example/",)),
    Capability(method="web.connect", allow=(DOCS,)), Capability(method="website.x", allow=("*",)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "gone", "left", "rules"),
    [
        ({"method": "web.fetch"}, HELD[:2], [], RULES[:1]),
        ({"method": "web.*"}, HELD[:3], [], RULES),
        ({"method": "web.fetch", "allow": [DOCS]}, HELD[:1], [_row("web.fetch", ORG)], RULES[:1]),
        ({"method": "web.fetch", "allow": [ORG, DOCS]}, HELD[:1], [], RULES[:1]),
        ({"method": "web.*", "allow": [DOCS]}, (HELD[0], HELD[2]), [_row("web.fetch", ORG)], RULES[:1]),
        ({"method": "web.*", "rule": True}, (), [], RULES),
        ({"method": "web.fetch", "allow": ["https://a.example/"]}, HELD[1:2], [], ()),
    ],
)
def test_what_is_named_is_taken_back_and_of_it_the_rest_is_given_again_at_once(
    asked: dict[str, object], gone: object, left: list[object], rules: object
) -> None:
    state, package = trusting(), package_of("news", "1.0.0", HOME_KEY)
    install_now(state, package)
    state.grants, state.rules = {WHOSE["hand"]: HELD}, {WHOSE["hand"]: RULES}
    (*grants, revoke) = CHANGES["kernel.revoke"].decide(asked_of(state, package, "news", **asked)).entries
    told: dict[str, object] = {**WHOSE, "capabilities": _plain(gone), **({"rules": _plain(rules)} if rules else {})}
    assert revoke == ("revoke", told)
    assert grants == ([("grant", {**WHOSE, "capabilities": _plain(left)})] if left else [])


def _plain(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


@pytest.mark.parametrize(
    "asked", [{"method": "web"}, {"method": "files.read"}, {"method": "web.fetch", "allow": ["*"]}]
)
def test_what_is_not_held_cannot_be_taken_back(asked: dict[str, object]) -> None:
    state, package = trusting(), package_of("news", "1.0.0", HOME_KEY)
    install_now(state, package)
    state.grants = {WHOSE["hand"]: HELD}
    with pytest.raises(ChangeInvalid, match="holds no such grant"):
        CHANGES["kernel.revoke"].decide(asked_of(state, package, "news", **asked))


def test_a_key_is_trusted_until_then_for_these_hands_and_for_no_more_than_is_said() -> None:
    state, new = trusting(), SigningKey("new", bytes([2] * 32))
    asked = asked_of(state, package_of("news", "1.0.0", HOME_KEY), key=new.verify_key.text(), hands=["news*"])
    ((_, told),) = CHANGES["kernel.key-add"].decide(asked).entries
    plain = TrustedKey(name="new", public=new.verify_key.public, hands=("news*",), most=EVERYTHING, added=NOW)
    assert msgspec.convert(told["key"], TrustedKey) == plain
    most = [{"method": "web.*", "allow": [ORG]}]
    asked = replace(asked, arguments={**asked.arguments, "most": most, "expires": NOW + 9})
    ((_, told),) = CHANGES["kernel.key-add"].decide(asked).entries
    bounded = replace(plain, most=(Capability(method="web.*", allow=(ORG,)),), expires=NOW + 9)
    assert msgspec.convert(told["key"], TrustedKey) == bounded
    for wrong in ({"key": "new"}, {"hands": "news"}, {"expires": NOW}, {"most": [{"method": "web"}]}):
        with pytest.raises(ChangeInvalid, match="cannot be trusted"):
            CHANGES["kernel.key-add"].decide(replace(asked, arguments={**asked.arguments, **wrong}))


def test_a_budget_is_the_operators_word_for_each_unit_until_he_takes_it_back() -> None:
    state, package = trusting(), package_of("news", "1.0.0", HOME_KEY)
    install_now(state, package)
    day, month = Allowance(amount=5, window="day"), Allowance(amount=2_000_000, window="month")
    change_now(state, "kernel.budget-set", hand="news", tokens=["5/day"])
    change_now(state, "kernel.budget-set", hand="news", dollars=["2/month"])
    change_now(state, "kernel.budget-set", tokens=["5/day", "9/hour"])
    home = Budget(tokens=(day, Allowance(amount=9, window="hour")))
    assert state.budgets == {WHOSE["hand"]: Budget(tokens=(day,), dollars=(month,)), "": home}
    change_now(state, "kernel.budget-set", hand="news", tokens=[])
    assert state.budgets[WHOSE["hand"]] == Budget(dollars=(month,))
    for wrong, why in (
        ({"tokens": ["5/day", "6/day"]}, "same window"), ({"tokens": ["5"]}, "write"), ({"hand": "newz"}, "no Hand"),
    ):  # fmt: skip
        with pytest.raises(ChangeInvalid, match=why):
            change_now(state, "kernel.budget-set", **wrong)


SETTINGS = """
[settings.every]
type = "duration"
[settings.pin]
type = "string"
secret = true
[settings.count]
type = "int"
"""


def _set(state: State, package: Package, secrets: dict[str, object], **arguments: object) -> Decided:
    asked = asked_of(state, package, "news", **arguments)
    return CHANGES["kernel.set"].decide(replace(asked, secrets=lambda _: secrets))


def test_settings_are_all_of_them_after_the_change_and_no_secret_is_in_the_log() -> None:
    state, package = trusting(), package_of("news", "1.0.0", HOME_KEY, SETTINGS)
    install_now(state, package)
    decided = _set(state, package, {}, values={"every": "90s", "pin": "1234", "count": "7"}, typed=True)
    ((kind, detail),) = decided.entries
    told = {**WHOSE, "settings": '{"count":7,"every":90.0}', "secrets": ["pin"]}
    file = f"{WHOSE['hand']}.0000000000000000.secrets"
    assert (kind, detail) == ("settings", {**told, "file": file})
    assert (decided.hand, decided.secrets) == (WHOSE["hand"], {"pin": "1234"})
    state.settings[WHOSE["hand"]] = {"count": 7, "every": 90.0, "undeclared": 1}
    assert state.secrets_of(WHOSE["hand"]) == f"{WHOSE['hand']}.secrets", "of a home that an earlier version made"
    decided = _set(state, package, {"pin": "1234"}, values={"count": None})
    assert "file" not in decided.entries[0][1]
    assert (decided.entries[0][1]["settings"], decided.secrets) == ('{"every":90.0}', None)
    decided = _set(state, package, {"pin": "1234"}, values={"pin": None})
    assert (decided.entries[0][1]["secrets"], decided.secrets) == ([], {})
    wrongs: list[dict[str, object]] = [
        {"values": []},
        {"values": {"count": "7"}},
        {"values": {"count": "x"}, "typed": True},
        {"values": {"x": 1}},
    ]
    for wrong in wrongs:
        with pytest.raises(ChangeInvalid):
            _set(state, package, {}, **wrong)


def test_what_is_installed_has_the_manifest_that_was_sealed_and_is_no_older_than_what_ran() -> None:
    state, package = trusting(), package_of("news", "1.1.0", HOME_KEY)
    with pytest.raises(Refusal, match=r"HAND\.toml was changed after sealing"):
        install_now(state, replace(package, digest="9" * 64))
    assert state.hands == {}
    install_now(state, package)
    older = package_of("news", "1.0.0", HOME_KEY)
    with pytest.raises(Refusal, match=r"older than 1\.1\.0"):
        install_now(state, older)
    assert judge(state, older, NOW, is_older=True).version == "1.0.0"
    kept = replace(
        state.hands["news"],
        version="1.0.0",
        folder="before",
        package=older,
        seal=sha256(older.seal.encode()).hexdigest(),
    )
    assert judge_installed(state, kept, NOW).version == "1.0.0"
    assert judge_installed(state, state.hands["news"], NOW).version == "1.1.0"
    with pytest.raises(Refusal, match=r"older than 1\.1\.0"):
        judge_installed(state, replace(kept, folder=state.hands["news"].folder), NOW)
    with pytest.raises(Refusal, match="not what was installed"):
        judge_installed(state, replace(kept, seal="0" * 64), NOW)


def test_a_change_that_no_line_of_the_log_can_hold_is_refused_as_a_whole() -> None:
    state, package = trusting(), package_of("news", "1.0.0", HOME_KEY)
    install_now(state, package)

    def grant(count: int) -> Decided:
        allow = [f"https://example.org/{number:03}{'x' * 900}" for number in range(count)]
        asked = asked_of(state, package, "news", capabilities=[{"method": "web.fetch", "allow": allow}])
        return CHANGES["kernel.grant"].decide(asked)

    ((kind, detail),) = grant(270).entries
    Chain().append(kind=kind, principal="operator", time=time_text(NOW), detail=detail)
    with pytest.raises(
        ChangeInvalid, match="the log takes 258048 bytes for a grant, and this has 2[0-9]{5}: grant fewer"
    ):
        grant(290)
