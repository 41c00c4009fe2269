"""A memory whose vectors are made elsewhere, if the operator wishes: anew when that changes, missed when none come."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, Source, install, make_home
from tests.spread import spread
from tests.system.fates import until

MODEL: Final = Source(
    """
[hand]
name = "model"
version = "1.0.0"
description = "Makes vectors in which animals are near to animals."
entry = "main:Model"
kind = "service"
autonomy = "full"

[provides."model.embed"]
summary = "Vectors of texts"
resource = "model"
effect = "read"
params = { texts = "list" }
returns = { vectors = "list", model = "string" }

[settings.way]
type = "string"
default = "right"
""",
    """
from runtime import Call, Failure, Hand

ANIMALS = ("zorp", "blick")     # no model has heard of them, and they share no letter


class Model(Hand):
    async def embed(self, call: Call, texts: list) -> object:
        way = self.settings.of("way", str)
        if way == "down":
            raise Failure("unreachable", "the model cannot be reached")
        rows = [[3.0, 0.0] if any(word in text for word in ANIMALS) else [0.0, 2.0] for text in texts]
        if way == "picky" and any("Bread" in text for text in texts):
            raise Failure("arguments", "a text is refused")
        if way == "short":
            rows = rows[1:]
        if way == "nowhere":
            rows = [[float("nan"), 0.0] for _ in rows]
        if way == "longer":
            rows = [[*row, 0.0] for row in rows]
        with open(self.state / "asked", "a") as file:
            file.write(f"{call.resource} {len(texts)} {' '.join(call.labels)}\\n")
        return {"vectors": rows, "model": call.resource}
""",
)

TEXTS: Final = ("The zorp sleeps by day.", "Bread is baked at eight.")


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("embedder") / "home")) as kernel:
        install(kernel, MODEL)
        install(kernel, ROOT / "hands" / "memory")
        yield kernel


@pytest.fixture
def kernel(living: Kernel) -> Iterator[Kernel]:
    """A kernel with a memory of nothing, for which nobody has named a model, and a model that was asked nothing."""
    for file in (living.home / "state").glob("*/asked"):
        file.unlink()
    yield living
    with living.client() as client:
        choose(client, "memory", embedder="")
        choose(client, "model", way="right")
        client.call("memory.erase", "own")


def choose(client: Client, hand: str, **values: object) -> None:
    client.call("kernel.set", hand, {"values": values})


def store(client: Client, *texts: str) -> None:
    for text in texts:
        client.call("memory.store", "own", {"text": text})


def stats(client: Client) -> Any:
    return client.call("memory.stats", "own").value


def results(client: Client, text: str) -> Any:
    told: Any = client.call("memory.recall", "own", {"text": text}).value
    return told["results"]


def asked(kernel: Kernel) -> list[str]:
    return [line for file in (kernel.home / "state").glob("*/asked") for line in file.read_text().splitlines()]


def test_texts_are_found_by_the_vectors_of_the_model_that_the_operator_names(kernel: Kernel, client: Client) -> None:
    choose(client, "memory", embedder="acme/animals-1")
    store(client, *TEXTS)
    until(lambda: stats(client)["waiting"] == 0, "vectors")
    best = results(client, "blick")[0]
    assert (best["text"], best["words"], best["meaning"]["rank"]) == (TEXTS[0], None, 1)
    assert stats(client)["embedder"] == "acme/animals-1"
    assert {line.split()[0] for line in asked(kernel)} == {"acme/animals-1"}


def test_nothing_is_sent_to_a_model_that_nobody_named(kernel: Kernel, client: Client) -> None:
    store(client, *TEXTS)
    until(lambda: stats(client)["waiting"] == 0, "vectors")
    results(client, "blick")
    assert asked(kernel) == []


def test_a_model_elsewhere_is_told_what_texts_are_of_also_by_the_next_process(kernel: Kernel, client: Client) -> None:
    client.call("memory.store", "own", {"text": TEXTS[0]}, labels=("web",))
    store(client, TEXTS[1])
    until(lambda: stats(client)["waiting"] == 0, "vectors of this machine")
    client.call("kernel.restart", "memory")  # the next one has heard nothing of any of that
    choose(client, "memory", embedder="acme/animals-1")
    results(client, "the sea")
    until(lambda: [line for line in asked(kernel) if line.split()[1] == "2"], "it is asked for both")
    assert [line.split()[2:] for line in asked(kernel) if line.split()[1] == "2"] == [["web"]]


@pytest.mark.wide
def test_when_another_embedder_is_named_every_vector_is_made_anew_while_recall_goes_on(client: Client) -> None:
    store(client, *TEXTS)
    until(lambda: stats(client)["waiting"] == 0, "vectors of this machine")
    assert results(client, "blick")[0]["text"] in TEXTS
    choose(client, "memory", embedder="acme/animals-1")
    assert results(client, "bread")[0]["text"] == TEXTS[1]
    until(lambda: (results(client, "blick") or [{}])[0].get("text") == TEXTS[0], "the new vectors")
    until(lambda: stats(client)["waiting"] == 0, "all of them")
    choose(client, "memory", embedder="")
    until(lambda: stats(client)["embedder"] == "minilm" and stats(client)["waiting"] == 0, "this machine's again")
    assert results(client, "a bakery")[0]["text"] == TEXTS[1]


@pytest.mark.parametrize("way", spread(["down", "short", "nowhere"], 1))
def test_without_vectors_words_do_and_they_are_made_when_they_can_be(client: Client, way: str) -> None:
    choose(client, "model", way=way)
    choose(client, "memory", embedder="acme/animals-1")
    store(client, *TEXTS)
    assert [one["text"] for one in results(client, "bread")] == [TEXTS[1]]
    assert stats(client)["waiting"] == len(TEXTS)
    choose(client, "model", way="right")
    choose(client, "memory", embedder="acme/animals-2")
    until(lambda: stats(client)["waiting"] == 0, "vectors")
    assert results(client, "blick")[0]["text"] == TEXTS[0]


def near(client: Client) -> set[str]:
    """The texts whose vectors are that of an animal."""
    found = [one for one in results(client, "blick") if one["meaning"] and one["meaning"]["score"] > 0.9]
    return {one["text"] for one in found}


@pytest.mark.wide
def test_a_text_that_the_model_refuses_keeps_no_other_from_its_vector(kernel: Kernel, client: Client) -> None:
    choose(client, "model", way="picky")
    choose(client, "memory", embedder="acme/animals-1")
    store(
        client,
        TEXTS[0],
        *(f"{TEXTS[1]} {number}" for number in range(3)),
        "A blick is a small zorp.",
        "The sea is wide.",
    )
    animals = {TEXTS[0], "A blick is a small zorp."}
    until(lambda: near(client) == animals, "vectors of what is not refused")
    until(lambda: stats(client)["waiting"] == 3, "those of all but the refused")
    assert len(results(client, "bread")) >= 3
    store(client, "A zorp eats.")
    until(lambda: near(client) == animals | {"A zorp eats."}, "vectors go on being made")
    choose(client, "model", way="right")
    client.call("kernel.restart", "memory")
    until(lambda: stats(client)["waiting"] == 0, "they are tried again by the next process")


def remembering(client: Client) -> list[str]:
    """The runs of the Hand `memory`."""
    value: Any = client.call("kernel.ps").value
    return [row["run"] for row in value["runs"] if row["hand"] == "memory"]


def told(kernel: Kernel, words: bytes) -> int:
    """How often the logs of all Hands have these words."""
    return sum(file.read_bytes().count(words) for file in (kernel.home / "output").iterdir())


@pytest.mark.wide
def test_no_text_is_passed_over_for_one_that_was_erased(kernel: Kernel, client: Client) -> None:
    choose(client, "model", way="picky")
    choose(client, "memory", embedder="acme/animals-1")
    lines = told(kernel, b"a text has no vector")
    store(client, TEXTS[1])
    until(lambda: told(kernel, b"a text has no vector") > lines, "it was passed over")
    before = remembering(client)
    client.call("memory.erase", "own")
    store(client, TEXTS[0])
    until(lambda: near(client) == {TEXTS[0]}, "the vector of the text that has its number now")
    assert remembering(client) == before, "by the process that passed over the other text"


@pytest.mark.wide
def test_vectors_of_another_length_are_told_and_made_anew_by_a_reindex(kernel: Kernel, client: Client) -> None:
    choose(client, "memory", embedder="acme/animals-1")
    store(client, TEXTS[0])
    until(lambda: near(client) == {TEXTS[0]}, "a vector")
    choose(client, "model", way="longer")
    lines = told(kernel, b"maniple memory reindex")
    store(client, TEXTS[1])
    until(lambda: told(kernel, b"maniple memory reindex") > lines, "it is told")
    assert [one["text"] for one in results(client, "bread")] == [TEXTS[1]], "by words"
    before = len(asked(kernel))
    store(client, "The sea is wide.")
    assert stats(client)["waiting"] == 2
    client.call("memory.reindex", "own")
    until(lambda: stats(client)["waiting"] == 0, "all vectors anew")
    assert near(client) == {TEXTS[0]}
    assert len(asked(kernel)) - before < 10
