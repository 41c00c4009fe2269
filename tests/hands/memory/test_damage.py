"""A memory file that is damaged in its schema or its rows: each call on it ends in `damaged`, and none as a fault of ours."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from runtime import Failure
from tests.hands.doubles import hand_module
from tests.hands.memory.conftest import CHAT, OWN, Desk


@pytest.mark.parametrize(
    ("damage", "method", "given"),
    [
        ("UPDATE sqlite_schema SET sql = replace(sql, 'content =', 'gontent =')", "session.search", {"text": "hello"}),
        (
            "UPDATE sqlite_schema SET sql = replace(sql, 'labels', 'babels') WHERE name = 'branches'",
            "session.append",
            {},
        ),
        ("UPDATE keys SET value = x'a1ff'", "get", {"key": "k"}),
        ("DROP INDEX relations_out; PRAGMA user_version = 8", "graph.neighbours", {"entity": "Ada"}),
        ("DELETE FROM entities", "graph.neighbours", {"entity": "Ada"}),
        ("DELETE FROM entities WHERE name = 'Bob'", "graph.neighbours", {"entity": "Ada"}),
        ("DELETE FROM entities WHERE name = 'Bob'", "all.export", {}),
        ("DROP INDEX relations_same; DELETE FROM sqlite_schema WHERE name = 'sessions'", "erase", {}),
    ],
)
def test_what_cannot_be_as_it_stands_is_told_as_damage(
    desk: Desk, damage: str, method: str, given: dict[str, Any]
) -> None:
    desk.call("session.append", CHAT, messages=[{"role": "user", "text": "hello"}])
    desk.call("set", key="k", value="v")
    for name in ("Ada", "Bob"):
        desk.call("graph.put", type="person", name=name)
    desk.call("graph.relate", source="Ada", kind="knows", target="Bob")
    desk.loop.run_until_complete(desk.hand.shelf.exclusively(OWN, lambda path: spoil(path, damage)))
    on = CHAT if method.startswith("session") or method == "erase" else OWN
    new = "session/bot/mail/-/bob"
    more: dict[str, Any] = {"messages": [{"role": "user", "text": "hello"}]} if method == "session.append" else {}
    on = f"{OWN}/{new}" if more else on
    assert desk.fails(method, on, **given, **more).startswith("damaged: ")


def spoil(path: Path, damage: str) -> None:
    file = apsw.Connection(str(path))
    file.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    file.execute(f"PRAGMA foreign_keys = OFF; PRAGMA writable_schema = ON; {damage}; PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()


def test_rows_that_do_not_fit_each_other_are_told_as_damage() -> None:
    with (
        pytest.raises(Failure, match="do not fit each other") as failed,
        hand_module("memory", "memory_desk").as_failures(),
    ):
        raise apsw.ConstraintError("UNIQUE constraint failed: models.name")
    assert failed.value.code == "damaged"


def test_a_language_that_nobody_knows_is_told_anew(desk: Desk) -> None:
    for text in ("Ada pays by cheque.", "Ada pays by the cheque", "Bob pays in cash."):
        desk.call("store", text=text, kind=text[:3])
    damage = "UPDATE fragments SET language = 'englUsh'; UPDATE spaces SET languages = '[\"englUsh\"]'"
    desk.loop.run_until_complete(desk.hand.shelf.exclusively(OWN, lambda path: spoil(path, damage)))
    assert desk.call("recall", text="who pays in cash?")["results"][0]["text"] == "Bob pays in cash."
    assert desk.call("consolidate")["looked"] == 2
    desk.call("reindex")
    assert desk.call("verify")["ok"]
    assert desk.call("recall", text="paying in cash")["results"][0]["text"] == "Bob pays in cash."
