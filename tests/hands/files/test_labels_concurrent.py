"""Labels stay with what they are of while several act on one name, also where no filesystem keeps them."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk, labels_after_read, write_labelled

bin_folder = hand_module("files", "bin_folder")
Failure = hand_module("files", "main").Failure


def test_a_refused_move_takes_no_label_off(labelled_desk: Desk) -> None:
    write_labelled(labelled_desk, "root/a", "mail")
    write_labelled(labelled_desk, "root/b", "web")
    with pytest.raises(Failure):
        labelled_desk.ask("move", "root", source="a", target="b")
    assert "web" in labels_after_read(labelled_desk, "root/b")


def test_a_refused_move_of_a_folder_takes_no_label_off_beneath(labelled_desk: Desk) -> None:
    write_labelled(labelled_desk, "root/a/f", "mail", make_folders=True)
    write_labelled(labelled_desk, "root/b/f", "web", make_folders=True)
    with pytest.raises(Failure):
        labelled_desk.ask("move", "root", source="a", target="b")
    assert "web" in labels_after_read(labelled_desk, "root/b/f")


def meanwhile(desk: Desk, method: str, resource: str, *labels: str) -> set[str]:
    """A whole call by somebody else, from a thread of the disk's; the labels it brought."""
    call = FakeCall(resource, upload=[b"theirs"], labels=labels)
    asyncio.run(getattr(desk.hand, method)(call))
    return call.added


@pytest.mark.parametrize("first", [True, False])
def test_of_two_writes_at_once_the_later_ones_labels_stay(
    labelled_desk: Desk, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    desk = hand_module("files", "files_desk")
    real = desk.put

    def interposed(*arguments: object) -> None:
        monkeypatch.setattr(desk, "put", real)
        if first:
            meanwhile(labelled_desk, "write", "root/a")
            real(*arguments)
            assert meanwhile(labelled_desk, "read", "root/a") == {"web"}
        else:
            real(*arguments)
            meanwhile(labelled_desk, "write", "root/a", "chat")

    monkeypatch.setattr(desk, "put", interposed)  # a real writer would miss the instant
    write_labelled(labelled_desk, "root/a", "web")
    assert labels_after_read(labelled_desk, "root/a") == ({"web"} if first else {"chat"})


def test_what_is_read_has_its_own_labels_though_another_file_takes_its_name(
    labelled_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_labelled(labelled_desk, "root/a", "web")
    tree = labelled_desk.hand.tree
    real, wrote = tree.open_file, [("chat",)]

    def interposed(*arguments: object) -> int:
        fd: int = real(*arguments)
        if wrote:
            meanwhile(labelled_desk, "write", "root/a", *wrote.pop())
        return fd

    monkeypatch.setattr(tree, "open_file", interposed)  # a real writer would miss the instant
    call = FakeCall("root/a")
    labelled_desk.run(labelled_desk.hand.read(call))
    assert call.added == ({"web"} if call.body == b"x" else {"chat"})


def test_a_file_written_where_one_was_moved_away_keeps_its_labels(
    labelled_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = hand_module("files", "moving")
    real = moving.move

    def interposed(*arguments: object) -> None:
        real(*arguments)
        meanwhile(labelled_desk, "write", "root/a", "web")

    write_labelled(labelled_desk, "root/a", "mail")
    monkeypatch.setattr(moving, "move", interposed)  # a real writer would miss the instant
    labelled_desk.ask("move", "root", source="a", target="b")
    assert labels_after_read(labelled_desk, "root/a") == {"web"}
    assert labels_after_read(labelled_desk, "root/b") == {"mail"}


def test_what_is_deleted_just_after_it_was_replaced_has_its_labels_in_the_bin(
    labelled_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_labelled(labelled_desk, "root/a")
    real = bin_folder.delete

    def interposed(*arguments: object) -> dict[str, object]:
        meanwhile(labelled_desk, "write", "root/a", "web")
        made: dict[str, object] = real(*arguments)
        return made

    monkeypatch.setattr(bin_folder, "delete", interposed)  # a real writer would miss the instant
    labelled_desk.ask("delete", "root/a")
    assert labelled_desk.ask("bin", "root")["labels"] == {"web"}


def moved(desk: Desk, old: str, new: str) -> None:
    """A whole move by somebody else, from a thread of the disk's."""
    asyncio.run(desk.hand.move(FakeCall("root"), old, new))


def test_what_is_written_into_a_folder_that_moves_meanwhile_is_refused(labelled_desk: Desk, root: Path) -> None:
    """What is written down of it would stand under a name that it does not have."""

    async def upload() -> AsyncIterator[bytes]:
        yield b"from the web"
        await labelled_desk.hand.move(FakeCall("root"), "d", "m")

    (root / "d").mkdir()
    with pytest.raises(Failure) as failed:
        labelled_desk.run(labelled_desk.hand.write(FakeCall("root/d/f", upload=upload(), labels=["web"])))
    assert failed.value.code == "not found"
    assert os.listdir(root / "m") == []


def test_what_is_written_into_a_folder_just_before_it_moves_keeps_its_labels(
    labelled_desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = hand_module("files", "moving")
    real = moving.rename_flags

    def interposed(*arguments: object) -> None:
        meanwhile(labelled_desk, "write", "root/d/f", "web")
        real(*arguments)

    (root / "d").mkdir()
    monkeypatch.setattr(moving, "rename_flags", interposed)  # a real writer would miss the instant
    labelled_desk.ask("move", "root", source="d", target="m")
    assert labels_after_read(labelled_desk, "root/m/f") == {"web"}


@pytest.mark.parametrize("method", ["delete", "restore", "move"])
def test_what_lies_in_a_folder_that_moves_meanwhile_stays_where_it_is(
    labelled_desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    write_labelled(labelled_desk, "root/d/f", "web", make_folders=True)
    if method == "restore":
        labelled_desk.ask("delete", "root/d/f")
    module = hand_module("files", "moving") if method == "move" else bin_folder
    real = module.folder_lock

    def interposed(*arguments: object) -> AbstractContextManager[None]:
        monkeypatch.setattr(module, "folder_lock", real)
        moved(labelled_desk, "d", "m")
        made: AbstractContextManager[None] = real(*arguments)
        return made

    before = {"delete": {}, "restore": {}, "move": {"source": "f", "target": "g"}}[method]
    monkeypatch.setattr(module, "folder_lock", interposed)  # a real mover would miss the instant
    with pytest.raises(Failure) as failed:
        labelled_desk.ask(method, "root/d" if method == "move" else "root/d/f", **before)
    assert failed.value.code == "not found"
    assert os.listdir(root / "m") == ([] if method == "restore" else ["f"])
