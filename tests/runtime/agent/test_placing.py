"""A skill's files in a run's own folder: what is written, what is left, and what is not followed."""

from pathlib import Path

from runtime.agent.placing import lay_out
from tests.small_disk import on_small_disk

FILES = {"SKILL.md": b"---", "scripts/a.sh": b"echo a\n", "assets/deep/b": b"\xff"}


def test_every_file_but_its_text_is_laid_out(tmp_path: Path) -> None:
    told = lay_out(tmp_path, "forms", FILES)
    assert (told.code, told.labels) == ("", ())
    assert told.value == {"folder": "skills/forms", "files": ["assets/deep/b", "scripts/a.sh"]}
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"skills/forms/scripts/a.sh": b"echo a\n", "skills/forms/assets/deep/b": b"\xff"}
    assert not any(path.stat().st_mode & 0o111 for path in tmp_path.rglob("*") if path.is_file())


def test_what_lies_there_already_stays_and_the_same_is_told(tmp_path: Path) -> None:
    first = lay_out(tmp_path, "forms", FILES)
    changed = tmp_path / "skills" / "forms" / "scripts" / "a.sh"
    changed.write_text("changed")
    (tmp_path / "skills" / "forms" / "assets" / "deep" / "b").unlink()
    assert lay_out(tmp_path, "forms", FILES) == first
    assert changed.read_text() == "changed"
    assert (tmp_path / "skills" / "forms" / "assets" / "deep" / "b").read_bytes() == b"\xff"


def test_what_was_half_written_when_its_process_was_killed_is_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "skills" / "forms" / "scripts"
    folder.mkdir(parents=True)
    (folder / ".a.sh.new").write_text("ec")
    assert lay_out(tmp_path, "forms", FILES).code == ""
    assert sorted(path.name for path in folder.iterdir()) == ["a.sh"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside, scratch = tmp_path / "outside", tmp_path / "scratch"
    outside.mkdir()
    scratch.mkdir()
    (scratch / "skills").symlink_to(outside)
    told = lay_out(scratch, "forms", FILES)
    assert (told.code, told.ours, "something else lies" in told.text) == ("files", True, True)
    assert list(outside.iterdir()) == []


def test_a_link_in_a_files_place_is_left_and_not_written_through(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "scratch" / "skills" / "forms" / "scripts"
    folder.mkdir(parents=True)
    victim.write_text("mine")
    (folder / "a.sh").symlink_to(victim)
    assert lay_out(tmp_path / "scratch", "forms", FILES).code == ""
    assert victim.read_text() == "mine"
    (folder / "a.sh").rename(folder / ".a.sh.new")
    assert lay_out(tmp_path / "scratch", "forms", FILES).code == "files"
    assert victim.read_text() == "mine"


def test_a_skill_without_files_has_nothing_to_lay_out(tmp_path: Path) -> None:
    assert lay_out(tmp_path, "forms", {"SKILL.md": b""}).code == "files"


def test_on_a_full_disk_nothing_of_a_skill_is_left(tmp_path: Path) -> None:
    on_small_disk(tmp_path, "tmpfs", "tests.runtime.agent.full_disk")


def test_where_one_file_cannot_be_written_none_is_and_what_was_there_stays(tmp_path: Path) -> None:
    folder = tmp_path / "skills" / "forms"
    folder.mkdir(parents=True)
    (folder / "scripts").write_text("no folder")
    assert lay_out(tmp_path, "forms", FILES).code == "files"
    assert [path.name for path in folder.iterdir()] == ["scripts"]
