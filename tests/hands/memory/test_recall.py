"""What the Hand does with texts beside its calls: vectors in the background, consolidation when nobody asks."""

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest

from memory import fragments, upkeep, vectors
from memory.arrays import np
from memory.embedders.grams import Grams
from memory.fragments import New
from memory.store import Store
from tests.hands.doubles import FakeCall, hand_module
from tests.hands.memory.conftest import CHAT, OWN, Desk

CAR, BAKERY = "I bought an automobile yesterday.", "The bakery opens at eight."

TORN = "UPDATE spaces SET languages = '{'"


@pytest.mark.wide
def test_a_memory_that_an_earlier_life_left_without_vectors_gets_them(tmp_path: Path) -> None:
    (tmp_path / "state" / "own").mkdir(parents=True)
    store = Store(tmp_path / "state" / f"{OWN}.db", now=lambda: time.time_ns() // 1_000)
    vectors.register(store, "another/1", 8)
    for text in (CAR, BAKERY):
        fragments.add(store, "", New(text=text))
    waiting = vectors.waiting(store, _model(store, "another/1"), 9)
    vectors.keep(store, _model(store, "another/1"), [one.chunk for one in waiting], np.eye(8, dtype=np.float32)[:2])
    fragments.add(store, "", New(text="A third one."))
    store.close()
    desk = Desk(tmp_path)
    desk.until(lambda: _vectors(tmp_path, "all-MiniLM-L6-v2/1") == 3, "the vectors of today's model")
    assert _vectors(tmp_path, "another/1") == 2
    desk.call("consolidate")
    assert _vectors(tmp_path, "another/1") == 0
    assert desk.call("recall", text="a car")["results"][0]["text"] == CAR
    desk.stop()


def test_a_memory_whose_vectors_are_another_models_gets_todays_when_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "state" / "own").mkdir(parents=True)
    store = Store(tmp_path / "state" / f"{OWN}.db", now=lambda: time.time_ns() // 1_000)
    fragments.add(store, "", New(text=CAR))
    model = vectors.register(store, "another/1", 8)
    vectors.keep(store, model, [one.chunk for one in vectors.waiting(store, model, 9)], np.eye(8, dtype=np.float32)[:1])
    store.close()
    desk = Desk(tmp_path)
    assert desk.call("recall", text="automobile")["results"][0]["meaning"] is None
    desk.until(lambda: desk.call("recall", text="a car")["results"], "a result by meaning")
    desk.stop()


def _model(store: Store, name: str) -> vectors.Model:
    found = vectors.registered(store, name)
    assert found is not None
    return found


def _vectors(folder: Path, model: str) -> int:
    store = Store(folder / "state" / f"{OWN}.db", now=lambda: 1)
    query = "SELECT count(*) FROM vectors JOIN models ON models.id = model WHERE name = ?"
    ((count,),) = store.rows(query, (model,))
    store.close()
    return int(str(count))


def test_a_vector_made_for_a_text_that_is_gone_is_not_kept_for_the_one_in_its_place() -> None:
    """Erased and filled anew while its vector was made: the same number, another text."""
    embedding, grams = hand_module("memory", "memory_embedding"), Grams()
    store = Store(Path(":memory:"), now=lambda: 1)
    vectors.register(store, grams.name, grams.dimension)
    fragments.add(store, CHAT, New(text=CAR))
    waiting = vectors.waiting(store, _model(store, grams.name), 9)
    upkeep.erase(store, CHAT)
    fragments.add(store, "another", New(text=BAKERY))
    made = grams.vectors([CAR])
    assert [one.chunk for one in vectors.waiting(store, _model(store, grams.name), 9)] == [waiting[0].chunk]
    embedding._keep(store, grams, waiting, made)
    assert len(vectors.waiting(store, _model(store, grams.name), 1_000)) == 1
    embedding._keep(store, grams, vectors.waiting(store, _model(store, grams.name), 9), grams.vectors([BAKERY]))
    assert len(vectors.waiting(store, _model(store, grams.name), 1_000)) == 0
    store.close()


def test_an_erased_memory_is_not_made_again_by_what_was_to_be_kept_in_it(desk: Desk) -> None:
    for number in range(30):
        desk.call("store", text=f"{CAR} {number}")
    desk.call("erase")
    desk.loop.run_until_complete(asyncio.sleep(0.5))
    assert not desk.hand.shelf.path_of(OWN).exists()


@pytest.fixture
def peace(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set, somebody is about to ask, however slow the machine is."""
    peace, memory = threading.Event(), hand_module("memory", "main").Memory
    is_quiet = memory._is_quiet
    monkeypatch.setattr(memory, "quiet_s", 0.2)
    monkeypatch.setattr(memory, "_is_quiet", lambda hand: peace.is_set() and is_quiet(hand))
    return peace


def test_while_nobody_asks_what_is_said_twice_is_merged_once_a_day(tmp_path: Path, peace: threading.Event) -> None:
    quiet = Desk(tmp_path)
    twice(quiet, CHAT)
    peace.set()
    shelf, path = quiet.hand.shelf, quiet.hand.state / "consolidation.json"
    quiet.until(path.exists, "an end of going through it")
    assert [one["state"] for one in quiet.call("fragments", CHAT, history=True)["fragments"]] == ["live", "archived"]
    before = path.stat().st_mtime_ns
    twice(quiet, OWN)
    quiet.loop.run_until_complete(asyncio.sleep(0.6))
    assert (path.stat().st_mtime_ns, len(shelf.owners())) == (before, 1)
    assert quiet.call("consolidate")["merged"] == 1
    quiet.stop()


def test_memories_take_their_turns_anew_where_what_is_stored_of_it_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "consolidation.json").write_bytes(b'{"\xff":{"after":0,"ended":1}}')
    desk = Desk(tmp_path)
    assert desk.call("consolidate")["merged"] == 0
    desk.stop()


def test_a_clock_that_was_ahead_keeps_no_memory_from_its_turn(tmp_path: Path, peace: threading.Event) -> None:
    (tmp_path / "state").mkdir()
    in_ten_years = time.time_ns() // 1_000 + 10 * 365 * 24 * 3_600 * 1_000_000
    (tmp_path / "state" / "consolidation.json").write_text(f'{{"{OWN}":{{"after":0,"ended":{in_ten_years}}}}}')
    desk = Desk(tmp_path)
    twice(desk, OWN)
    peace.set()
    desk.until(lambda: str(in_ten_years) not in (desk.hand.state / "consolidation.json").read_text(), "its turn")
    assert len(desk.call("fragments")["fragments"]) == 1
    desk.stop()


@pytest.mark.wide
def test_what_is_wrong_with_one_memory_keeps_no_other_from_its_turn(tmp_path: Path, peace: threading.Event) -> None:
    (tmp_path / "state" / "own").mkdir(parents=True)
    (tmp_path / "state" / f"{OWN}.db").write_bytes(b"no memory at all" * 512)
    desk = Desk(tmp_path)
    twice(desk, "shared/a")
    desk.loop.run_until_complete(desk.hand.shelf.write("shared/a", lambda store: store.rows(TORN)))
    twice(desk, "shared/b")
    assert "the memory file is damaged" in desk.fails("recall", text="bills")
    desk.embedded("shared/b")
    peace.set()
    desk.until((desk.hand.state / "consolidation.json").exists, "an end of going through one")
    assert len(desk.call("fragments", "shared/b")["fragments"]) == 1
    desk.stop()


def twice(desk: Desk, on: str) -> None:
    for text in ("They pay bills, twice.", "They pay the bill twice."):
        desk.call("store", on, text=text)


@pytest.mark.wide
def test_a_text_too_large_for_a_reply_is_refused_and_one_that_fits_comes_back(desk: Desk) -> None:
    assert "a text is at most 786432 bytes" in desk.fails("store", text="x" * 786_433)
    text = "word " * 157_000
    number = desk.call("store", text=text, metadata={"m": "x" * 60_000})["fragment"]
    assert desk.call("fragment", fragment=number)["text"] == text
    (shown,) = desk.call("recall", text="word")["results"]
    assert (shown["whole"], len(shown["text"]) < 2_000) == (False, True)
    assert shown["text"] == text[shown["piece"][0] : shown["piece"][1]]


@pytest.mark.wide
def test_texts_are_listed_in_pages_of_what_a_reply_holds(desk: Desk) -> None:
    for number in range(40):
        desk.call("store", text=f"{number} " + "x" * 60_000 * (number % 2))
    numbers: list[int] = []
    pages = 0
    while True:
        page = desk.call("fragments", after=numbers[-1] if numbers else 0, most=30)
        numbers += [row["fragment"] for row in page["fragments"]]
        pages += 1
        if not page["more"]:
            break
    assert (numbers, pages) == ([*range(1, 41)], 2)
    assert "a listing is of 1 to 1000 fragments, not 1001" in desk.fails("fragments", most=1001)


def test_a_recall_carries_the_labels_of_what_it_shows_and_no_others(desk: Desk) -> None:
    for label, text in (("mail", CAR), ("web", BAKERY)):
        made = FakeCall(OWN, "memory.store", labels=(label,))
        desk.loop.run_until_complete(desk.hand.on_call(made, {"text": text}))
    asked = FakeCall(OWN, "memory.recall")
    desk.loop.run_until_complete(desk.hand.on_call(asked, {"text": "bakery", "most": 1}))
    assert asked.added == {"web"}


def test_of_memories_that_are_not_there_nothing_is_kept_whoever_asks_for_them(
    tmp_path: Path, peace: threading.Event
) -> None:
    """Else a Hand that may ask for any shared space could fill the memory and the disk of the one process for all."""
    desk = Desk(tmp_path)
    twice(desk, OWN)
    twice(desk, "shared/erased")
    desk.embedded()
    desk.call("consolidate", "shared/erased")
    desk.call("erase", "shared/erased")
    for number in range(100):
        desk.call("recall", f"shared/none-{number}", text="bills")
    peace.set()
    path = desk.hand.state / "consolidation.json"
    desk.until(lambda: path.exists() and OWN in path.read_text(), "an end of going through the one that is there")
    desk.until(lambda: desk.hand.asked_for == {OWN}, "no other one in mind")
    assert list(json.loads(path.read_text())) == [OWN]
    desk.until(lambda: not any("none" in one for one in desk.hand.embedding._known), "none that is looked at")
    desk.stop()
