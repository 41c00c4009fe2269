"""`maniple memory` for texts: people search them, list, forget, take away and bring back what was stored."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Shell
from tests.system.fates import until

TEXTS = ("I bought an automobile yesterday.", "The bakery opens at eight.", "Whales are mammals.")


@pytest.fixture(scope="module", autouse=True)
def remembered(shell: Shell) -> Iterator[None]:
    """The operator remembers three texts, and what one of them was before."""
    for text in TEXTS:
        shell.good("call", "memory.store", "own", f"text={text}", "kind=diary")
    shell.good("call", "memory.store", "own", "text=The bakery opens at nine.", "supersedes=2", "kind=diary")
    until(lambda: stats(shell)["waiting"] == 0, "vectors")
    yield
    shell.good("call", "memory.erase", "own")


def stats(shell: Shell, *words: str) -> Any:
    found: Any = shell.result("memory", "stats", *words)["memories"]
    return found["own/operator"] if not words else next(iter(found.values()))


def found(shell: Shell, *words: str) -> list[Any]:
    rows: Any = shell.result("memory", "search", *words)["results"]
    return list(rows)


def listed(shell: Shell, *words: str) -> list[tuple[int, str]]:
    rows: Any = shell.result("memory", "list", "--texts", *words)["fragments"]
    return [(row["fragment"], row["state"]) for row in rows]


def test_a_text_is_found_by_its_meaning_and_the_search_says_why(shell: Shell) -> None:
    assert found(shell, "a car")[0]["text"] == TEXTS[0]
    assert found(shell, "--most", "1", "--explain", "whale")[0]["words"]["matched"] == 1
    drawn = shell.good("memory", "search", "a car").splitlines()
    assert drawn[0].split() == ["NUMBER", "OF", "SCORE", "TEXT"]
    assert drawn[1].endswith(TEXTS[0])
    why = shell.good("memory", "search", "whale", "--explain")
    assert "3: Whales are mammals.\n" in why
    assert "words: no. 1 with " in why
    assert "; meaning: no. 1 with " in why
    assert why.splitlines()[-1] == "    whale: in 1"
    none = shell.run("memory", "search", "a car", "--shared", "empty")
    assert (none.code, none.out, none.err) == (0, "", "Nothing was found.\n")


def test_texts_are_counted_and_listed_with_their_history(shell: Shell) -> None:
    assert (stats(shell)["fragments"], stats(shell)["history"]) == (3, 1)
    assert listed(shell) == [(1, "live"), (3, "live"), (4, "live")]
    assert (2, "superseded") in listed(shell, "--history", "diary")
    assert listed(shell, "note") == []
    assert "4 " in shell.good("memory", "list", "--texts")
    more = shell.run("memory", "list", "--texts", "--history", "--most", "1").err
    assert "There are more: `maniple memory list --texts --history --most 10`" in more
    assert "There is no such text." in shell.run("memory", "list", "--texts", "note").err
    ran = shell.run("memory", "list", "--history")
    assert (ran.code, "keys have no history: give --texts too" in ran.err) == (2, True)


def test_texts_are_exported_with_their_history_and_come_back_the_same(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    shell.good("memory", "export", file)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["fragment"]["state"] for line in lines if "fragment" in line] == ["live", "superseded", "live", "live"]
    shell.result("memory", "import", file, "--session", "cli/mail/-/ada")
    assert shell.good("memory", "export", "--session", "cli/mail/-/ada") == file.read_text()
    until(lambda: stats(shell, "--session", "cli/mail/-/ada")["waiting"] == 0, "vectors")
    assert found(shell, "a car", "--session", "cli/mail/-/ada")[0]["text"] == TEXTS[0]


def test_a_copy_brings_texts_back_and_what_was_indexed_anew_is_found_as_before(shell: Shell, tmp_path: Path) -> None:
    copy = tmp_path / "own.db"
    before = [row["fragment"] for row in found(shell, "a car")]
    shell.result("memory", "backup", copy)
    shell.result("memory", "forget", "1")
    gone = shell.run("memory", "forget", "1")
    assert (gone.code, "there is no fragment 1 here" in gone.err) == (1, True)
    assert 1 not in [row["fragment"] for row in found(shell, "a car")]
    shell.result("memory", "restore", copy, "--yes")
    shell.good("memory", "reindex")
    until(lambda: stats(shell)["waiting"] == 0, "vectors")
    assert [row["fragment"] for row in found(shell, "a car")] == before
    assert "you, the operator: whole" in shell.good("memory", "verify")


def test_what_is_said_twice_is_merged_and_nothing_is_lost(shell: Shell) -> None:
    on = ("--shared", "twice")
    for text in ("They pay bills, twice.", "They pay the bill twice."):
        shell.good("call", "memory.store", "shared/twice", f"text={text}")
    told: Any = shell.result("memory", "consolidate", *on)["memories"]
    assert told == {"shared/twice": {"looked": 2, "merged": 1, "promoted": 0, "archived": 0}}
    assert listed(shell, "--history", *on) == [(1, "live"), (2, "archived")]
    assert "shared/twice" in shell.good("memory", "consolidate")
    shell.good("memory", "erase", *on, "--yes")
