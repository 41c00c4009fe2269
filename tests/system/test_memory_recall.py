"""Texts over the bus: found by meaning and by word, each namespace for itself, with their labels, after any end as well."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, install, make_home
from tests.system.actors import Step, Told, actor, ask, cast, done, refused, rows
from tests.system.fates import entries, until

CHAT, OTHER = "session/bot/mail/-/ada", "session/bot/mail/-/bob"
WIDE: Final = rows("memory.*")
TEXTS: Final = (
    "I bought an automobile yesterday.", "The bakery opens at eight.", "Whales are mammals.",
    "Ada paid the invoice 4711 by cheque.",
)  # fmt: skip


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("recall") / "home")) as kernel:
        install(kernel, ROOT / "hands" / "memory")
        yield kernel


def step(method: str, on: str = "own", /, *, labels: Sequence[str] = (), **given: object) -> Step:
    return {"call": f"memory.{method}", "on": on, "with": given, "labels": labels}


def told(client: Client, hand: str, *steps: Step) -> list[Any]:
    return [done(one)["value"] for one in ask(client, f"{hand}.do", list(steps))]


def store(client: Client, hand: str, on: str, *texts: str) -> list[int]:
    """The fragments' numbers, once their vectors are there as well."""
    numbers = [one["fragment"] for one in told(client, hand, *(step("store", on, text=text) for text in texts))]
    until(lambda: told(client, hand, step("stats", on))[0]["waiting"] == 0, "vectors")
    return numbers


def found(client: Client, hand: str, on: str, text: str) -> list[str]:
    (answer,) = told(client, hand, step("recall", on, text=text))
    return [one["text"] for one in answer["results"]]


def run_of_memory(client: Client) -> int:
    """The process of the memory that is ready, 0 for none."""
    runs: Any = client.call("kernel.ps").value
    return next((int(run["pid"]) for run in runs["runs"] if run["hand"] == "memory" and run["state"] == "ready"), 0)


@pytest.mark.wide
def test_a_memory_of_keys_alone_has_no_numpy_in_its_process(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "memory")
        client.call("memory.set", "own", {"key": "a", "value": 1})
        client.call("memory.stats", "own")
        client.call("memory.fragments", "own")
        assert "numpy" not in mapped(client)
        client.call("memory.store", "own", {"text": "A text."})
        until(lambda: "model.safetensors" in mapped(client), "the model")
        assert "numpy" in mapped(client)


def mapped(client: Client) -> str:
    """What the memory's process has mapped."""
    return Path(f"/proc/{run_of_memory(client)}/maps").read_text()


def test_a_hand_finds_by_meaning_and_by_word_what_it_stored(kernel: Kernel, client: Client) -> None:
    install(kernel, actor("finder", WIDE))
    numbers = store(client, "finder", "own", *TEXTS)
    assert found(client, "finder", "own", "a car")[0] == TEXTS[0]
    assert found(client, "finder", "own", "what animals live in the sea?")[0] == TEXTS[2]
    assert found(client, "finder", "own", "4711")[0] == TEXTS[3]
    (by_word,) = told(client, "finder", step("recall", text="bakeries", explain=True))
    first = by_word["results"][0]
    assert (first["fragment"], first["words"]["rank"], first["words"]["matched"]) == (numbers[1], 1, 1.0)
    assert first["meaning"]["rank"] == 1
    assert by_word["explained"]["terms"] == [{"term": "bakeri", "chunks": 1, "places": 1, "used": True}]
    assert told(client, "finder", step("stats"))[0]["embedder"] == "minilm"


def test_a_text_is_found_by_its_words_as_soon_as_it_is_stored(kernel: Kernel, client: Client) -> None:
    install(kernel, actor("quick", WIDE))
    many = [step("store", text=f"The boat number {number} is in the harbour.") for number in range(40)]
    *_, answer = told(client, "quick", *many, step("recall", text="39", most=1))
    assert [one["text"] for one in answer["results"]] == ["The boat number 39 is in the harbour."]


def test_beside_the_run_that_a_caller_names_stands_the_call_by_which_the_log_knows_it(
    kernel: Kernel, client: Client
) -> None:
    install(kernel, actor("teller", WIDE))
    steps = (step("store", text="I am somebody else.", run="r-other"), step("fragment", fragment=1))
    made, shown = told(client, "teller", *steps)
    (origin,) = shown["origins"]
    assert (made["fragment"], origin["run"]) == (1, "r-other")
    (entry,) = [one for one in entries(kernel.home, "call") if one.call == origin["call"]]
    assert (entry.method, entry.resource, entry.run) == ("memory.store", "own", entry.principal)
    assert entry.run != "r-other"


def test_a_fragment_is_mended_superseded_used_and_forgotten(kernel: Kernel, client: Client) -> None:
    install(kernel, actor("keeper", WIDE))
    (first, again) = told(client, "keeper", *[step("store", text="Ada lives in Paris.", source="mail", run="r1")] * 2)
    assert (again["fragment"], again["merged"]) == (first["fragment"], True)
    number = first["fragment"]
    newer, shown, listed, history = told(
        client, "keeper",
        step("store", text="Ada lives in Rome.", supersedes=number, time="2026-01-02T00:00:00Z", metadata={"n": 1}),
        step("fragment", fragment=number), step("fragments"), step("fragments", history=True),
    )  # fmt: skip
    assert (shown["state"], shown["successor"], shown["seen"]) == ("superseded", newer["fragment"], 2)
    assert [one["source"] for one in shown["origins"]] == ["mail"]
    assert [one["text"] for one in listed["fragments"]] == ["Ada lives in Rome."]
    assert len(history["fragments"]) == 2
    assert found(client, "keeper", "own", "Ada, Paris, Rome") == ["Ada lives in Rome."]
    mended, _, shown = told(
        client, "keeper", step("update", fragment=newer["fragment"], text="Ada lives in Roma.", importance=1),
        step("used", fragments=[newer["fragment"], 99]), step("fragment", fragment=newer["fragment"]),
    )  # fmt: skip
    assert (mended["text"], mended["importance"], shown["uses"]) == ("Ada lives in Roma.", 1.0, 1)
    filters = ({"metadata": {"n": 1}}, {"until": "2026-01-01T00:00:00Z"}, {"source": "mail"}, {"kind": "note"})
    counts = told(client, "keeper", *(step("fragments", filters=one) for one in filters))
    assert [len(one["fragments"]) for one in counts] == [1, 0, 0, 1]
    told(client, "keeper", step("forget", fragment=newer["fragment"]))
    (gone,) = ask(client, "keeper.do", [step("fragment", fragment=newer["fragment"])])
    assert (gone["code"], gone["why"]) == ("absent", f"there is no fragment {newer['fragment']} here")


def test_labels_come_back_with_what_carries_them(kernel: Kernel, client: Client) -> None:
    install(kernel, actor("marked", WIDE))
    store(client, "marked", CHAT, "A plain sentence about ships.")
    (one,) = ask(
        client, "marked.do", [step("store", CHAT, labels=("mail",), text="A sentence from a letter about boats.")]
    )
    number = done(one)["value"]["fragment"]
    done(ask(client, "marked.do", [step("update", CHAT, labels=("web",), fragment=number, importance=0.9)])[0])
    on = f"own/{id_of(client, 'marked')}/{CHAT}"
    for method, given in (
        ("recall", {"text": "boats"}), ("fragment", {"fragment": number}), ("fragments", {}), ("all.export", {}),
    ):  # fmt: skip
        assert set(client.call(f"memory.{method}", on, given).labels) >= {"mail", "web"}, method
    narrow = client.call("memory.recall", on, {"text": "ships", "filters": {"without": ["mail"]}})
    assert narrow.labels == ()
    assert client.call("memory.fragment", on, {"fragment": 1}).labels == ()


def id_of(client: Client, hand: str) -> str:
    shown: Any = client.call("kernel.show", hand).value
    return str(shown["hand"]["id"])


SPY: Final = (
    step("recall", text="automobile", explain=True), step("recall", text="a car", explain=True, most=100),
    step("recall", text="secret", filters={"labels": ["secret"]}), step("fragments", history=True),
    *(step(method, fragment=number) for number in (1, 2, 4, 1 << 32, (1 << 32) + 1) for method in ("fragment", "forget")),
    step("update", fragment=1, text="spied"), step("used", fragments=[1, (1 << 32) + 1]),
    step("store", text="spied", supersedes=1), step("stats"),
)  # fmt: skip


def seen(client: Client, hand: str, on: str) -> list[Told]:
    """Everything that a Hand is told about a namespace, but for what the disk says of the whole file."""
    answers = ask(client, f"{hand}.do", [{**one, "on": on} for one in SPY])
    for one in answers:
        if isinstance(one.get("value"), dict):
            one["value"].pop("bytes", None)
    return answers


@pytest.mark.wide
def test_two_chats_and_two_hands_find_nothing_of_each_other(kernel: Kernel, client: Client) -> None:
    """What an empty namespace answers is the same to the word before and after others store; so are the others' scores."""
    cast(kernel, [actor("still", WIDE), actor("loud", WIDE), actor("bare", rows("memory.get"))])
    before = {on: seen(client, "still", on) for on in ("own", OTHER, "shared/still")}
    store(client, "loud", "own", *TEXTS, "secret")
    store(client, "loud", OTHER, *TEXTS, "secret")
    store(client, "still", CHAT, *TEXTS, "secret")
    store(client, "loud", "shared/loud", *TEXTS)
    assert {on: seen(client, "still", on) for on in ("own", OTHER, "shared/still")} == before
    assert store(client, "still", OTHER, *TEXTS[:2]) == [1, 2]
    alone = scores(client, "still", OTHER)
    store(client, "still", CHAT, *(f"The automobile number {number} is a car." for number in range(30)))
    store(client, "still", "own", "A car, a car, an automobile.")
    assert scores(client, "still", OTHER) == alone
    for method in ("store", "recall"):
        refused(ask(client, "bare.do", [step(method, text="a car")])[0], "capability")


def scores(client: Client, hand: str, on: str) -> object:
    """All that a recall says but what moves with the clock."""
    answers = told(client, hand, *(step("recall", on, text=text, explain=True) for text in ("automobile", "a car")))
    for answer in answers:
        for one in answer["results"]:
            for name in ("score", "freshness"):
                one[name] = round(one[name], 4)
    return answers


@pytest.mark.wide
def test_vectors_that_a_killed_memory_had_not_made_come_after_its_restart(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "memory")
        for number in range(30):
            client.call("memory.store", "own", {"text": f"{TEXTS[number % 3]} It was on day {number}. " * 10})
        waiting: Any = client.call("memory.stats", "own").value
        os.kill(run_of_memory(client), signal.SIGKILL)
        assert waiting["waiting"] > 0
        until(lambda: run_of_memory(client), "a memory that is ready")
        until(lambda: stats(client)["waiting"] == 0, "vectors")
        assert stats(client)["fragments"] == 30
        answer: Any = client.call("memory.recall", "own", {"text": "a car", "most": 20}).value
        assert answer["results"][0]["text"].startswith(TEXTS[0])
        assert all(one["meaning"] for one in answer["results"])
        assert client.call("memory.verify", "own").value == {"ok": True, "problems": [], "mended": []}


def stats(client: Client) -> Any:
    return client.call("memory.stats", "own").value


@pytest.mark.wide
def test_a_memory_that_nobody_asks_ends_and_goes_on_with_its_vectors_when_it_is_asked(tmp_path: Path) -> None:
    quick = (ROOT / "hands" / "memory" / "HAND.toml").read_text().replace('idle = "5m"', 'idle = "1s"')
    folder = shutil.copytree(ROOT / "hands" / "memory", tmp_path / "memory")
    (folder / "HAND.toml").write_text(quick)
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, folder)
        for number in range(8):
            client.call("memory.store", "own", {"text": f"{TEXTS[0]} {number} " * 2_000})
        until(lambda: not run_of_memory(client), "an end for being idle")
        left = stats(client)["waiting"]
        assert left > 0
        until(lambda: stats(client)["waiting"] < left, "more vectors")
