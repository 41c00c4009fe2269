"""`maniple memory`: people look at what is remembered, check it, take it away and bring it back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Shell, is_one_clear_line
from tests.living import Source, write_hand

KEEPER = Source(
    """
[hand]
name = "keeper"
version = "1.0.0"
description = "Remembers what it is told."
entry = "main:Keeper"
kind = "task"
autonomy = "full"

[capabilities]
"memory.set" = ["own", "session/**"]
"memory.session.append" = ["session/**"]
""",
    """
from runtime import Hand


class Keeper(Hand):
    async def run(self, key: str, value: str, on: str = "own") -> object:
        await self.kernel.call("memory.set", on, key=key, value=value)
        if on != "own":
            await self.kernel.call("memory.session.append", on, messages=[{"role": "user", "text": value}])
""",
)
CHAT = "bot/mail/-/ada"


@pytest.fixture(scope="module", autouse=True)
def keeper(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Hand that remembers, by its id; nothing else does before."""
    folder = write_hand(tmp_path_factory.mktemp("keeper") / "keeper", KEEPER)
    shell.good("install", folder, "--yes")
    remember(shell, "colour", "blue")
    remember(shell, "mood", "fine", f"session/{CHAT}")
    shown: Any = shell.result("show", "keeper")
    yield str(shown["hand"]["id"])
    shell.run("remove", "keeper", "--purge", "--yes")


def remember(shell: Shell, key: str, value: str, on: str = "own") -> None:
    shell.good("start", "keeper", f"key={key}", f"value={value}", f"on={on}", "--wait")


def memories(shell: Shell, *words: str) -> dict[str, Any]:
    found: Any = shell.result("memory", "stats", *words)["memories"]
    return dict(found)


def value(shell: Shell, *words: str) -> object:
    return shell.result("memory", "get", *words)["value"]


def test_a_hands_memory_is_looked_at_by_its_name_and_by_its_id(shell: Shell, keeper: str) -> None:
    assert value(shell, "colour", "--hand", "keeper") == "blue"
    assert value(shell, "colour", "--hand", keeper) == "blue"
    assert value(shell, "mood", "--hand", "keeper", "--session", CHAT) == "fine"
    keys: Any = shell.result("memory", "list", "--hand", "keeper")["keys"]
    assert [row["key"] for row in keys] == ["colour"]


def test_what_is_not_shown_is_to_be_found_by_the_next_line(shell: Shell, keeper: str) -> None:
    none = shell.run("memory", "list", "--hand", "keeper", "--session", "keeper/cli/none/ann").err
    assert "`maniple memory export --hand keeper --session keeper/cli/none/ann`" in none
    assert "`maniple memory list --texts --shared bare`" in shell.run("memory", "list", "--shared", "bare").err


def test_all_memories_are_shown_with_the_names_of_their_hands(shell: Shell, keeper: str) -> None:
    found = memories(shell)
    assert found[f"own/{keeper}"]["keys"] == 1
    assert found[f"own/{keeper}"]["bytes"] > 0
    assert memories(shell, "--hand", "keeper", "--session", CHAT)[f"own/{keeper}/session/{CHAT}"]["messages"] == 1
    assert "keeper " in shell.good("memory", "stats")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("get", "nothing", "--hand", "keeper"), 1, "'nothing' here: see `maniple memory list --hand keeper`\n"),
        (
            ("forget", "9", "--hand", "keeper"),
            1,
            "there is no fragment 9 here: see `maniple memory list --texts --hand",
        ),
        (("get", "x", "--hand", "nobody"), 1, "no Hand 'nobody' is installed"),
        (("get", "x", "--shared", "Team"), 2, "is not the name of a memory: a shared space's name"),
        (("get", "x", "--session", "a/b"), 2, "a session's key has four parts"),
        (("erase",), 2, "say whose memory to erase"),
        (("export", "-"), 2, "no new file is called -"),
        (("backup", "-"), 2, "no new file is called -"),
    ],
)
def test_what_cannot_be_meant_is_said(shell: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    ran = shell.run("memory", *words)
    assert ran.code == code
    assert said in ran.err


def test_lines_that_were_exported_are_imported_elsewhere(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "chat.jsonl"
    assert f"{file} holds" in shell.run("memory", "export", file, "--hand", "keeper", "--session", CHAT).err
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert (lines[0], lines[-1]) == ({"format": "maniple-memory/2"}, {"end": len(lines) - 1})
    assert shell.good("memory", "export", "--hand", "keeper", "--session", CHAT) == file.read_text()
    shell.good("memory", "import", "-", "--shared", "taken-over", stdin=file.read_bytes())
    assert value(shell, "mood", "--shared", "taken-over") == "fine"
    assert shell.good("memory", "export", "--shared", "taken-over") == file.read_text()
    again = shell.run("memory", "import", file, "--shared", "taken-over")
    assert (again.code, "there is something here already" in again.err) == (1, True)
    asked = shell.run("memory", "erase", "--shared", "taken-over")
    assert (asked.code, "`maniple memory erase --shared taken-over --yes` does not ask" in asked.err) == (2, True), (
        asked
    )
    assert value(shell, "mood", "--shared", "taken-over") == "fine"
    shell.good("memory", "erase", "--shared", "taken-over", "--yes")


@pytest.mark.parametrize(
    "whose", [("--shared", "never-was"), ("--session", "ask/-/never/-"), ("--hand", "h-0000000000000000")]
)
def test_of_a_memory_that_is_not_there_nothing_is_said_to_be_erased(shell: Shell, whose: tuple[str, str]) -> None:
    ran = shell.run("memory", "erase", *whose)
    assert (ran.code, ran.out) == (0, "")
    assert "nothing was erased" in ran.err
    assert "`maniple memory stats`" in ran.err
    assert shell.result("memory", "erase", *whose)["erased"] is None


def test_a_copy_is_put_back_and_what_is_no_copy_is_not(shell: Shell, tmp_path: Path) -> None:
    copy = tmp_path / "keeper.db"
    shell.good("memory", "backup", copy, "--hand", "keeper")
    assert copy.stat().st_mode & 0o777 == 0o600
    remember(shell, "colour", "red")
    asked = shell.run("memory", "restore", copy, "--hand", "keeper")
    assert (asked.code, f"restore {copy} --hand keeper --yes` does not ask" in asked.err) == (2, True), asked
    assert value(shell, "colour", "--hand", "keeper") == "red"
    shell.good("memory", "restore", copy, "--hand", "keeper", "--yes")
    assert value(shell, "colour", "--hand", "keeper") == "blue"
    assert value(shell, "mood", "--hand", "keeper", "--session", CHAT) == "fine"
    whole = copy.read_bytes()
    other = whole[:18] + b"\3\3" + whole[20:]  # of a version of SQLite's format that is to come
    for raw in (whole[:-4096], whole[:-100], other, b"", b"not a file of SQLite's" * 100):
        broken = tmp_path / "broken.db"
        broken.write_bytes(raw)
        ran = shell.run("memory", "restore", broken, "--hand", "keeper", "--yes")
        assert (ran.code, "not a copy of a memory, and nothing has changed" in ran.err) == (1, True), ran
        assert "verify" not in ran.err  # which looks at what is there, and not at what was sent
    assert value(shell, "colour", "--hand", "keeper") == "blue"


@pytest.mark.wide
def test_a_file_that_is_torn_is_found_and_a_copy_brings_it_back(shell: Shell, tmp_path: Path, keeper: str) -> None:
    copy = tmp_path / "whole.db"
    shell.good("memory", "backup", copy, "--hand", "keeper")
    shell.good("stop", "memory")
    (path,) = (shell.home / "state").glob(f"h-*/own/{keeper}.db")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    ran = shell.run("memory", "verify", "--json")
    found: Any = ran.table()["memories"]
    assert ran.code == 5
    assert not found[f"own/{keeper}"]["ok"]
    assert found[f"own/{keeper}"]["problems"]
    assert "see `maniple" in ran.err
    shell.good("memory", "restore", copy, "--hand", "keeper", "--yes")
    assert "keeper: whole" in shell.good("memory", "verify")


def test_a_damaged_memory_is_named_and_keeps_nothing_of_the_others_back(shell: Shell, keeper: str) -> None:
    (own,) = shell.home.glob(f"state/h-*/own/{keeper}.db")
    spoiled = own.with_name("h-0000000000000000.db")
    spoiled.write_bytes(b"no database" * 500)
    try:
        for words in (["stats"], ["reindex"]):
            ran = shell.run("memory", *words)
            assert (ran.code, "keeper" in ran.out) == (1, True)
            assert "own/h-0000000000000000: the memory file is damaged" in ran.err
            assert is_one_clear_line(ran)
    finally:
        spoiled.unlink()


def test_a_removed_hands_memory_stays_until_it_is_erased_and_nobody_gets_it(shell: Shell, tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "leaver", Source(KEEPER.toml.replace("keeper", "leaver"), KEEPER.main))
    shell.good("install", folder, "--yes")
    shell.good("start", "leaver", "key=a", "value=b", "--wait")
    removed = shell.run("remove", "leaver")
    assert "Its memory is still there: `maniple" in removed.err
    kept = removed.err.rpartition("--hand ")[2].split("`")[0]
    assert value(shell, "a", "--hand", kept) == "b"
    shell.good("install", folder, "--yes")
    assert shell.run("memory", "get", "a", "--hand", "leaver").code == 1
    shell.good("start", "leaver", "key=a", "value=b", "--wait")
    assert "(removed)" in shell.good("memory", "stats")
    asked = shell.run("remove", "leaver", "--purge")
    assert (asked.code, "`maniple remove leaver --purge --yes` does not ask" in asked.err) == (2, True)
    gone = shell.run("remove", "leaver", "--purge", "--yes", "--json")
    assert gone.table()["remembered"] is None
    assert "removed before left more: `maniple remove leaver --purge` again" in gone.err
    asked = shell.run("remove", "leaver")
    assert (asked.code, "`maniple remove leaver --purge` removes what an earlier one left" in asked.err) == (1, True), (
        asked
    )
    assert is_one_clear_line(asked)
    asked = shell.run("remove", "leaver", "--purge")
    assert (asked.code, "`maniple remove leaver --purge --yes` does not ask" in asked.err) == (2, True)
    assert "(removed)" in shell.good("memory", "stats")
    assert shell.good("remove", "leaver", "--purge", "--yes") == (
        "leaver was removed before; what it left is gone now.\n"
    )
    assert "(removed)" not in shell.good("memory", "stats")
    for words in (("remove", "leaver"), ("remove", "leaver", "--purge", "--yes"), ("remove", "nobody", "--purge")):
        ran = shell.run(*words)
        assert (ran.code, f"no Hand '{words[1]}' is installed" in ran.err, is_one_clear_line(ran)) == (1, True, True), (
            ran
        )


def test_what_a_removed_service_kept_and_printed_is_purged_later(shell: Shell, tmp_path: Path) -> None:
    folder = shell.good("new", "keeps", "--service", "--into", tmp_path).strip()
    shell.good("install", folder, "--yes")
    shell.good("call", "keeps.greet")
    kept = Path(str(shell.result("remove", "keeps")["kept"]))
    (kept / "note").write_text("kept\n")
    printed = shell.home / "output" / "keeps.log"
    printed.write_text("printed\n")
    shell.good("remove", "keeps", "--purge", "--yes")
    assert (kept.exists(), printed.exists()) == (False, False)


@pytest.mark.wide
def test_a_removal_whose_memory_cannot_be_erased_goes_on_and_says_what_is_left(shell: Shell, tmp_path: Path) -> None:
    folder = write_hand(tmp_path / "parter", Source(KEEPER.toml.replace("keeper", "parter"), KEEPER.main))
    shell.good("install", folder, "--yes")
    shell.good("start", "parter", "key=a", "value=b", "--wait")
    output = shell.home / "output" / "parter.log"
    output.write_text("printed\n")
    shell.result("pause", "memory")
    ran = shell.run("remove", "parter", "--purge", "--yes")
    shell.result("resume", "memory")
    assert (ran.code, output.exists()) == (4, False), ran
    assert "parter is removed. Its memory is still there: `maniple memory erase" in ran.err
    kept = ran.err.rpartition("--hand ")[2].split("`")[0]
    shell.result("memory", "erase", "--hand", kept, "--yes")
    assert "(removed)" not in shell.good("memory", "stats")
