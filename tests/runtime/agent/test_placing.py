"""A skill's files in a run's own folder: what is written, what is left, and what is not followed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runtime.agent.placing import lay_out, place
from runtime.agent.skills import Known
from tests.small_disk import on_small_disk

FILES = {"SKILL.md": b"---", "scripts/a.sh": b"echo a\n", "assets/deep/b": b"\xff"}


@contextmanager
def ending_within(seconds: int) -> Iterator[None]:
    """Fails after so long, also in a call of the system that would wait for ever."""

    def ring(number: int, frame: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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


@pytest.mark.parametrize("is_read", [False, True])
def test_a_pipe_that_a_script_left_in_a_files_place_holds_up_nobody_and_becomes_no_file(
    tmp_path: Path, is_read: bool
) -> None:
    folder = tmp_path / "skills" / "forms" / "scripts"
    folder.mkdir(parents=True)
    os.mkfifo(folder / ".a.sh.new")
    reader = os.open(folder / ".a.sh.new", os.O_RDONLY | os.O_NONBLOCK) if is_read else -1
    with ending_within(2):
        told = lay_out(tmp_path, "forms", FILES)
    assert told.code == ""
    assert [(path.name, path.is_file()) for path in folder.iterdir()] == [("a.sh", True)]
    if is_read:
        os.close(reader)


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside, scratch = tmp_path / "outside", tmp_path / "scratch"
    outside.mkdir()
    scratch.mkdir()
    (scratch / "skills").symlink_to(outside)
    told = lay_out(scratch, "forms", FILES)
    assert (told.code, told.trusted, "other files are in the way" in told.text) == ("files", True, True)
    assert list(outside.iterdir()) == []


def test_a_link_in_a_files_place_is_not_written_through(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "scratch" / "skills" / "forms" / "scripts"
    folder.mkdir(parents=True)
    victim.write_text("mine")
    (folder / "a.sh").symlink_to(victim)
    assert lay_out(tmp_path / "scratch", "forms", FILES).code == ""
    assert victim.read_text() == "mine"
    (folder / "a.sh").rename(folder / ".a.sh.new")
    assert lay_out(tmp_path / "scratch", "forms", FILES).code == ""
    assert victim.read_text() == "mine"
    assert not (folder / "a.sh").is_symlink()


def test_a_link_to_nowhere_in_a_files_place_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "skills" / "forms" / "scripts"
    folder.mkdir(parents=True)
    (folder / "a.sh").symlink_to(tmp_path / "nowhere")
    assert lay_out(tmp_path, "forms", FILES).code == ""
    assert (folder / "a.sh").is_symlink()


def test_what_is_laid_out_is_the_runs_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        lay_out(tmp_path, "forms", FILES)
    finally:
        os.umask(before)
    assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []


class Provider:
    """Answers a call of `skills.forms` as the Hand `skills` does: the files one after the other, then how long each is."""

    def __init__(self, *chunks: bytes, sizes: list[int]) -> None:
        self.chunks, self.told = list(chunks), {"files": ["a", "b"], "sizes": sizes}

    @asynccontextmanager
    async def stream(self, *asked: object, **bounds: float) -> AsyncIterator[Any]:
        assert asked == ("skills.forms", "", {"all": True})
        yield self

    async def read(self) -> bytes | None:
        return self.chunks.pop(0) if self.chunks else None

    @property
    def reply(self) -> Any:
        return SimpleNamespace(value=self.told)


def test_the_files_of_an_installed_skill_are_cut_from_one_answer_and_come_from_outside(tmp_path: Path) -> None:
    skill = Known(name="forms", description="d", method="skills.forms")
    provider: Any = Provider(b"on", b"etw", b"o", sizes=[3, 3])
    told = asyncio.run(place(provider, tmp_path, skill))
    assert (told.value, told.labels) == ({"folder": "skills/forms", "files": ["a", "b"]}, ("skill",))
    assert [(tmp_path / "skills" / "forms" / name).read_bytes() for name in "ab"] == [b"one", b"two"]
    with pytest.raises(ValueError, match="zip"):
        asyncio.run(place(cast("Any", Provider(b"one", sizes=[3])), tmp_path, skill))


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
