"""Who answers a method, who sees it, and what a program may say of its own effects."""

import pytest
from msgspec.structs import replace

from manifests.catalogue import Catalogue
from manifests.grants import GrantSet
from manifests.installed import Installed, Package
from manifests.schema import Capability, Confinement, Provided
from tests.manifests.texts import cap, manifest
from wire.errors import Refusal
from wire.ids import HandId


def _provided(method: str, resource: str = "none") -> Provided:
    return Provided(method=method, summary="", resource=resource, effect="read")  # type: ignore[arg-type]


def _hand(name: str, *methods: Provided, lodges: bool = False, command: tuple[str, ...] = ()) -> Installed:
    made = replace(
        manifest(name=name),
        provides={one.method: one for one in methods},
        confinement=Confinement(scratch="caller" if lodges else "own"),
    )
    made = replace(made, hand=replace(made.hand, command=command))
    return Installed(
        id=HandId(f"h-{name}"), name=name, version="1.0.0", folder=name, number=1, seal="",
        package=Package(seal="", manifest=made, digest=""),
    )  # fmt: skip


SHELL = _hand("shell", _provided("shell.run"), lodges=True)
WEB = _hand("web", _provided("web.fetch", "url"), _provided("web.post", "url"))
THERE = Catalogue([_provided("kernel.note"), _provided("kernel.spawn")], [SHELL, WEB])


def test_a_method_is_the_kernels_own_or_a_hands_or_nobodys() -> None:
    assert THERE.find("kernel.note") == (_provided("kernel.note"), None)
    assert THERE.find("web.fetch") == (_provided("web.fetch", "url"), WEB)
    assert [THERE.owner(method) for method in ("web.post", "kernel.note")] == ["web", "kernel"]
    with pytest.raises(Refusal, match="nothing provides 'web.gone'"):
        THERE.find("web.gone")
    assert [one.method for one in THERE.all()] == ["kernel.note", "kernel.spawn", "shell.run", "web.fetch", "web.post"]


def test_what_a_program_says_of_its_own_effects_counts_only_where_that_was_agreed() -> None:
    program = _hand("clock", _provided("clock.now"), command=("node", "clock.js"))
    for hand, effect in ((program, "external"), (replace(program, as_declared=True), "read")):
        assert Catalogue([], [hand]).find("clock.now")[0].effect == effect


def test_a_call_that_was_allowed_is_taken_as_it_was_made_where_nobody_answers_it_any_more() -> None:
    url = "https://example.org/a"
    assert THERE.find_again("web.fetch", url, "write") == (_provided("web.fetch", "url"), WEB, url)
    for method, resource in (("web.gone", url), ("web.fetch", "no url")):
        provided, owner, kept = THERE.find_again(method, resource, "write")
        assert (provided.method, provided.effect, provided.resource, owner, kept) == (
            method, "write", "none", None, resource,
        )  # fmt: skip


def test_a_hand_sees_what_it_holds_a_grant_for_and_what_needs_none() -> None:
    def seen(*held: Capability) -> list[str]:
        return [one.method for one in THERE.visible([GrantSet.of(held)])]

    assert seen() == ["kernel.note"]
    assert seen(cap("web.fetch", "*"), cap("web.post")) == ["kernel.note", "web.fetch"]
    assert THERE.visible([None]) == THERE.all()
    grants = GrantSet.of((cap("web.*", "*"), cap("kernel.spawn", "*")))
    told = [(row["method"], row["provider"]) for row in THERE.describe([grants], "", "web")]
    assert told == [("web.fetch", "web"), ("web.post", "web")]
    assert [row["method"] for row in THERE.describe([grants], "kernel.spawn", "")] == ["kernel.spawn"]
    assert THERE.describe([grants], "shell.run", "") == THERE.describe([None], "", "we") == []


def test_who_calls_in_the_name_of_others_sees_what_they_hold_a_grant_for_too() -> None:
    def seen(*chain: Capability | None) -> list[str]:
        return [one.method for one in THERE.visible([None if one is None else GrantSet.of((one,)) for one in chain])][
            1:
        ]

    every, web = cap("*", "*"), cap("web.*", "*")
    assert seen(every, cap("web.fetch", "*"), None) == seen(cap("web.fetch", "*"), every) == ["web.fetch"]
    assert seen(web, None, cap("shell.run", "*")) == ["web.fetch", "web.post"], "nobody is above the operator"
    assert seen(web, replace(every, lent=True)) == ["web.fetch", "web.post"]
    assert seen(replace(web, lent=True), every) == []
    assert seen(replace(web, own=True), cap("shell.run", "*")) == ["web.fetch", "web.post"]


def test_only_who_may_call_one_that_works_in_its_callers_folder_lends_its_own() -> None:
    assert THERE.lends(GrantSet.of((cap("shell.run", "*"),)))
    assert not THERE.lends(GrantSet.of((cap("web.*", "*"), cap("kernel.*", "*"))))
