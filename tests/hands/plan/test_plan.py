"""A to-do list is what its Hand said last, its own Hand's only, and there after a kill."""

import asyncio
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from runtime.errors import HandBroken
from tests.hands.doubles import FakeCall, hand_module, seated
from wire.codec import encode_body

main = hand_module("plan", "main")
shelf = hand_module("plan", "plan_shelf")
T = TypeVar("T")
OWN = "own/h-1"


class Desk:
    """A started Hand; each method makes one call."""

    def __init__(self, folder: Path) -> None:
        self.hand = seated(main.Plan, "plan", folder, {})
        self.run(self.hand.start())

    def run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run(work)

    def ask(
        self, method: str, resource: str = OWN, labels: tuple[str, ...] = (), **arguments: object
    ) -> dict[str, object]:
        call = FakeCall(resource, labels=labels)
        reply: dict[str, object] = self.run(getattr(self.hand, method)(call, **arguments))
        return reply | {"labels": set(call.added)}

    def fails(self, method: str, **arguments: object) -> str:
        with pytest.raises(main.Failure) as failed:
            self.ask(method, **arguments)  # type: ignore[arg-type]  # arguments of the method
        return str(failed.value.code)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def states(reply: dict[str, object]) -> list[str]:
    steps = reply["steps"]
    assert isinstance(steps, list)
    return [step["state"] for step in steps]


def test_steps_go_on_one_by_one(desk: Desk) -> None:
    assert states(desk.ask("set", steps=["read", "think", "write"], title="Work")) == ["todo"] * 3
    desk.ask("step", step=1, state="done")
    reply = desk.ask("step", step=2, state="doing", note="hard")
    assert states(reply) == ["done", "doing", "todo"]
    assert (reply["done"], reply["total"], reply["title"]) == (1, 3, "Work")
    assert reply["steps"][1] == {"text": "think", "state": "doing", "note": "hard"}  # type: ignore[index]
    assert desk.ask("step", step=2, state="done")["steps"][1]["note"] == "hard"  # type: ignore[index]


def test_a_list_is_its_own_namespaces_and_its_own_names(desk: Desk) -> None:
    desk.ask("set", steps=["mine"], name="r-1")
    desk.ask("set", steps=["other"], name="r-2")
    with pytest.raises(main.Failure):
        desk.ask("show", "own/h-2", name="r-1")
    desk.ask("step", step=1, state="doing", name="r-1")
    assert [row["name"] for row in desk.ask("list")["plans"]] == ["r-1", "r-2"]  # type: ignore[attr-defined]
    assert desk.ask("list", "own/h-2")["plans"] == []
    desk.ask("set", "own/h-2", steps=["theirs"], name="r-1")
    every = desk.ask("all", "", most=2)
    assert [(row["namespace"], row["name"]) for row in every["plans"]] == [("own/h-2", "r-1"), (OWN, "r-1")]  # type: ignore[attr-defined]
    assert every["more"] is True
    assert desk.ask("remove", "own/h-2", name="r-1")["removed"] is True
    assert desk.ask("show", name="r-1")["total"] == 1


def test_what_was_written_is_there_when_its_process_is_not(desk: Desk, tmp_path: Path) -> None:
    desk.ask("set", steps=["a"])
    shutil.copytree(tmp_path / "state", tmp_path / "killed/state")  # what lay on the disk while it lived
    assert Desk(tmp_path / "killed").ask("show")["total"] == 1


def test_all_lists_fit_into_a_reply_however_long_their_titles_are(desk: Desk) -> None:
    for number in range(500):
        desk.ask("set", f"own/h-{number % 3}", steps=["a"], title="\U0001f600" * 500, name=f"{number:\U0001f600>100}")
    every = desk.ask("all", "", most=500)
    encode_body({"plans": every["plans"]})
    assert every["more"] is True
    assert len(every["plans"]) > 200  # type: ignore[arg-type]


def test_labels_of_its_writers_come_back(desk: Desk) -> None:
    desk.ask("set", labels=("web",), steps=["a"])
    assert desk.ask("step", labels=("mail",), step=1, state="done")["labels"] == {"web", "mail"}
    assert desk.ask("show")["labels"] == {"web", "mail"}
    assert desk.ask("all", "")["labels"] == {"web", "mail"}
    desk.ask("set", steps=["a"])
    assert desk.ask("show")["labels"] == set()


def test_how_many_steps_there_are_is_marked_by_who_wrote_them(desk: Desk) -> None:
    """The number of a secret list is a piece of it, also where it is told in an error."""
    desk.ask("set", labels=("web",), steps=["a"] * 42)
    call = FakeCall(OWN)
    with pytest.raises(main.Failure, match="step must be 1 to 42") as failed:
        desk.run(desk.hand.step(call, step=100, state="done"))
    assert (failed.value.code, set(call.added)) == ("arguments", {"web"})


def test_ever_new_labels_make_no_list_larger_and_larger(desk: Desk) -> None:
    desk.ask("set", steps=["a"])
    for number in range(3):
        desk.ask("step", labels=tuple(f"{number}-{one}" for one in range(60)), step=1, state="doing")
    assert desk.ask("show")["labels"] == {"*"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"steps": []},
        {"steps": ["x"] * 101},
        {"steps": [""]},
        {"steps": [1]},
        {"steps": [{"text": "a", "state": "gone"}]},
        {"steps": [{"text": "a", "more": "b"}]},
        {"steps": [{"text": "a", "state": ["done"]}]},
        {"steps": ["x" * 501]},
        {"steps": ["a"], "name": ""},
        {"steps": ["a"], "title": "x" * 501},
    ],
)
def test_what_is_no_plan_is_told_and_changes_nothing(desk: Desk, arguments: dict[str, object]) -> None:
    desk.ask("set", steps=["kept"])
    assert desk.fails("set", **arguments) == "arguments"
    assert desk.ask("show")["total"] == 1


def test_steps_that_are_not_there_and_too_many_lists_are_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ask("set", steps=["a"])
    for arguments in ({"step": 0, "state": "done"}, {"step": 2, "state": "done"}, {"step": 1, "state": "x"}):
        assert desk.fails("step", **arguments) == "arguments"
    assert desk.fails("show", name="none") == "not found"
    assert desk.fails("step", name="none", step=1, state="done") == "not found"
    monkeypatch.setattr(shelf, "PLANS_MOST", 1)
    assert desk.fails("set", steps=["b"], name="second") == "too many"
    assert desk.ask("set", steps=["again"])["total"] == 1


def test_a_full_disk_is_told_and_what_was_there_is_read(desk: Desk) -> None:
    desk.ask("set", steps=["one"])
    desk.hand.shelf._file.connection.pragma("max_page_count", 8)  # SQLite's own words for a full disk
    with pytest.raises(main.Failure, match="full") as failed:
        for number in range(200):
            desk.ask("set", steps=["x" * 500] * 20, name=f"plan {number}")
    assert failed.value.code == "disk"
    assert states(desk.ask("show")) == ["todo"]


@pytest.mark.parametrize("where", [0, 5_000])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, where: int) -> None:
    desk = Desk(tmp_path)
    for number in range(20):
        desk.ask("set", steps=["x" * 400], name=f"n{number}")
    desk.run(desk.hand.stop())
    path = tmp_path / "state" / "plans.sqlite"
    raw = path.read_bytes()
    path.write_bytes(raw[:where] + b"\xaa" * 3_000 + raw[where + 3_000 :])
    desk = Desk(tmp_path)
    assert desk.ask("list")["plans"] == []
    desk.ask("set", steps=["a"])
    (aside,) = (tmp_path / "state").glob("plans.sqlite.damaged-*")
    assert aside.stat().st_size == len(raw)
    desk.run(desk.hand.stop())
    assert [one["name"] for one in Desk(tmp_path).ask("list")["plans"]] == ["plan"]  # type: ignore[attr-defined]


def test_a_file_that_cannot_be_opened_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state" / "plans.sqlite").mkdir(parents=True)
    with pytest.raises(HandBroken, match=r"plans\.sqlite, or its log .*see their types.*move both away"):
        Desk(tmp_path)


def test_a_damaged_list_is_told_as_that_and_hides_no_other(desk: Desk) -> None:
    desk.ask("set", steps=["a"], name="whole")
    desk.ask("set", steps=["a"], name="bad")
    desk.hand.shelf._file.execute("update plans set plan = substr(plan, 1, 20) where name = 'bad'")
    assert desk.fails("show", name="bad") == desk.fails("step", name="bad", step=1, state="done") == "damaged"
    plans = desk.ask("all", "")["plans"]
    assert {row["name"]: row["title"] for row in plans} == {  # type: ignore[attr-defined]
        "whole": "",
        "bad": "(damaged: write it anew, or remove it)",
    }
    assert len(desk.ask("list")["plans"]) == 2  # type: ignore[arg-type]
    desk.ask("set", steps=["b"], name="bad")
    assert desk.ask("show", name="bad")["total"] == 1


def test_what_was_set_aside_is_told_until_it_is_taken_away(tmp_path: Path) -> None:
    Desk(tmp_path).ask("set", steps=["a"])
    for _ in range(2):
        (tmp_path / "state" / "plans.sqlite").write_bytes(b"\xaa" * 9_000)
        problems = Desk(tmp_path).ask("all", "")["problems"]
        assert "plans.sqlite.damaged-" in str(problems)
        for path in (tmp_path / "state").glob("plans.sqlite.damaged-*"):
            path.unlink()
    assert Desk(tmp_path).ask("all", "")["problems"] == []


def test_a_text_with_a_wrong_byte_is_damage(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.ask("set", steps=["a"])
    desk.hand.shelf._file.execute("update plans set space = cast(x'ff' as text)")
    desk.run(desk.hand.stop())
    assert Desk(tmp_path).ask("all")["plans"] == []
    assert len(list((tmp_path / "state").glob("plans.sqlite.damaged-*"))) == 1
