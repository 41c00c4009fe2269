"""A memory file at work while its power is cut, and what is found then; run by test_power_cut.py as a process of its own.

`python -m tests.memory.powerless FOLDER WORK EVERY`: forks children that do the work on a copy of one file, each through a
VFS of SQLite's that loses the power at one more step: before or after a write, a truncation or a sync. Then each write since
a file's last sync is on the disk or lost, as seed or chance says: all, none, or some, in whatever order. The file is opened
anew and looked at, and the work done to its end. Ends with 0 when all held, and says how many cuts there were.
"""

# ruff: noqa: N802  the methods of a VFS are named by SQLite

import os
import random
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from memory import checking, consolidation, fragments, indexing, keys, lines, upkeep, vectors
from memory.arrays import np
from memory.fragments import New
from memory.recall import Question, recall
from memory.store import Store
from tests.memory.clock import Clock

CUT: Final = 77
TEXTS: Final = tuple(
    f"Ada noted the {word} of ship {number}" for number in range(4) for word in ("name", "load", "crew")
)
TWINS: Final = tuple(f"Ada notes a {word} of ship {number}" for number in range(4) for word in ("name", "load"))
SECRET: Final = "a word that is forgotten: xylograph"


class Power:
    """Counts steps, and cuts at one. lost: which of the writes since a file's last sync are lost, "all", "none" or "some"."""

    def __init__(self, left: int, lost: str) -> None:
        self.left, self._lost, self._chance = left, lost, random.Random(left)
        self.files: dict[str, File] = {}

    def step(self) -> None:
        """One more; the last does not return."""
        if self.left == 0:
            for file in self.files.values():
                file.lose(self._keeps)
            os._exit(CUT)
        self.left -= 1

    def _keeps(self) -> bool:
        return self._lost == "none" or (self._lost == "some" and self._chance.random() < 0.5)


class Disk(apsw.VFS):
    """The machine's files, under that power."""

    def __init__(self, power: Power) -> None:
        self.power = power
        super().__init__("powerless", "unix", makedefault=True)

    def xOpen(self, name: "apsw.URIFilename | str | None", flags: list[int]) -> "File":
        return File(self.power, name, flags)


class File(apsw.VFSFile):
    """A file: what it has on disk, and what was written since."""

    def __init__(self, power: Power, name: "apsw.URIFilename | str | None", flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._power = power
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._since: list[tuple[int, bytes | None]] = []
        self._durable: bytes | None = None
        if self._path:
            power.files[self._path] = self

    def xWrite(self, content: bytes, offset: int) -> None:
        self._power.step()
        self._remember(offset, bytes(content))
        super().xWrite(content, offset)
        self._power.step()

    def xTruncate(self, size: int) -> None:
        self._power.step()
        self._remember(size, None)
        super().xTruncate(size)
        self._power.step()

    def xSync(self, flags: int) -> None:
        """What it has had so far is counted as on disk: that is enough here, and takes no time."""
        self._power.step()
        self._since, self._durable = [], None
        self._power.step()

    def _remember(self, at: int, content: bytes | None) -> None:
        if self._durable is None:
            self._durable = Path(self._path).read_bytes() if self._path else b""
        self._since.append((at, content))

    def lose(self, keeps: Callable[[], bool]) -> None:
        """What a disk has of it after a cut."""
        if self._durable is None or not self._path:
            return
        there = bytearray(self._durable)
        for at, content in self._since:
            if not keeps():
                continue
            if content is None:
                del there[at:]
                there.extend(bytes(at - len(there)))
            else:
                there.extend(bytes(max(0, at - len(there))))
                there[at : at + len(content)] = content
        Path(self._path).write_bytes(there)


class Calm(apsw.VFS):
    """The machine's files, never brought to disk: whoever looks at what is there after a cut loses nothing by that."""

    def __init__(self) -> None:
        super().__init__("calm", "unix", makedefault=True)

    def xOpen(self, name: "apsw.URIFilename | str | None", flags: list[int]) -> "Unsynced":
        return Unsynced("unix", name, flags)


class Unsynced(apsw.VFSFile):
    """See above."""

    def xSync(self, flags: int) -> None:
        """Not done."""


# works --------------------------------------------------------------------------------------------------------------


def opened(path: Path) -> Store:
    """The file, by a clock that stands still years after what it holds was stored."""
    return Store(path, now=Clock())


def embed(store: Store, name: str, most: int = 4) -> None:
    """Bring all that waits for a model its vectors, a few at a time, and let go of those of others."""
    model = vectors.register(store, name, 8)
    while texts := vectors.waiting(store, model, most):
        rows = np.array([_vector(name, one.text) for one in texts], np.float32)
        vectors.keep(store, model, [one.chunk for one in texts], rows)
    while vectors.discard(store, most):
        pass


def _vector(name: str, text: str) -> list[float]:
    chance = random.Random(f"{name} {text}")
    return [chance.uniform(-1, 1) for _ in range(8)]


def fill(path: Path) -> None:
    """What all works begin with: fragments with vectors of an earlier model, keys, and what is to be merged."""
    store = opened(path)
    for text in (*TEXTS, *TWINS, SECRET):
        fragments.add(store, "", New(text=text, labels=("web",)))
    keys.change(store, "", [keys.Change(key="k", value=b"\xcd\x00\x01")])
    embed(store, "m/1")
    store.close()


def re_embed(store: Store) -> None:
    embed(store, "m/2")


def consolidate(store: Store) -> None:
    after: int | None = 0
    while after is not None:
        after = consolidation.consolidate(store, after, 5).after


def reindex(store: Store) -> None:
    upkeep.reindex(store)


def take_in(store: Store) -> None:
    """Into a space of its own, where nothing is, or all of it is since it was cut."""
    told: list[bytes] = []
    lines.export_space(store, "", told.append)
    if not any(upkeep.totals(store, "session/x").values()):
        lines.import_space(store, "session/x", told)


def forget(store: Store) -> None:
    """What one looks for, found by its words; whoever was cut asks again, or finds that it is done."""
    for one in recall(store, "", Question(text="xylograph", most=1)).found:
        if one.fragment.text == SECRET:
            fragments.forget(store, "", one.fragment.number)
    written_after = keys.Change(key="after", value=b"\xc0")  # which empties the log if it has to be
    keys.change(store, "", [written_after])


WORKS: Final = {one.__name__: one for one in (re_embed, consolidate, reindex, take_in, forget)}


def state(store: Store) -> object:
    """What a memory holds, as whoever reads it sees it."""
    told = [[(one.number, one.text, one.state, one.successor, one.labels, one.seen, len(one.origins)) for one in
             fragments.listed(store, space, history=True, most=1_000)] for space in ("", "session/x")]  # fmt: skip
    model = vectors.registered(store, "m/2") or vectors.registered(store, "m/1")
    waits = len(vectors.waiting(store, model, 1_000)) if model is not None and model.current else -1
    return told, waits, [one.key for one in keys.listed(store, "")], store.rows("SELECT name, current FROM models")


def run_until(path: Path, work: Callable[[Store], None], left: int, lost: str) -> bool:
    """Do a work in a child whose power is cut at a step; whether it was cut before the end."""
    child = os.fork()
    if not child:
        code = 1
        try:
            disk = Disk(Power(left, lost))
            work(opened(path))
            code = 0 if disk.power.files else 1  # which also keeps it until here
        except Exception:  # noqa: BLE001 - whatever it was, the parent tells that there was something
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, CUT), (work, left, lost, code)
    return code == CUT


def look(path: Path, work: Callable[[Store], None], done: object) -> None:
    """What is found after a cut is whole, and the work, done again, comes to the same end as without a cut."""
    store = opened(path)
    assert checking.verify(store) == (), checking.verify(store)
    found = upkeep.check(store)
    assert (found.problems, found.mended) == ((), ()), found
    for one in fragments.listed(store, "", most=1_000):
        found_by = recall(store, "", Question(text=one.text, most=3)).found
        assert one.state != "live" or one.number in [hit.fragment.number for hit in found_by], one
    work(store)
    assert state(store) == done
    assert work is not re_embed or not indexing.is_waiting(store)
    store.close()
    if work is forget:
        held = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
        assert SECRET.encode() not in held  # of which single terms may stay (docs/memory.md)


def main(folder: Path, work: Callable[[Store], None], every: int) -> None:
    """Cut at every so many steps."""
    calm = Calm()
    begun, path, cuts = folder / "begun.db", folder / "one.db", 0
    fill(begun)
    shutil.copy(begun, path)
    store = opened(path)
    work(store)
    done = state(store)
    store.close()
    for lost in ("all", "none", "some"):
        left, is_cut = 0, True
        while is_cut:
            for one in folder.glob("one.db*"):
                one.unlink()
            shutil.copy(begun, path)
            is_cut = run_until(path, work, left, lost)
            look(path, work, done)
            left, cuts = left + every, cuts + is_cut
    calm.unregister()
    print(f"{cuts} cuts")


if __name__ == "__main__":
    main(Path(sys.argv[1]), WORKS[sys.argv[2]], int(sys.argv[3]))
