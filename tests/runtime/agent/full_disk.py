"""Placing a skill on a disk that runs full (acts; a process of its own, with a small disk: tests/small_disk.py)."""

import sys
from pathlib import Path

from runtime.agent.placing import lay_out
from tests.small_disk import fill

FILES = {"a.txt": b"a", "deep/b.txt": b"b" * 4096, "deep/er/c.bin": b"\1" * (1 << 20), "z.txt": b"z"}


def main(disk: Path) -> None:
    """Nothing of the skill lies there until all of it does, and what lay there before is as it was."""
    scratch = disk / "scratch"
    mine = scratch / "skills" / "forms" / "deep" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    before = found(scratch)
    filler = fill(disk)
    with filler.open("r+b") as file:
        file.truncate(filler.stat().st_size - 500_000)  # room for the first files, and not for the third
    told = lay_out(scratch, "forms", FILES)
    assert (told.code, "the disk is full" in told.text) == ("files", True), told
    assert found(scratch) == before, sorted(found(scratch))
    filler.unlink()
    assert lay_out(scratch, "forms", FILES).code == ""
    assert {path: found(scratch)[f"skills/forms/{path}"] for path in FILES} == FILES


def found(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder; None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
