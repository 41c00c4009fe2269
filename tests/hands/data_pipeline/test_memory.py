"""Input larger than memory: 200 MB go through filter, sort and groups, and the process grows to a height and no further."""

import subprocess
import sys
from pathlib import Path

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
