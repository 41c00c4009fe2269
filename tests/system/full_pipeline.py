"""A pipeline whose disk runs full while it works, and has room again; run by test_disk_full.py as a process.

`python -m tests.system.full_pipeline DISK`, in a mount namespace of its own; DISK is an empty mounted file system.
Ends with 0 when all held.
"""

import sys
from pathlib import Path
from typing import Any

from kernel.cli.client import Client
from tests.living import Kernel, make_home
from tests.small_disk import fill
from tests.system import chaos, fates
from tests.system.fates import begin, entries, entry, table, until
from tests.system.piped import add, furnish, ledger

STEPS = """
[steps.first]
hand = "worker"
with = { text = "first", seconds = 3 }
[steps.each]
hand = "worker"
for_each = ["a", "b"]
parallel = 2
with = { text = "each ${item}${default(steps.first.give, '')}" }
[steps.last]
hand = "worker"
needs = ["each"]
with = { text = "last" }
"""


def log_state(client: Client) -> str:
    """What the kernel says of its log."""
    return str(table(client.call("kernel.status").value)["log_state"])


def main(disk: Path) -> None:
    """No room while a step works: the next ones wait, and begin once when there is room again."""
    kernel = Kernel(make_home(disk / "home")).up()
    furnish(kernel)
    add(kernel, "filled", STEPS)
    with kernel.client() as client:
        run = begin(client, "filled")
        until(lambda: ledger(client) == ["book/a first"], "the first step works")
        filler = fill(disk)
        until(lambda: log_state(client) == "full", "there is no room")
        refused = entry(kernel.home, "refusal", run=run)
        assert (refused.method, refused.detail["code"]) == ("kernel.spawn", "log")
        assert [one.run for one in entries(kernel.home, "run.end") if one.run == run] == []
        filler.unlink()
        told: Any = chaos.outcome_of(kernel, run)
        assert told["outcome"] == "done", told
        lines = [line.partition(" ")[2] for line in ledger(client)]
        assert (lines[0], sorted(lines[1:3]), lines[3]) == ("first", ["each a", "each b"], "last")
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
