"""./just bench [names…] [--rounds N] [--out DIR] [--fresh] [--large] [--set DIR]: measure, print the table, keep the samples.

The names are keys of BENCHES; without a name all but the LARGE ones run. --set adds a collection to `memory`, a folder
with documents.jsonl, queries.jsonl and judgements.tsv, as tests/bench/cranfield has them. Each run is written as
run-N.json, and the pages show every run in the folder; --fresh deletes the earlier ones first.
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
from tests.bench.report import pages, run_section
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
    """Measure what the command line names. Exit code 0 when every measured row meets its limit, 1 when one does not."""
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
    result = measure(names, options.rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        for old in options.out.glob("run-*.json"):
            old.unlink()
    write_run(options.out, result)
    return 0 if all(row.holds for row in result.rows) else 1


def measure(names: list[str], rounds: int) -> Result:
    """Run the named benches, each in a folder of its own in the directory for temporary files."""
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
        return Result(machine=machine.describe(Path(place), load), rows=tuple(rows), tables=tuple(tables))


def write_run(out: Path, result: Result) -> None:
    """Write this run as the next run-N.json, write the pages of all runs anew, and print this one."""
    numbers = [int(path.stem.removeprefix("run-")) for path in out.glob("run-*.json")]
    (out / f"run-{max(numbers, default=0) + 1}.json").write_bytes(msgspec.json.encode(result))
    paths = sorted(out.glob("run-*.json"), key=lambda path: int(path.stem.removeprefix("run-")))
    runs = [(path.stem, msgspec.json.decode(path.read_bytes(), type=Result)) for path in paths]
    for name, text in pages(runs):
        (out / name).write_text(text)
    print(run_section(*runs[-1]))


if __name__ == "__main__":
    sys.exit(main())
