"""What `./just demo` runs (acts): a home, Hands on real input, a pipeline whose kernel is killed, their log and its proof.

Everything is done by the command line, as separate processes, and shown as it is typed, so that a reader can do the
same. Long results are shown by their beginning.
Nothing outside a temporary folder is touched, and nothing is left behind.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
MANIPLE: Final = [sys.executable, "-I", str(ROOT / "kernel" / "cli" / "__main__.py")]
WATCH: Final = 6.0
"""Seconds for which `monitoring` watches this machine."""

BROKEN: Final = (
    "2016/02/30,0.0,12.8,5.0,4.7,sun\n",  # no such day
    "2016/01/02,a lot,10.6,2.8,4.5,rain\n",  # not a number
    "2016/01/03,1.0,11.7,7.2,2.3,hail\n",  # a kind of weather that the schema does not know
)


MODELS: Final = {
    "anthropic": ("ANTHROPIC_API_KEY", "claude-haiku-4-5"),
    "openai": ("OPENAI_API_KEY", "gpt-5.4-mini"),
}
"""Providers whose key may be in the environment, and the model that thinks then."""


class Demo:
    """One walk through. folder: where everything is; took: seconds of each part that is over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "data"
        self.environment = {**os.environ, "MANIPLE_HOME": str(folder / "home")}
        self.took: dict[str, float] = {}

    @contextmanager
    def part(self, title: str, words: str) -> Iterator[None]:
        """One part, announced, and timed."""
        mark = _bold(f"{len(self.took) + 1}. {title}")
        print(f"\n{mark}\n{words}\n", flush=True)
        began = time.monotonic()
        yield
        self.took[title] = time.monotonic() - began
        print(f"   ({self.took[title]:.1f} s)", flush=True)

    def maniple(self, *words: str, code: int = 0, most: int = 40) -> str:
        """Run a command in sight, with at most so many lines; what it printed. RuntimeError when it ends as it should not."""
        print(_bold("$ maniple " + " ".join(map(_typed, words))), flush=True)
        done = subprocess.run(
            [*MANIPLE, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = done.stdout.splitlines()
        print("\n".join([*lines[:most], *([f"… and {len(lines) - most} more lines"] if len(lines) > most else []), ""]))
        if done.returncode != code:
            raise RuntimeError(f"maniple {' '.join(words)} ended with {done.returncode}, and not with {code}")
        return done.stdout

    def query(self, sql: str) -> None:
        """Show rows of the database that the pipeline loaded."""
        print(_bold(f'$ sqlite3 data/weather.db "{sql}"'), flush=True)
        with closing(sqlite3.connect(f"file:{self.files / 'weather.db'}?mode=ro", uri=True)) as database:
            cursor = database.execute(sql)
            rows = [[str(column[0]) for column in cursor.description], *(list(map(_cell, row)) for row in cursor)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        print(flush=True)

    # the parts ------------------------------------------------------------------------------------------------------

    def home(self) -> None:
        with self.part("A home and its kernel", "Fresh keys, a log, the bundled Hands sealed and installed."):
            self.maniple("init")
            self.maniple("up")

    def watch(self) -> None:
        with self.part(
            "A Hand that watches this machine",
            f"`monitoring` measures nothing itself. It calls the Hand `machine` each second, here for {WATCH:.0f} seconds.",
        ):
            self.maniple("settings", "monitoring", "interval=1s", most=3)
            self.maniple("start", "monitoring")
            time.sleep(WATCH)
            self.maniple("call", "monitoring.report", most=24)
            self.maniple("call", "monitoring.history", "machine", "metric=cpu_percent", "since=1m", "points=6", most=30)

    def load(self) -> None:
        with self.part(
            "A Hand that loads rows",
            "1,461 days of weather at Seattle, and three lines that are broken on purpose, into SQLite.",
        ):
            self.files.mkdir()
            for name in ("seattle-weather.csv", "weather.toml"):
                shutil.copy(HERE / name, self.files / name)
            with (self.files / "seattle-weather.csv").open("a") as file:
                file.writelines(BROKEN)
            self.maniple("roots", "add", "data", str(self.files))
            self.maniple("start", "data-pipeline", "spec=data/weather.toml", "--wait", most=12)
            self.query(
                "SELECT weather, sum(days) AS days, round(sum(precipitation)) AS rain_mm, max(warmest) AS warmest, "
                "min(coldest) AS coldest FROM monthly GROUP BY weather"
            )
            self.query(
                "SELECT year, month, weather, days, round(precipitation, 1) AS rain_mm FROM monthly "
                "WHERE year = 2015 AND month <= 3 ORDER BY month, weather"
            )
            print("And the rejected rows, each with its reason:\n")
            self.query("SELECT * FROM monthly_rejected")

    def pipe(self) -> None:
        with self.part(
            "A pipeline of Hands, by the clock, and a kernel that is killed",
            "What `monitoring` measured goes into a CSV, `data-pipeline` adds it up, and a page is written from that: three "
            "runs, one after the other.\nThe pipeline itself may only start them, and lends them what they may do. It starts "
            "every 5 seconds; in the middle of one run the kernel gets SIGKILL.",
        ):
            watch = HERE / "watch"
            shutil.copy(watch / "samples.toml", self.files / "samples.toml")
            self.maniple("install", str(watch / "clerk"), "--yes", most=1)
            self.maniple("pipeline", "add", str(watch / "machine-report.pipeline.toml"), "--yes", most=16)
            self.maniple("schedules")
            kernel = json.loads(self.quiet("status", "--json"))["pid"]
            run = self.killed(kernel)
            self.maniple("up")
            self.wait(run)
            self.maniple("pause", "machine-report")
            self.maniple("audit", "search", "--run", run, "--kind", "run.*")
            self.maniple("audit", "search", "--run", run, "--kind", "call", "--method", "run")
            print(f"{self.once(run)}\n", flush=True)
            self.maniple("pipeline", "show", "machine-report", "--run", run)
            print((self.files / "machine.md").read_text(), flush=True)

    def killed(self, kernel: int) -> str:
        """Kill the kernel as soon as the first step of a scheduled run of the pipeline is at work; that run.

        Which one it is, is asked afterwards: the step takes three seconds, and a command may take one.
        """
        step = self.looked(lambda: self.log("--hand", "clerk", "--kind", "call", "--method", "kernel.sleep"))[-1]
        print(_bold(f"$ kill -9 {kernel}") + "\n", flush=True)
        os.kill(kernel, signal.SIGKILL)
        begun = self.log("--hand", "machine-report", "--kind", "run.start")
        return str([one for one in begun if one["seq"] < step["seq"]][-1]["run"])

    def wait(self, run: str) -> None:
        """Until a run has ended, whichever kernel it began under."""
        self.looked(lambda: self.log("--run", run, "--kind", "run.end"))

    def once(self, run: str) -> str:
        """That each step of a run of the pipeline began one run, as the log has it. Raises RuntimeError if not."""
        notes = [row["why"] for row in self.log("--run", run, "--kind", "note")]
        begun = [note.partition(": run ")[0] for note in notes if ": run " in note]
        works = [row["call"] for row in self.log("--run", run, "--kind", "call", "--method", "run")]
        lives = len(self.log("--run", run, "--kind", "run.start"))
        if sorted(begun) != ["load", "report", "sample"] or len(works) != 3 or lives < 2:
            raise RuntimeError(f"{begun} began {len(works)} runs in {lives} lives")
        return f"{lives} lives of one run; sample, load and report began one run each. None ran twice."

    def log(self, *words: str) -> list[dict[str, Any]]:
        """Entries of the log."""
        return [json.loads(line) for line in self.quiet("audit", "search", *words, "--json").splitlines()]

    def quiet(self, *words: str, typed: str = "") -> str:
        """What a command prints, out of sight. typed: what it reads. Raises RuntimeError when it does not succeed."""
        done = subprocess.run(
            [*MANIPLE, *words], env=self.environment, input=typed, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"`maniple {' '.join(words)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def looked(self, look: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Entries, as soon as there are any. Raises RuntimeError when there are none in time."""
        for _ in range(200):
            if found := look():
                return found
            time.sleep(0.05)
        raise RuntimeError("what was waited for did not come")

    def think(self) -> None:
        with self.part(
            "A Hand that thinks",
            "docs/demo/reporter has no code, but a playbook; its tools are the methods that it is granted. It makes a plan, "
            "reads a table and writes a report.\nIf no language model is set up, it does what its task.json declares, and "
            "says so. If ANTHROPIC_API_KEY or OPENAI_API_KEY is set, a model of that provider thinks.",
        ):
            source = json.dumps({"path": "data/weather.db", "table": "monthly"})
            self.maniple("start", "data-pipeline", f"source:={source}", "target=data/monthly.csv", "--wait", most=4)
            self.maniple("install", str(HERE / "reporter"), "--yes", most=1)
            self.give_key()
            self.maniple("ask", "--hand", "reporter", "Write a report on the weather in data/monthly.csv.", most=16)
            self.maniple("plans")
            self.maniple("artifacts", most=6)
            self.maniple("artifacts", self.made(), most=14)

    def made(self) -> str:
        """The id of what was handed in last. Raises RuntimeError when nothing was: a model may end without a report."""
        if not (rows := json.loads(self.quiet("artifacts", "--json"))["artifacts"]):
            raise RuntimeError("the Hand that thinks handed in no report; without a provider's key it always does")
        return str(rows[0]["id"])

    def give_key(self) -> None:
        """Let a provider's model think, where its key is in the environment."""
        for provider, (variable, model) in MODELS.items():
            if key := os.environ.get(variable):
                self.maniple("settings", "model", f'routes:={{"default": ["{provider}/{model}"]}}', most=2)
                self.quiet("settings", "model", "--secret", f"{provider}_key", typed=f"{key}\n")
                return

    def look(self) -> None:
        with self.part("What runs", "Each run is a separate process. A task's run ends with its work."):
            self.maniple("ps")
            self.maniple("runs")

    def refuse(self) -> None:
        private = self.folder / "private"
        private.mkdir()
        (private / "salaries.csv").write_text("name,salary\nAda,1\n")
        with self.part(
            "An attempt to read outside of a grant",
            "There is another named folder, `private`. data-pipeline may read only `data/**`.",
        ):
            self.maniple("roots", "add", "private", str(private))
            self.maniple(
                "start", "data-pipeline", "source=private/salaries.csv", "target=data/stolen.csv", "--wait", code=1
            )
            self.maniple("audit", "search", "--verdict", "refused")

    def confine(self) -> None:
        with self.part(
            "A Hand that bypasses the bus",
            "docs/demo/outlaw does not ask the kernel: it calls the operating system itself. But its run is confined.",
        ):
            self.maniple("install", str(HERE / "outlaw"), "--yes", most=3)
            run = self.maniple("start", "outlaw", f"home={self.folder / 'home'}", "--wait").split()[0]
            self.maniple("run-show", run, most=9)

    def prove(self) -> None:
        with self.part("The log, and its proof", "It holds every call. To check it you need only a public key."):
            self.maniple("audit", "tail", "-n", "8")
            self.maniple("audit", "verify")

    def down(self) -> None:
        with self.part("Down", "In order: first runs, then the services that they need, then the kernel."):
            self.maniple("down")
            self.maniple("audit", "verify")

    def everything(self) -> None:
        """All parts, in order."""
        first = (self.home, self.watch, self.load, self.pipe, self.think)
        for part in (*first, self.look, self.refuse, self.confine, self.prove, self.down):
            part()


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _typed(word: str) -> str:
    return f"'{word}'" if any(char in word for char in " *'\"$") else word


def _bold(text: str) -> str:
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        return f"\033[1m{text}\033[0m"
    return text


def main() -> int:
    """Walk through; 1 when a part did not go as it should."""
    began = time.monotonic()
    print("Maniple: Hands are separate processes under a small kernel, which checks and logs every call.")
    with tempfile.TemporaryDirectory(prefix="maniple-demo-") as name:
        demo = Demo(Path(name))
        try:
            demo.everything()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads on
            return 1
        except (RuntimeError, OSError, sqlite3.Error, KeyboardInterrupt) as error:
            print(f"\nThe demo stopped: {str(error) or 'interrupted'}", file=sys.stderr)
            return 1
        finally:
            if "Down" not in demo.took:
                subprocess.run([*MANIPLE, "down"], env=demo.environment, capture_output=True, check=False)
    print(f"\n{_bold('How long each part took')}")
    for title, seconds in demo.took.items():
        print(f"{seconds:6.1f} s  {title}")
    print(f"{time.monotonic() - began:6.1f} s  in all. Your own home: `maniple init`, then `maniple --help`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
