"""What Hands plan and finish is listed, shown and taken out as it is, and shows nothing that is not there."""

from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.living import Source, write_hand

MAKER = Source(
    """
[hand]
name = "maker"
version = "1.0.0"
description = "Plans, makes and hands in."
entry = "main:Maker"
kind = "task"
autonomy = "full"

[capabilities]
"plan.set" = ["own"]
"plan.step" = ["own"]
"report.put" = ["own"]
"time.now" = ["*"]
""",
    """
from runtime import Hand


class Maker(Hand):
    async def run(self, title: str = "Weather") -> object:
        await self.kernel.call("plan.set", "own", steps=["measure", "write \\u202e"], title=title, name=self.run_id)
        await self.kernel.call("plan.step", "own", step=1, state="done", name=self.run_id)
        await self.kernel.call("time.now", zone="Europe/Berlin")
        return (await self.kernel.call("report.put", "own", title=title, text="# \\u00c4\\x1b[2J\\n")).value
""",
)


@pytest.fixture(scope="module")
def made(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The home after a Hand's plan and report."""
    shell.good("install", write_hand(tmp_path_factory.mktemp("makers") / "maker", MAKER), "--yes")
    shell.good("start", "maker", "--wait")
    return shell


def rows(shell: Shell, command: str) -> list[dict[str, object]]:
    """What a command lists."""
    found = shell.result(command)[command]
    assert isinstance(found, list)
    return found


@pytest.mark.wide
def test_a_plan_is_shown_with_how_far_it_is(made: Shell) -> None:
    shown = made.good("plans")
    assert "Weather  1 of 2" in shown
    assert (", maker, " in shown, "own/" in shown) == (True, False)
    assert "[x] 1. measure" in shown
    assert "[ ] 2. write" in shown
    assert "\u202e" not in shown
    (plan,) = rows(made, "plans")
    assert str(plan["namespace"]).startswith("own/h-")


def test_artefacts_are_listed_and_taken_out_by_the_beginning_of_their_id(made: Shell, tmp_path: Path) -> None:
    shown = made.good("artifacts")
    assert "text/markdown" in shown
    assert ("  maker  " in shown, "own/" in shown) == (True, False)
    assert "Weather" in shown
    (row,) = rows(made, "artifacts")
    made.good("artifacts", str(row["id"])[:6], "--to", tmp_path / "out.md")
    assert (tmp_path / "out.md").read_text() == "# Ä\x1b[2J\n"
    assert made.good("artifacts", str(row["id"])) == "# Ä\x1b[2J\n"  # stdout is no terminal, so the very bytes
    told = made.result("artifacts", str(row["id"]))
    assert (told["id"], told["type"], told["text"]) == (row["id"], "text/markdown", "# Ä\x1b[2J\n")
    assert made.result("artifacts", str(row["id"]), "--to", tmp_path / "again.md") == row  # its bytes are in the file
    made.good("call", "report.put", "own", "title=Raw", "type=application/x-raw", "--upload", "-", stdin=b"\xff\x00")
    raw = next(one for one in rows(made, "artifacts") if one["title"] == "Raw")
    assert made.result("artifacts", str(raw["id"]))["base64"] == "/wA="
    made.good("call", "report.remove", "own", f"id={raw['id']}")
    missing = made.run("artifacts", "zzz")
    assert (missing.code, "no artefact's id begins so" in missing.err) == (1, True)


def test_a_file_for_no_artefact_in_particular_is_not_written_and_not_passed_over(made: Shell, tmp_path: Path) -> None:
    ran = made.run("artifacts", "--to", str(tmp_path / "all"))
    assert (ran.code, "name what it is to hold" in ran.err, (tmp_path / "all").exists()) == (2, True, False), ran


def test_the_same_run_again_hands_in_nothing_twice(made: Shell) -> None:
    made.good("start", "maker", "--wait")
    assert len(rows(made, "artifacts")) == 1
    made.good("start", "maker", "title=Other", "--wait")
    assert len(rows(made, "artifacts")) == 2
    ambiguous = made.run("artifacts", "")
    assert (ambiguous.code, "the ids of several artefacts begin so" in ambiguous.err) == (1, True)
