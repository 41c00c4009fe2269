"""Input larger than memory: 200 MB go through filter, sort and groups, and the process grows to a height and no further.

So do a join with many partners, and rows of long texts.
"""

import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hands.doubles import hand_module

rows, scratches, staging = (hand_module("data-pipeline", f"pipeline_{name}") for name in ("rows", "scratch", "staging"))

MEGABYTES = 200
GROWTH_MAX = 96  # MiB; SQLite's caches are full at about 68, from 200 MB of input to 800

SCRIPT = """
import re, sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.hands.data_pipeline.conftest import FakeKernel, FakeStream, Place
from runtime import Reply

place = Place(Path({work!r}))
row = ",".join(["{{0}}", "{{1}}", "x" * 380]) + "\\n"
part = "".join(row.format(n, n % 97) for n in range(1000, 1650)).encode()
count = {megabytes} * 1_000_000 // len(part)
status = Path("/proc/self/status")  # ru_maxrss would begin with that of the process which started this one
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) // 1024

class Endless(FakeStream):
    async def __anext__(self):
        if not self._read or not self._path.name == "in.csv":
            return await super().__anext__()
        if self._chunks == 40:
            print("early", peak())
        if self._chunks > count:
            self.reply = Reply(value={{"sha256": self._digest.hexdigest(), "changed": False}}, labels=(), cost=None)
            raise StopAsyncIteration
        chunk = part if self._chunks else b"n,k,text\\n"
        self._chunks += 1
        self._digest.update(chunk)
        return chunk

FakeKernel.stream = lambda self, method, resource, **a: Endless(self, method, resource, a.get("expect"))
place.put("in.csv", "")
result = place.job({{
    "source": {{"path": "data/in.csv"}},
    "steps": [
        {{"do": "filter", "where": "k < 90"}}, {{"do": "select", "columns": ["k", "n"]}}, {{"do": "sort", "by": ["k"]}},
        {{"do": "aggregate", "by": ["k"], "columns": {{"c": "count()", "m": "median(n)", "d": "count_distinct(n)"}}}},
    ],
    "target": {{"path": "data/out.csv"}},
}})
assert result["bytes_read"] > {megabytes} * 990_000, result["bytes_read"]
assert result["rows_read"] == count * 650
print("late", peak())
"""


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    script = SCRIPT.format(path=sys.path, work=str(tmp_path), megabytes=MEGABYTES)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    peaks = dict(line.split() for line in ended.stdout.splitlines())
    assert int(peaks["late"]) - int(peaks["early"]) < GROWTH_MAX, peaks
    assert int(peaks["late"]) < MEGABYTES, peaks


STAGED_MAX = 12  # MiB; what a join remembers and two batches take 8 at most, all rows together 18 or more
STAGED = {"many": (80, 700, "x" * 200), "one": (1, 56_000, "x" * 200), "wide": (1_000, 2, "x" * 20_000)}
"""How many keys there are, how many rows of each, and a text in each row."""


@pytest.fixture(params=STAGED)
def staged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, int]]:
    """The rows in the scratch database, and how many keys they have."""
    keys, count, text = STAGED[request.param]
    scratch = scratches.Scratch(str(tmp_path / "scratch.db"))
    stage = scratch.table([rows.Column("k", "int"), rows.Column("n", "int"), rows.Column("t", "text")])
    for first in range(count):
        numbers = range(first * keys, (first + 1) * keys)
        stage.add(rows.Batch([list(range(keys)), list(numbers), [text] * keys], numbers))
    yield stage, keys
    scratch.close()


def peak_of(batches: Iterable[Any]) -> tuple[int, int]:
    """Rows that come in batches, and MiB that were in use meanwhile."""
    tracemalloc.start()
    try:
        return sum(batch.size for batch in batches), tracemalloc.get_traced_memory()[1] >> 20
    finally:
        tracemalloc.stop()


@pytest.mark.wide
def test_memory_of_a_join_does_not_grow_with_the_partners(
    staged: tuple[Any, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "PARTNERS_KEPT", 10_000)
    stage, keys = staged
    joined = staging.Joined([rows.Column("k", "int")], [0], stage, [0], [(1, "n"), (2, "t")], "drop")
    batch = rows.Batch([list(range(keys))], range(keys))
    found, peak = peak_of(joined.feed(batch, rows.Ledger(lambda _: None)))
    assert found == next(stage.rows("SELECT count(*) FROM {t}"))[0]
    assert peak < STAGED_MAX, f"{peak} MiB"


@pytest.mark.wide
def test_memory_of_rows_that_waited_does_not_grow_with_their_texts(staged: tuple[Any, int]) -> None:
    stage, _ = staged
    found, peak = peak_of(stage.batches("c1"))
    assert found == next(stage.rows("SELECT count(*) FROM {t}"))[0]
    assert peak < STAGED_MAX, f"{peak} MiB"
