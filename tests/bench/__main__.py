"""./just bench [names…] [--rounds N] [--out DIR] [--fresh] [--large] [--set DIR]: measure, print the table, keep the samples.

Names are those of BENCHES; none means all but the large ones. --set adds a collection to `memory`: documents.jsonl,
queries.jsonl and judgements.tsv, as in tests/bench/cranfield. Each run is kept as run-N.json, and the pages tell of all
that are kept; --fresh begins anew.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.bench import calls, footprint, logs, machine, memories, resuming, starts, web_pages
from tests.bench.report import one, pages
from tests.bench.samples import Result, Row, Table

BENCHES: Final[Mapping[str, Callable[[Path, int], Sequence[Row | Table]]]] = {
    "start": starts.kernel_start,
    "ps": starts.ps,
    "spawn": starts.spawn,
    "wasm": starts.wasm,
    "footprint": footprint.memory,
    "idle": footprint.idle,
    "call": calls.one_caller,
    "calls": calls.many_callers,
    "log": logs.log,
    "pages": web_pages.pages,
    "resume": resuming.resume,
    "journal": resuming.journal,
    "many": footprint.many,
    "memory": memories.memory,
    "recall": memories.recall,
    "crowd": memories.crowd,
    "million": memories.million,
}
LARGE: Final = ("many", "million")


def main() -> int:
    """Exit code 0 when every row that was measured is reached, 1 when one is not."""
    parser = argparse.ArgumentParser(prog="./just bench", description="Measure Maniple beside bare baselines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHES)}")
    parser.add_argument("--rounds", type=int, default=10, help="turns of ours and bare")
    parser.add_argument("--out", type=Path, default=Path("docs/bench"), help="where the table and the samples go")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that are kept there")
    parser.add_argument("--large", action="store_true", help=f"also {', '.join(LARGE)}")
    parser.add_argument("--set", type=Path, action="append", default=[], help="a further collection for `memory`")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"nothing is called {unknown[0]}: choose from {', '.join(BENCHES)}")
    names = options.names or [name for name in BENCHES if options.large or name not in LARGE]
    memories.FURTHER[:] = options.set
    result = measured(names, options.rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        for old in options.out.glob("run-*.json"):
            old.unlink()
    keep(options.out, result)
    return 0 if all(row.holds for row in result.rows) else 1


def measured(names: list[str], rounds: int) -> Result:
    """Do the named benches, each with a folder of its own on the disk where homes lie."""
    rows: list[Row] = []
    tables: list[Table] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="maniple-bench-") as place:
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            folder = Path(place, name)
            folder.mkdir()
            found = BENCHES[name](folder, rounds)
            tables += [table for table in found if isinstance(table, Table)]
            for row in found:
                if isinstance(row, Table):
                    continue
                print(f"  {row.value:.3g} of {row.limit:g}: {row.what}", file=sys.stderr)
                rows.append(row)
        return Result(machine=machine.described(Path(place), load), rows=tuple(rows), tables=tuple(tables))


def keep(out: Path, result: Result) -> None:
    """Add this run to those that are kept, and write the pages of all of them."""
    numbers = [int(path.stem.removeprefix("run-")) for path in out.glob("run-*.json")]
    (out / f"run-{max(numbers, default=0) + 1}.json").write_bytes(msgspec.json.encode(result))
    paths = sorted(out.glob("run-*.json"), key=lambda path: int(path.stem.removeprefix("run-")))
    runs = [(path.stem, msgspec.json.decode(path.read_bytes(), type=Result)) for path in paths]
    for name, text in pages(runs):
        (out / name).write_text(text)
    print(one(*runs[-1]))


if __name__ == "__main__":
    sys.exit(main())
