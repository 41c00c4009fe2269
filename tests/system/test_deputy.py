"""No confused deputy: whoever acts for another gets nothing that any Hand in the chain could not have by itself."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.cli.client import Client
from tests.living import Kernel, Source, install, make_home
from tests.system.actors import actor, answer, ask, begin, cast, done, innermost, not_done, refused, rows, through
from tests.system.fates import entries, until

_RELAYS: Final = ("near", "middle", "far")
_DO: Final = tuple(f"{name}.do" for name in (*_RELAYS, "owner", "vault", "reader", "errand"))
_OPEN: Final = ("open.do", "open.write", "open.external", "open.at-path")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """`open` is what everybody is after; `owner` and `vault` hold some of it as their own; `poor` only has ways."""
    own = '"open.do" = { allow = ["*"], own = true }\n' + rows("open.write", "far.do", "reader.do")
    with Kernel(make_home(tmp_path_factory.mktemp("deputy") / "home")) as kernel:
        cast(kernel, [actor("open"), actor("owner", own)])
        cast(kernel, [actor("vault", '"open.at-path" = { allow = ["vault/**"], own = true }')])
        cast(kernel, [actor(name, rows(*_OPEN, *_DO)) for name in _RELAYS])
        cast(kernel, [actor("errand", rows(*_OPEN), kind="task"), actor("reader", rows(*_OPEN), autonomy="readonly")])
        cast(kernel, [actor("poor", rows(*_DO, "kernel.spawn") + '"kernel.stop" = ["errand"]')])
        cast(kernel, [actor("rich", rows(*_OPEN, *_DO, "kernel.spawn"))])
        cast(kernel, [actor("timid", rows(*_OPEN, *_DO), autonomy="readonly")])
        yield kernel


@pytest.fixture(scope="module")
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


# whose grants count --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hops", [("near.do",), ("near.do", "middle.do"), ("near.do", "middle.do", "far.do")])
def test_a_provider_that_may_does_nothing_for_a_caller_that_may_not(client: Client, hops: Sequence[str]) -> None:
    (poor,) = ask(client, "poor.do", [through("near.do", last={"call": "open.do"})])
    told = refused(innermost(poor), "capability")
    assert "poor (in whose name near calls) holds no grant for open.do" in told["why"]
    assert told["grant"] == '"open.do" = ["*"]'
    (rich,) = ask(client, "rich.do", [through(*hops, last={"call": "open.do"})])
    done(innermost(rich))


def test_what_is_own_is_done_for_anybody_and_what_is_not_is_not(client: Client) -> None:
    own, other = ask(
        client,
        "poor.do",
        [through("owner.do", last={"call": "open.do"}), through("owner.do", last={"call": "open.write"})],
    )
    done(innermost(own))
    refused(innermost(other), "capability")


def test_own_holds_only_for_the_resources_it_names(client: Client) -> None:
    inside, outside = ask(
        client,
        "poor.do",
        [through("vault.do", last={"call": "open.at-path", "on": on}) for on in ("vault/a", "reports/a")],
    )
    done(innermost(inside))
    refused(innermost(outside), "capability")


def test_own_stops_the_walk_at_its_own_hop_and_not_one_before(client: Client) -> None:
    """Whoever calls in its name must hold it, too; those in whose name it acts need not; what is not own goes on up."""
    (own,) = ask(client, "poor.do", [through("near.do", "owner.do", "far.do", last={"call": "open.do"})])
    done(innermost(own))
    (narrower,) = ask(client, "poor.do", [through("owner.do", "reader.do", last={"call": "open.at-path", "on": "a/b"})])
    assert "owner (in whose name reader calls)" in refused(innermost(narrower), "capability")["why"]
    (not_own,) = ask(client, "poor.do", [through("owner.do", "far.do", last={"call": "open.write"})])
    assert "poor (in whose name far calls)" in refused(innermost(not_own), "capability")["why"]


@pytest.mark.parametrize("verb", ["write", "external"])
def test_a_hand_that_only_reads_writes_through_nobody(client: Client, verb: str) -> None:
    for hops in ((), ("near.do",), ("near.do", "middle.do"), ("near.do", "middle.do", "far.do")):
        (told,) = ask(client, "timid.do", [through(*hops, last={"call": f"open.{verb}"})])
        assert "timid has autonomy readonly" in refused(innermost(told), "readonly")["why"]
    (told,) = ask(client, "rich.do", [through("near.do", "reader.do", last={"call": f"open.{verb}"})])
    assert "reader has autonomy readonly" in refused(innermost(told), "readonly")["why"]


# chains --------------------------------------------------------------------------------------------------------------


def test_a_provider_that_is_in_the_chain_already_is_not_asked_again(client: Client) -> None:
    (told,) = ask(client, "rich.do", [through("near.do", "middle.do", last={"call": "near.do"})])
    assert "already in this chain" in refused(innermost(told), "chain")["why"]
    (self_call,) = ask(client, "near.do", [{"call": "near.do"}])
    refused(self_call, "chain")


def test_a_chain_of_seventeen_is_refused_and_one_of_sixteen_is_not(kernel: Kernel, client: Client) -> None:
    links = [f"link-{number}" for number in range(17)]
    for number in reversed(range(17)):
        install(kernel, actor(links[number], "".join(f'"{one}.do" = ["*"]\n' for one in links[number + 1 :])))
    (told,) = ask(client, "link-0.do", [through(*[f"{one}.do" for one in links[1:15]], last={"call": "link-15.do"})])
    done(innermost(told))
    (told,) = ask(client, "link-0.do", [through(*[f"{one}.do" for one in links[1:16]], last={"call": "link-16.do"})])
    assert "at most 16 deep" in refused(innermost(told), "chain")["why"]


_KIN: Final = """
from runtime import CallRefused, Hand


class Actor(Hand):
    async def run(self, kin, detached):
        if not kin:
            return (await self.kernel.call("open.do")).value
        try:
            more = {"inputs": {"kin": kin[1:], "detached": not detached}, "wait": True, "detached": detached}
            return (await self.kernel.call("kernel.spawn", kin[0], more)).value["value"]
        except CallRefused as refused:
            return {"code": refused.code, "left": len(kin)}
"""


def test_spawning_does_not_make_a_chain_shorter(kernel: Kernel, client: Client) -> None:
    kin = [f"kin-{number}" for number in range(18)]
    for name in kin:
        toml = actor(name, rows("kernel.spawn", "open.do"), kind="task").toml.split("\n[provides.")[0]
        install(kernel, Source(toml, _KIN))
    inputs = {"kin": kin[1:], "detached": False}
    outcome: Any = client.call("kernel.start", kin[0], {"inputs": inputs, "wait": True}).value
    assert outcome["value"] == {"code": "chain", "left": 2}  # a sixteenth run was made, and can do nothing


# parents -------------------------------------------------------------------------------------------------------------


def _open_calls(client: Client, at: str) -> list[int]:
    (told,) = ask(client, f"{at}.do", [{"numbers": True}])
    numbers: list[int] = told["numbers"]
    return numbers


def test_only_a_call_that_is_open_at_the_caller_can_be_its_parent(kernel: Kernel, client: Client) -> None:
    """A poor Hand would love to act in the name of `rich`, whose call is open elsewhere."""
    with kernel.client() as other:
        begin(other, "owner.do", [{"hold": True}])
        (held,) = until(lambda: _open_calls(client, "owner"), "a call is open at owner")
        forged = [{"call": "open.do", "parent": number} for number in (held, held + 2, held - 2, 2, 1, 2**52)]
        for told in ask(client, "near.do", forged):
            assert "is not open at near" in refused(told, "parent")["why"]
        ask(client, "owner.do", [{"release": True}])
    until(lambda: not _open_calls(client, "owner"), "it has ended")
    refused(ask(client, "owner.do", [{"call": "open.do", "parent": held}])[0], "parent")


def test_a_task_acts_for_its_own_work_whatever_parent_it_names(client: Client) -> None:
    steps = [{"call": "open.do", "parent": number} for number in (0, 2, 4, 1000)]
    (told,) = ask(client, "poor.do", [{"call": "errand.do", "with": {"steps": steps}}])
    for one in done(told)["value"]["told"]:
        assert "poor (in whose name errand calls)" in refused(one, "capability")["why"]


def test_naming_no_parent_gives_a_service_only_what_is_its_own(client: Client) -> None:
    (told,) = ask(client, "poor.do", [through("vault.do", last={"call": "open.do", "parent": 0})])
    assert refused(innermost(told), "capability")["why"].startswith("vault holds no grant")


def test_grants_taken_back_do_not_live_on_in_the_name_of_a_call_that_is_open(kernel: Kernel, client: Client) -> None:
    cast(kernel, [actor("clerk", rows("open.do")), actor("boss", rows("open.do", "clerk.do"))])
    with kernel.client() as other:
        work = [{"call": "open.do"}, {"hold": True}, {"call": "open.do"}]
        begin(other, "boss.do", [{"call": "clerk.do", "with": {"steps": work}}])
        until(lambda: _open_calls(client, "clerk"), "the clerk is at work")
        client.call("kernel.revoke", "boss", {"method": "open.do"})
        ask(client, "clerk.do", [{"release": True}])
        first, _, second = answer(other)[0]["value"]["told"]
    done(first)
    assert "boss (in whose name clerk calls)" in refused(second, "capability")["why"]


def test_grants_taken_back_do_not_live_on_in_a_run_that_was_spawned(kernel: Kernel, client: Client) -> None:
    cast(kernel, [actor("gate"), actor("crew", rows("open.do", "gate.do"), kind="task")])
    cast(kernel, [actor("chief", rows("open.do", "gate.do", "kernel.spawn"))])
    work = [{"call": "open.do"}, {"call": "gate.do", "with": {"steps": [{"hold": True}]}}, {"call": "open.do"}]
    more = {"inputs": {"steps": work}, "detached": True}
    (spawned,) = ask(client, "chief.do", [{"call": "kernel.spawn", "on": "crew", "with": more}])
    until(lambda: _open_calls(client, "gate"), "the crew is at the gate")
    client.call("kernel.revoke", "chief", {"method": "open.do"})
    ask(client, "gate.do", [{"release": True}])
    outcome: Any = client.call("kernel.wait", "", {"run": spawned["value"]["run"]}).value
    first, _, second = outcome["value"]["told"]
    done(first)
    assert "chief (in whose name crew calls)" in refused(second, "capability")["why"]


# spawning, waiting, stopping -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("detached", [False, True])
def test_a_spawned_run_does_nothing_that_its_spawner_may_not(client: Client, detached: bool) -> None:
    more = {"inputs": {"steps": [{"call": "open.do"}, {"call": "open.write"}]}, "wait": True, "detached": detached}
    for spawner, fine in (("poor", False), ("rich", True)):
        (told,) = ask(client, f"{spawner}.do", [{"call": "kernel.spawn", "on": "errand", "with": more}])
        for one in done(told)["value"]["value"]["told"]:
            assert (one["end"] == "done") is fine, one


def test_a_run_is_waited_for_by_whoever_spawned_it_and_nobody_else(client: Client) -> None:
    (told,) = ask(client, "rich.do", [{"call": "kernel.spawn", "on": "errand", "with": {"inputs": {"steps": []}}}])
    run = {"run": done(told)["value"]["run"]}
    assert ask(client, "poor.do", [{"call": "kernel.wait", "with": run}])[0]["code"] == "unknown run"
    done(ask(client, "rich.do", [{"call": "kernel.wait", "with": run}])[0])


def test_a_run_of_another_is_not_stopped_by_its_id(client: Client) -> None:
    hold = {"inputs": {"steps": [{"hold": True}]}}
    run: Any = client.call("kernel.start", "errand", hold).value
    tries = [{"call": f"kernel.{verb}", "on": run["run"]} for verb in ("stop", "pause", "resume")]
    for told in ask(client, "poor.do", tries):
        refused(told, "capability")
    runs: Any = client.call("kernel.ps").value
    assert any(one["run"] == run["run"] for one in runs["runs"])
    client.call("kernel.stop", run["run"])
    assert not_done(client, "kernel.stop", "r-0000000000000000").reason == "unknown hand"


def test_a_task_does_nothing_more_once_its_work_has_ended(kernel: Kernel, client: Client) -> None:
    main = """
from runtime import CallRefused, Hand


class Late(Hand):
    async def run(self):
        return {}

    async def stop(self):
        for ask in (lambda: self.kernel.call("open.write"), lambda: self.publish("late")):
            try:
                await ask()
                self.log.info("late: it was let")
            except CallRefused as refused:
                self.log.info("late: " + refused.code)
"""
    toml = actor("late", '"open.write" = ["*"]', kind="task", more='[events]\npublishes = ["late"]').toml
    bare = toml.split("\n[provides.")[0].replace("main:Actor", "main:Late")
    install(kernel, Source(bare, main))
    client.call("kernel.start", "late", {"wait": True})
    output = kernel.home / "output" / "late.log"
    until(lambda: output.exists() and output.read_text().count('"late: ') == 2, "it tried")
    assert output.read_text().count('"late: parent"') == 2


def test_a_service_publishes_and_hears_for_a_caller_what_that_caller_may_and_check_knows(
    kernel: Kernel, client: Client
) -> None:
    events = '[events]\npublishes = ["news"]\nsubscribes = ["herald.news"]'
    cast(kernel, [actor("herald", more=events), actor("mute", rows("herald.do"))])
    heard = '"kernel.publish" = ["herald.news"]\n"kernel.subscribe" = ["herald.news"]\n'
    cast(kernel, [actor("voice", rows("herald.do") + heard)])
    for verb, step in (("publish", {"publish": "news"}), ("subscribe", {"subscribe": "herald.news"})):
        check = {"call": "kernel.check", "with": {"method": f"kernel.{verb}", "resource": "herald.news"}}
        for caller, may in (("mute", False), ("voice", True)):
            (through_it,) = ask(client, f"{caller}.do", [{"call": "herald.do", "with": {"steps": [check, step]}}])
            said, told = done(through_it)["value"]["told"]
            assert said["value"]["allowed"] is may
            assert (told["end"], told.get("code", "")) == (("done", "") if may else ("refused", "capability"))
    own = [{"publish": "news", "parent": 0}, {"publish": "news", "parent": 9_999_998}]
    (through_it,) = ask(client, "mute.do", [{"call": "herald.do", "with": {"steps": own}}])
    its_own, nobodys = done(through_it)["value"]["told"]
    assert its_own["end"] == "done"
    refused(nobodys, "parent")
    until(lambda: len(_published(kernel)) == 2, "both are in the log")
    assert [bool(parent) for parent in _published(kernel)] == [True, False]


def _published(kernel: Kernel) -> list[int]:
    """The calls for which herald published, in order."""
    return [one.parent for one in entries(kernel.home, "event") if one.method == "herald.news"]


# everything together -------------------------------------------------------------------------------------------------

_METHODS: Final = ("open.do", "open.write", "near.do", "middle.do", "far.do")
HELD = st.lists(st.sets(st.sampled_from(_METHODS)), min_size=4, max_size=4)


@settings(max_examples=15)
@given(HELD, st.permutations(_RELAYS), st.integers(0, 3))
def test_a_chain_may_do_exactly_what_each_of_its_links_may(
    client: Client, held: list[set[str]], order: Sequence[str], length: int
) -> None:
    chain = ["rich", *order[:length]]
    for name, methods in zip(chain, held, strict=False):
        _hold(client, name, methods | {"near.do", "middle.do", "far.do"})
    allowed = set.intersection(*[one & {"open.do", "open.write"} for one in held[: len(chain)]])
    for method in ("open.do", "open.write"):
        (told,) = ask(client, "rich.do", [through(*[f"{one}.do" for one in chain[1:]], last={"call": method})])
        assert (innermost(told)["end"] == "done") is (method in allowed), (chain, held, told)
    for name in chain:
        _hold(client, name, set(_METHODS))


def _hold(client: Client, hand: str, methods: set[str]) -> None:
    home: Any = client.call("kernel.home").value
    has = {row["method"] for row in home["grants"][hand]} & set(_METHODS)
    for method in has - methods:
        client.call("kernel.revoke", hand, {"method": method})
    lacks = [{"method": one, "allow": ["*"]} for one in sorted(methods - has)]
    client.call("kernel.grant", hand, {"capabilities": lacks})
