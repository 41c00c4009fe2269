"""Memory over the bus: whose it is, what nobody can learn of another's, what labels it keeps, what becomes of it."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, install, make_home
from tests.system.actors import Step, Told, actor, ask, cast, done, innermost, refused, rows, through
from tests.system.fates import entries, until

METHODS: Final = (
    "memory.get", "memory.set", "memory.delete", "memory.change", "memory.list", "memory.watch", "memory.graph.*",
    "memory.session.*", "memory.sessions", "memory.stats", "memory.owners", "memory.all.*", "memory.erase",
)  # fmt: skip
CHAT, OTHER = "session/bot/mail/-/ada", "session/bot/mail/-/bob"
WIDE: Final = "".join(f'"{method}" = ["*"]\n' for method in METHODS)
NARROW: Final = "".join(f'"{method}" = ["own", "{CHAT}", "shared/team"]\n' for method in METHODS)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """`ada` and `eve` may all that a Hand may; `bob` less; `near` acts for others, `vault` with its own memory for all."""
    vault = '"memory.get" = { allow = ["own"], own = true }\n"memory.set" = { allow = ["own"], own = true }'
    with Kernel(make_home(tmp_path_factory.mktemp("memory") / "home")) as kernel:
        install(kernel, ROOT / "hands" / "memory")
        cast(kernel, [actor("near", WIDE), actor("vault", vault), actor("worker", WIDE, kind="task")])
        doors = rows("near.do", "vault.do", "kernel.spawn")
        cast(kernel, [actor("ada", WIDE + doors), actor("eve", WIDE + doors), actor("bob", NARROW + doors)])
        cast(kernel, [actor("poor", doors)])
        yield kernel


def step(method: str, on: str = "own", /, **given: object) -> dict[str, object]:
    return {"call": f"memory.{method}", "on": on, "with": given}


def told(client: Client, hand: str, *steps: Step) -> list[Told]:
    return ask(client, f"{hand}.do", list(steps))


def put(client: Client, hand: str, on: str, value: object) -> None:
    (one,) = told(client, hand, step("set", on, key="k", value=value))
    done(one)


def got(client: Client, hand: str, on: str) -> object:
    (one,) = told(client, hand, step("get", on, key="k"))
    return one["value"]["value"] if one["end"] == "done" else one["code"]


def id_of(client: Client, hand: str) -> str:
    shown: Any = client.call("kernel.show", hand).value
    return str(shown["hand"]["id"])


# whose it is ---------------------------------------------------------------------------------------------------------


def test_each_hand_has_its_own_and_those_let_in_share_one(client: Client) -> None:
    for hand in ("ada", "eve"):
        put(client, hand, "own", hand)
        put(client, hand, CHAT, f"{hand} with ada")
    put(client, "ada", "shared/team", "for all")
    assert [got(client, hand, "own") for hand in ("ada", "eve")] == ["ada", "eve"]
    assert [got(client, hand, CHAT) for hand in ("ada", "eve")] == ["ada with ada", "eve with ada"]
    assert [got(client, hand, OTHER) for hand in ("ada", "eve")] == ["absent", "absent"]
    assert got(client, "bob", "shared/team") == "for all"
    assert got(client, "bob", "own") == "absent"
    assert client.call("memory.get", f"own/{id_of(client, 'ada')}", {"key": "k"}).value["value"] == "ada"  # type: ignore[index,call-overload]


def test_what_is_not_granted_is_refused_and_by_its_id_nothing_is(client: Client) -> None:
    ada = id_of(client, "ada")
    for hand, on in (
        ("bob", OTHER), ("bob", "shared/other"), ("poor", "own"), ("eve", f"own/{ada}"), ("eve", "own/operator"),
        ("ada", f"own/{ada}"), ("eve", f"own/{ada}/{CHAT}"),
    ):  # fmt: skip
        for one in told(client, hand, step("get", on, key="k"), step("set", on, key="k", value=1)):
            refused(one, "capability")


def test_a_hand_that_acts_for_another_has_its_own_memory_and_not_the_others(client: Client) -> None:
    put(client, "ada", "own", "ada")
    (one,) = told(client, "ada", through("near.do", last=step("set", key="k", value="near")))
    done(innermost(one))
    assert (got(client, "ada", "own"), got(client, "near", "own")) == ("ada", "near")
    (poor,) = told(client, "poor", through("near.do", last=step("get", key="k")))
    assert "poor (in whose name near calls)" in refused(innermost(poor), "capability")["why"]
    (vault,) = told(client, "poor", through("vault.do", last=step("set", key="k", value="kept for poor")))
    done(innermost(vault))
    assert got(client, "vault", "own") == "kept for poor"


def test_a_spawned_run_has_the_memory_of_its_hand(client: Client) -> None:
    put(client, "ada", "own", "ada")
    more = {"inputs": {"steps": [step("set", key="k", value="worker"), step("get", key="k")]}, "wait": True}
    (one,) = told(client, "ada", {"call": "kernel.spawn", "on": "worker", "with": more, "parent": 0})
    assert done(one)["value"]["outcome"] == "done"
    assert got(client, "ada", "own") == "ada"
    worker = id_of(client, "worker")
    assert client.call("memory.get", f"own/{worker}", {"key": "k"}).value["value"] == "worker"  # type: ignore[index,call-overload]


def test_who_takes_a_removed_hands_name_finds_nothing(kernel: Kernel, client: Client) -> None:
    install(kernel, actor("heir", WIDE))
    put(client, "heir", "own", "first")
    put(client, "heir", CHAT, "first")
    first = id_of(client, "heir")
    client.call("kernel.remove", "heir")
    install(kernel, actor("heir", WIDE))
    assert id_of(client, "heir") != first
    assert (got(client, "heir", "own"), got(client, "heir", CHAT)) == ("absent", "absent")
    assert client.call("memory.get", f"own/{first}", {"key": "k"}).value["value"] == "first"  # type: ignore[index,call-overload]
    client.call("memory.erase", f"own/{first}")
    with pytest.raises(Exception, match="there is no key"):
        client.call("memory.get", f"own/{first}/{CHAT}", {"key": "k"})


def test_an_upgraded_hand_keeps_what_it_remembers(kernel: Kernel, client: Client) -> None:
    install(kernel, actor("growing", WIDE))
    put(client, "growing", "own", "kept")
    install(kernel, actor("growing", WIDE, version="1.1.0"))
    assert got(client, "growing", "own") == "kept"


def test_the_log_tells_whose_memory_it_was(kernel: Kernel, client: Client) -> None:
    put(client, "ada", CHAT, 1)
    ada = id_of(client, "ada")

    def there() -> bool:
        calls = [one for one in entries(kernel.home, "call") if one.method == "memory.set" and one.resource == CHAT]
        return any(one.detail.get("bound") == f"own/{ada}/{CHAT}" for one in calls)

    until(there, "an entry of the call")


# what cannot be learned of another's ---------------------------------------------------------------------------------

SPY: Final = (
    step("get", key="k"), step("list"), step("list", prefix="k"), step("delete", key="k"),
    step("set", key="x", value=1, version=3),
    step("graph.get", entity="Ada"), step("graph.get", entity=1), step("graph.list"), step("graph.neighbours", entity=1),
    step("graph.paths", source=1, target=2), step("graph.match", pattern=[{}, {}]), step("graph.contradictions"),
    step("graph.end", relation=1), step("graph.forget", entity="Ada"), step("graph.merge", keep=1, gone=2),
    step("session.read"), step("session.search", text="word"), step("session.branches"),
    step("session.branch", name="b", parent="main"), step("session.compact", first=1, last=1, text="s"),
    step("session.export"),
    step("stats"), step("all.export"), step("sessions"), step("owners"),
)  # fmt: skip


def seen(client: Client, hand: str, on: str) -> list[Told]:
    """Everything that a Hand is told about a namespace, but for times."""
    found = told(client, hand, *({**one, "on": on} for one in SPY))
    return [{name: value for name, value in one.items() if name != "labels"} for one in found]


def fill(client: Client, hand: str, on: str, amount: int) -> None:
    steps: list[dict[str, object]] = [step("set", on, key="k", value="secret word")]
    for number in range(amount):
        steps += [
            step("set", on, key=f"k{number}", value=number),
            step("graph.put", on, type="person", name=f"Ada {number}"),
            step("session.append", on, messages=[{"role": "user", "text": "secret word"}]),
        ]
    steps.append(step("graph.put", on, type="person", name="Ada"))
    steps.append(step("graph.relate", on, source="Ada", kind="knows", target="Ada 0"))
    for one in told(client, hand, *steps):
        done(one)


def test_two_chats_and_two_hands_learn_nothing_of_each_other(kernel: Kernel, client: Client) -> None:
    """What is told of an empty namespace is the same, to the word, whatever is filled beside it."""
    for name in ("still", "loud"):
        install(kernel, actor(name, WIDE))
    quiet = {on: seen(client, "still", on) for on in (OTHER, "session/bot/mail/-/eve", "shared/silent")}
    assert quiet[OTHER] == quiet["session/bot/mail/-/eve"]
    own_before = seen(client, "still", "own")
    fill(client, "loud", "own", 3)
    fill(client, "loud", OTHER, 3)
    assert seen(client, "still", "own") == own_before
    assert seen(client, "still", OTHER) == quiet[OTHER]
    fill(client, "still", CHAT, 4)
    assert seen(client, "still", OTHER) == quiet[OTHER]
    fill(client, "loud", "shared/loud", 2)
    assert seen(client, "still", "shared/silent") == quiet["shared/silent"]


def test_numbers_of_one_chat_do_not_count_those_of_another(client: Client) -> None:
    fill(client, "ada", CHAT, 3)
    (entity,) = told(client, "ada", step("graph.put", OTHER, type="person", name="first"))
    assert done(entity)["value"]["entity"] == 1
    (said,) = told(client, "ada", step("session.append", OTHER, messages=[{"role": "user", "text": "x"}]))
    assert done(said)["value"] == {"last": 1}


def test_a_hand_is_told_of_its_own_memory_alone_and_the_operator_of_all(client: Client) -> None:
    for hand in ("ada", "eve"):
        put(client, hand, "own", 1)
    (one,) = told(client, "eve", step("owners"))
    assert [row["namespace"] for row in done(one)["value"]["owners"]] == [f"own/{id_of(client, 'eve')}"]
    (shared,) = told(client, "eve", step("owners", "shared/team"))
    assert [row["namespace"] for row in done(shared)["value"]["owners"]] == ["shared/team"]
    found: Any = client.call("memory.owners", "own").value
    assert {f"own/{id_of(client, hand)}" for hand in ("ada", "eve")} < {row["namespace"] for row in found["owners"]}


def test_who_watches_hears_of_his_own_namespace_and_of_no_other(kernel: Kernel) -> None:
    heard: list[bytes] = []
    began, ended = threading.Event(), threading.Event()

    def hear(piece: bytes) -> None:
        heard.append(piece)
        began.set()
        if b"last" in piece:
            ended.set()

    def watch() -> None:
        with kernel.client() as watching, pytest.raises(Exception, match="did not end within its time"):
            watching.call("memory.watch", "own", {"prefix": "k"}, seconds=2, chunk=hear)

    thread = threading.Thread(target=watch)
    thread.start()
    assert began.wait(20)
    with kernel.client() as client:
        put(client, "ada", "own", "not his")
        client.call("memory.set", CHAT, {"key": "k", "value": 1})
        client.call("memory.set", "own", {"key": "other", "value": 1})
        client.call("memory.set", "own", {"key": "k1", "value": 1})
        client.call("memory.change", "own", {"changes": [{"key": "k1", "delete": True}, {"key": "klast", "value": 1}]})
    assert ended.wait(20)
    thread.join()
    assert b"".join(heard).splitlines() == [
        b'{"watching":"k"}',
        b'{"key":"k1","version":1,"missed":0}',
        b'{"key":"k1","version":0,"missed":0}',
        b'{"key":"klast","version":2,"missed":0}',  # beyond that of the key that is gone
    ]


# labels --------------------------------------------------------------------------------------------------------------


def test_what_is_stored_comes_back_with_the_labels_of_who_stored_it(client: Client) -> None:
    marks = ("web", "mail")
    stored = [
        step("set", CHAT, key="labelled", value=1),
        step("graph.put", CHAT, type="person", name="Labelled"),
        step("session.append", CHAT, messages=[{"role": "user", "text": "labelled word"}]),
    ]
    for one in told(client, "eve", *({**each, "labels": marks} for each in stored)):
        done(one)
    for ask_for in (
        step("get", CHAT, key="labelled"), step("list", CHAT, prefix="lab"), step("graph.get", CHAT, entity="labelled"),
        step("graph.list", CHAT, prefix="labelled"), step("session.read", CHAT),
        step("session.search", CHAT, text="labelled"),
        step("session.export", CHAT), step("all.export", CHAT),
    ):  # fmt: skip
        reply = client.call(str(ask_for["call"]), f"own/{id_of(client, 'eve')}/{CHAT}", ask_for["with"])
        assert set(marks) <= set(reply.labels), ask_for
    backup = client.call("memory.backup", f"own/{id_of(client, 'eve')}")
    assert set(marks) <= set(backup.labels)
    plain = client.call("memory.list", f"own/{id_of(client, 'eve')}/{CHAT}", {"prefix": "nothing"})
    assert plain.labels == ()


# everything together -------------------------------------------------------------------------------------------------

SPACES: Final = ("own", CHAT, OTHER, "shared/team", "shared/common")
EXAMPLES: Final = itertools.count()
ACTS = st.lists(
    st.tuples(
        st.sampled_from(("ada", "eve")), st.sampled_from(SPACES), st.sampled_from(("set", "delete", "get")),
        st.sampled_from(("a", "b")), st.integers(0, 9),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=12)
@given(ACTS)
def test_memories_and_plain_tables_agree(kernel: Kernel, acts: list[tuple[str, str, str, str, int]]) -> None:
    with kernel.client() as client:
        model: dict[tuple[str, str], int] = {}
        example = next(EXAMPLES)
        for hand, space, act, name, value in acts:
            key = f"{example} {name}"
            whose = space if space.startswith("shared/") else f"{hand} {space}", key
            (one,) = told(client, hand, step(act, space, key=key, **({"value": value} if act == "set" else {})))
            if act == "set":
                done(one)
                model[whose] = value
            elif whose not in model:
                assert (one["end"], one["code"]) == ("failed", "absent")
            elif act == "get":
                assert done(one)["value"]["value"] == model[whose]
            else:
                done(one)
                del model[whose]


# what becomes of it --------------------------------------------------------------------------------------------------


def test_it_is_there_after_the_kernel_went_down(kernel: Kernel) -> None:
    """And after it was killed: test_memory_killed.py."""
    with kernel.client() as client:
        client.call("memory.set", "own", {"key": "a", "value": 1})
    kernel.down()
    kernel.up()
    with kernel.client() as client:
        assert client.call("memory.get", "own", {"key": "a"}).value["value"] == 1  # type: ignore[index,call-overload]
        assert client.call("memory.verify", "own").value == {"ok": True, "problems": [], "mended": []}
