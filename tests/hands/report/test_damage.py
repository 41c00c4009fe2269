"""Damage to the artefacts' files is found, told, and costs no bytes that are whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import table_file
from tests.hands.report.test_report import Desk, main


@pytest.mark.parametrize("harm", ["front", "middle", "gone"])
def test_a_damaged_file_is_set_aside_with_all_bytes_and_a_new_one_begun(tmp_path: Path, harm: str) -> None:
    desk = Desk(tmp_path)
    ids = {str(desk.put(b"%d" % number, title="x" * 300)["id"]) for number in range(40)}
    desk.run(desk.hand.stop())
    path = tmp_path / "state" / "artefacts.sqlite"
    raw, where = path.read_bytes(), {"front": 0, "middle": 9_000}.get(harm, -1)
    if where < 0:
        path.unlink()
    else:
        path.write_bytes(raw[:where] + b"\xaa" * 3_000 + raw[where + 3_000 :])
    desk = Desk(tmp_path)
    assert desk.ask("list") == {"artifacts": [], "more": False}
    one = str(desk.put(b"new")["id"])
    (aside,) = (tmp_path / "state").glob("bytes.damaged-*")
    assert {each.name for each in aside.iterdir()} == ids
    assert len(list((tmp_path / "state").glob("artefacts.sqlite.damaged-*"))) == (where >= 0)
    desk.run(desk.hand.stop())
    listed = Desk(tmp_path).ask("list")["artifacts"]
    assert [each["id"] for each in listed] == [one]  # type: ignore[attr-defined]


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "folder", "title"])
def test_an_artefact_that_is_not_as_it_was_put_is_told_as_damaged(tmp_path: Path, harm: str) -> None:
    desk = Desk(tmp_path)
    one = str(desk.put(b"hello")["id"])
    path = tmp_path / "state" / "bytes" / one
    match harm:
        case "flipped":
            path.write_bytes(b"hullo")
        case "cut":
            path.write_bytes(b"hel")
        case "title":
            desk.hand.shelf._file.execute("update artefacts set title = 'Repost'")
        case _:
            path.unlink()
            if harm == "folder":
                path.mkdir()
    with pytest.raises(main.Failure, match=f"{one} .*put it again, or restore .*{one}") as failed:
        desk.read(one)
    assert failed.value.code == "damaged"


def test_a_wrong_byte_in_an_id_costs_no_bytes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ids = {str(desk.put(b"%d" % number)["id"]) for number in range(3)}
    desk.hand.shelf._file.execute(f"update artefacts set id = '{min(ids)[:-1]}x' where id = '{min(ids)}'")
    desk.run(desk.hand.stop())
    (tmp_path / "state" / "bytes" / "0.part").touch()
    desk = Desk(tmp_path)
    assert {path.name for path in (tmp_path / "state" / "bytes").iterdir()} == ids
    assert "damaged" in str(desk.ask("all", "")["problems"])


def test_bytes_that_are_no_folder_are_set_aside(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.put(b"old")
    desk.run(desk.hand.stop())
    shutil.rmtree(tmp_path / "state" / "bytes")
    (tmp_path / "state" / "bytes").touch()
    desk = Desk(tmp_path)
    assert "bytes.damaged-" in str(desk.ask("all", "")["problems"])
    assert desk.read(desk.put(b"new")["id"])[0] == b"new"


@pytest.mark.parametrize("column", ["id", "title"])
def test_a_text_with_a_wrong_byte_is_damage(tmp_path: Path, column: str) -> None:
    desk = Desk(tmp_path)
    ids = {str(desk.put(b"%d" % number)["id"]) for number in range(3)}
    desk.hand.shelf._file.execute(f"update artefacts set {column} = cast(x'ff' as text) where id = '{min(ids)}'")
    desk.run(desk.hand.stop())
    desk = Desk(tmp_path)
    assert desk.ask("list") == {"artifacts": [], "more": False}
    (aside,) = (tmp_path / "state").glob("bytes.damaged-*")
    assert {each.name for each in aside.iterdir()} == ids


@pytest.mark.parametrize("harm", ["damaged", "gone", "empty"])
def test_a_kill_while_a_file_is_begun_anew_costs_no_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """And a file that a power cut left empty is no more than one that is gone."""
    desk = Desk(tmp_path)
    ids = {str(desk.put(b"%d" % number)["id"]) for number in range(3)}
    desk.run(desk.hand.stop())
    state = tmp_path / "state"
    path = state / "artefacts.sqlite"
    path.unlink() if harm == "gone" else path.write_bytes(b"\xaa" * 8_192 if harm == "damaged" else b"")

    def kept() -> set[str]:
        return {each.name for folder in state.glob("bytes*") for each in folder.iterdir()}

    with monkeypatch.context() as patched:  # the process is gone as soon as its new table is there
        patched.setattr(table_file, "_opened", killed_after(table_file._opened))
        with pytest.raises(KeyboardInterrupt):
            Desk(tmp_path)
    assert kept() == ids
    Desk(tmp_path)
    assert kept() == ids


def killed_after(opened: Callable[..., object]) -> Callable[..., object]:
    def run(*given: object) -> object:
        opened(*given)
        raise KeyboardInterrupt

    return run
