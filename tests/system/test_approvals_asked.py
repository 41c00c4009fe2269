"""Who is asked about a call: its caller, and whoever it is made for; and `kernel.check` says so beforehand."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from tests.system.actors import actor, ask, rows
from tests.system.actors import answer as became_of
from tests.system.actors import begin as begin_step
from tests.system.approving import answer, begin, furnished, none_waits, outcome, sent, waiting, writer
from tests.system.costly import ASKER, COSTLY, spend, spent
from tests.system.fates import call, entries, until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("approvals") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    with furnished(running) as kernel:
        yield kernel


# check ---------------------------------------------------------------------------------------------------------------

_HELD: tuple[tuple[str, bool | None, bool], ...] = (
    ("post.send", None, True), ("post.send", True, True), ("post.send", False, False), ("post.read", None, False),
    ("post.read", True, True), ("post.read", False, False), ("post.pin", None, True), ("kernel.spawn", None, True),
    ("kernel.spawn", False, False), ("kernel.note", None, False),
)  # fmt: skip


def test_check_says_whether_a_call_would_be_held_and_it_is(kernel: Kernel) -> None:
    install(kernel, actor("idler", kind="task"))
    before = _held_so_far(kernel)
    with kernel.client() as client:
        for number, (method, approval, is_held) in enumerate(_HELD):
            said = "" if approval is None else f", approval = {str(approval).lower()}"
            name, on = f"asker-{number}", "idler" if method == "kernel.spawn" else "ann"
            install(kernel, actor(name, f'"{method}" = {{ allow = ["*"]{said} }}\n', autonomy="supervised"))
            wanted = {"method": method, "resource": "" if method == "kernel.note" else on}
            (told,) = ask(client, f"{name}.do", [{"call": "kernel.check", "with": wanted}])
            assert (told["value"]["allowed"], told["value"]["approval"]) == (True, is_held), method
            assert ("supervised" in told["value"]["why"]) is (is_held and approval is None)
            arguments = {"post.read": {}, "kernel.spawn": {}}.get(method, {"text": "x"})
            begin_step(client, f"{name}.do", [{"call": method, "on": wanted["resource"], "with": arguments}])
            if is_held:
                answer(kernel, waiting(kernel))
            (became,) = became_of(client)
            assert became["end"] == "done", became
        assert _held_so_far(kernel)[len(before) :] == [method for method, _, is_held in _HELD if is_held]


def _held_so_far(kernel: Kernel) -> list[str]:
    return [one.method for one in entries(kernel.home, "call") if one.verdict == "held"]


def test_check_and_call_agree_when_no_more_may_wait(kernel: Kernel) -> None:
    install(kernel, actor("asker", '"post.*" = ["*"]\n"kernel.*" = ["*"]\n', autonomy="supervised"))
    with kernel.client() as client:
        for number in range(5):
            begin_step(client, "asker.do", [{"call": "post.send", "on": f"to{number}", "with": {"text": "x"}}])
        waiting(kernel, 5)
        wanted = {"method": "post.send", "resource": "ann"}
        steps = [{"call": "kernel.check", "with": wanted}, {"call": "post.send", "on": "ann", "with": {"text": "x"}}]
        check, called = ask(client, "asker.do", steps)
    assert (check["value"]["code"], check["value"]["allowed"]) == ("approvals", False)
    assert (called["code"], called["why"]) == ("approvals", check["value"]["why"])


# chains --------------------------------------------------------------------------------------------------------------


def _relayed(kernel: Kernel, last: str = "do") -> tuple[str, object]:
    """A supervised Hand asks `relay`, which may do all without asking, to send a letter: what becomes of it."""
    with kernel.client() as client:
        step = {"call": "post.send", "on": "ann", "with": {"text": "x"}}
        begin_step(client, "asker.do", [{"call": f"relay.{last}", "with": {"steps": [step]}}])
        held = waiting(kernel)
        names, method = [one.name for one in held[0].asks], held[0].method
        answer(kernel, held)
        (told,) = became_of(client)
        assert none_waits(kernel)
    return method, (names, told["value"]["told"][0]["end"])


@pytest.mark.wide
def test_whoever_is_up_the_chain_is_asked_for_too(kernel: Kernel) -> None:
    install(kernel, actor("relay", rows("post.*")))
    install(kernel, actor("asker", rows("post.*", "relay.*"), autonomy="supervised"))
    assert _relayed(kernel) == ("post.send", (["asker"], "done"))
    assert _relayed(kernel, "external") == ("relay.external", (["asker"], "done"))


def test_what_a_service_may_do_for_anybody_is_not_asked_about_in_its_callers_name(kernel: Kernel) -> None:
    install(kernel, actor("relay", '"post.*" = { allow = ["*"], own = true }\n'))
    install(kernel, actor("asker", rows("relay.*"), autonomy="supervised"))
    with kernel.client() as client:
        step = {"call": "post.send", "on": "ann", "with": {"text": "x"}}
        (told,) = ask(client, "asker.do", [{"call": "relay.do", "with": {"steps": [step]}}])
    assert told["value"]["told"][0]["end"] == "done"
    assert sent(kernel.home) == ["ann x"]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["post.send", "post.read", "post.*"]), st.sampled_from(["*", "a*", "ann"]),
        st.sampled_from([None, True, False]),
    ), min_size=1, max_size=3,
)  # fmt: skip
ASKED = st.lists(
    st.tuples(st.sampled_from(["post.send", "post.read"]), st.sampled_from(["ann", "abe", "bob"])),
    min_size=1,
    max_size=3,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, ASKED)
def test_check_and_call_agree_under_random_grants(
    kernel: Kernel, granted: list[tuple[str, str, bool | None]], asked: list[tuple[str, str]]
) -> None:
    with kernel.client() as client:
        if "asker" not in fates.table(fates.table(client.call("kernel.home").value)["grants"]):
            capabilities = '"post.*" = { allow = ["*"], approval = false }\n'
            install(kernel, actor("asker", capabilities, autonomy="supervised"), [])
        else:
            client.call("kernel.revoke", "asker", {"method": "post.*"})
        given_now = [{"method": one, "allow": [on], "approval": said} for one, on, said in granted]
        client.call("kernel.grant", "asker", {"capabilities": given_now})
        for method, on in asked:
            steps = [{"call": "kernel.check", "with": {"method": method, "resource": on}}]
            (check,) = ask(client, "asker.do", steps)
            begin_step(
                client, "asker.do", [{"call": method, "on": on, "with": {"text": "x"} if method == "post.send" else {}}]
            )
            if check["value"]["approval"]:
                answer(kernel, waiting(kernel), "denied")
            (became,) = became_of(client)
            said = check["value"]
            expected = "denied" if said["approval"] else "" if said["allowed"] else said["code"]
            assert (became["end"], became.get("code", "")) == ("refused" if expected else "done", expected)


HEARER = Source(
    """
[hand]
name = "hearer"
version = "1.0.0"
description = "Keeps what it hears of calls that wait."
entry = "main:Hearer"
kind = "service"
autonomy = "full"

[events]
subscribes = ["kernel.held"]

[provides."hearer.heard"]
summary = "What it heard"
resource = "none"
effect = "read"
""",
    """
from runtime import Call, Event, Hand


class Hearer(Hand):
    async def start(self) -> None:
        self.said = []
        await self.kernel.subscribe("kernel.held")

    async def on_event(self, event: Event) -> None:
        self.said.append(event.body)

    async def heard(self, call: Call) -> object:
        return {"heard": self.said}
""",
)


@pytest.mark.wide
def test_who_may_hear_it_hears_that_a_call_waits_and_nothing_of_what_it_says(kernel: Kernel) -> None:
    install(kernel, writer())
    install(kernel, HEARER)
    call(kernel, "kernel.start", "hearer")
    run = begin(kernel, "ann secret")
    (held,) = waiting(kernel)
    said = {"call": held.call, "hand": "writer", "method": "post.send", "until": held.until}
    until(lambda: fates.table(call(kernel, "hearer.heard"))["heard"] == [said], "it hears of it")
    answer(kernel, [held], "denied")
    outcome(kernel, run)


ASKING = Source(
    """
[hand]
name = "asking"
version = "1.0.0"
description = "Asks before it reads."
entry = "main:Asking"
kind = "task"
autonomy = "full"

[capabilities]
"post.*" = ["*"]
""",
    """
from runtime import CallRefused, Hand


class Asking(Hand):
    async def run(self, size: int = 0) -> object:
        text = "x" * size if size else "hello"
        try:
            reply = await self.kernel.call("post.send", "ann", text=text, ask_first="she reads \\u202e it")
        except CallRefused as refused:
            return refused.code
        return reply.value
""",
)


def test_a_call_whose_caller_itself_wants_that_waits_whatever_its_grant_says(kernel: Kernel) -> None:
    install(kernel, ASKING)
    run = str(fates.table(call(kernel, "kernel.start", "asking"))["run"])
    (held,) = waiting(kernel)
    assert [reason.why for reason in held.asks] == ["asking asks you itself: she reads \\u202e it"]
    answer(kernel, [held])
    assert outcome(kernel, run) == {"sent": "hello", "to": "ann"}
    told = {"inputs": {"size": 300_000}}
    run = str(fates.table(call(kernel, "kernel.start", "asking", told))["run"])
    assert outcome(kernel, run) == "too large"


# budgets ------------------------------------------------------------------------------------------------------------


def test_the_provider_of_a_call_that_waited_is_told_what_budgets_leave_when_it_gets_it(kernel: Kernel) -> None:
    install(kernel, COSTLY)
    call(kernel, "costly.bounded")  # it is known to cost
    call(kernel, "kernel.budget-set", "", {"tokens": [f"{spent(kernel) + 100}/day"]})
    held = '"costly.bounded" = { allow = ["*"], approval = true }'
    install(kernel, Source(ASKER.toml.replace('"costly.*" = ["*"]', held), ASKER.main))
    given = {"inputs": {"calls": [{"method": "costly.bounded"}]}}
    run = str(fates.table(call(kernel, "kernel.start", "asker", given))["run"])
    asked = waiting(kernel)
    assert spend(kernel, 60, None) == "done"
    answer(kernel, asked)
    assert fates.table(outcome(kernel, run))["said"] == [40]
    call(kernel, "kernel.budget-set", "", {"tokens": []})
