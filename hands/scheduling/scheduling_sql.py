"""Every SQL statement of scheduling's store, named, and nothing else (pure).

Times are epoch milliseconds; `since` is in microseconds. `cursor`: until when each schedule was handled, and since which
install it counts. `pending`: firings without an outcome, their labels one per line. `history`: the outcome of each firing.
"""

from typing import Final

APPLICATION_ID: Final = 0x4D4E5343
VERSION: Final = 2

SCHEMA: Final = """
CREATE TABLE cursor (
    hand TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    done INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE pending (
    id INTEGER PRIMARY KEY,
    hand TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    planned INTEGER NOT NULL,
    due INTEGER NOT NULL,
    made_up INTEGER NOT NULL,
    event TEXT NOT NULL,
    depth INTEGER NOT NULL,
    body BLOB NOT NULL,
    labels TEXT NOT NULL DEFAULT '*',
    UNIQUE (hand, key)
) STRICT;
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    hand TEXT NOT NULL,
    name TEXT NOT NULL,
    what TEXT NOT NULL,
    planned INTEGER NOT NULL,
    key TEXT NOT NULL,
    run TEXT NOT NULL,
    outcome TEXT NOT NULL,
    why TEXT NOT NULL,
    count INTEGER NOT NULL
) STRICT;
CREATE INDEX history_hand ON history (hand, id);
CREATE INDEX history_key ON history (hand, key) WHERE key != '';
"""

FROM_1: Final = "ALTER TABLE pending ADD COLUMN labels TEXT NOT NULL DEFAULT '*'"
"""Migrates version 1. Its pending firings get `*`: nobody knows what labels they had."""

CURSORS: Final = "SELECT hand, since, done FROM cursor"
CURSOR_PUT: Final = """
INSERT INTO cursor (hand, since, done) VALUES (?, ?, ?)
ON CONFLICT (hand) DO UPDATE SET since = excluded.since, done = excluded.done
"""
CURSOR_DROP: Final = "DELETE FROM cursor WHERE hand = ?"

PENDING_ADD: Final = """
INSERT OR IGNORE INTO pending (hand, name, key, planned, due, made_up, event, depth, body, labels)
SELECT :hand, :name, :key, :planned, :due, :made_up, :event, :depth, :body, :labels
WHERE NOT EXISTS (SELECT 1 FROM history WHERE hand = :hand AND key = :key)
"""
PENDING_ALL: Final = """
SELECT id, hand, name, key, planned, due, made_up, event, depth, body, labels FROM pending ORDER BY id
"""
PENDING_TEXTS: Final = "SELECT hand, name, key, event, labels FROM pending"
PENDING_REFUSE: Final = """
INSERT INTO history (at, hand, name, what, planned, key, run, outcome, why, count)
SELECT :now, hand, name, 'refused', planned, key, '', '',
    event || ' says too much to begin a run with: ' || length(body) || ' bytes of ' || :most, 1
FROM pending WHERE length(body) > :most ORDER BY id;
DELETE FROM pending WHERE length(body) > :most
"""
PENDING_DONE: Final = "DELETE FROM pending WHERE hand = ? AND key = ?"
PENDING_DROP: Final = "DELETE FROM pending WHERE hand = ?"

HISTORY_ADD: Final = """
INSERT INTO history (at, hand, name, what, planned, key, run, outcome, why, count)
VALUES (:at, :hand, :name, :what, :planned, :key, :run, :outcome, :why, :count)
"""
HISTORY_LAST: Final = "SELECT id, at, what, why, key FROM history WHERE hand = ? ORDER BY id DESC LIMIT 1"
HISTORY_MORE: Final = "UPDATE history SET count = count + ?, planned = ?, at = ? WHERE id = ?"
HISTORY_OUTCOME: Final = "UPDATE history SET outcome = ?, run = ? WHERE hand = ? AND key = ? AND run != ''"
HISTORY_OF: Final = """
SELECT at, name, what, planned, run, outcome, why, count FROM history
WHERE name = ?1 OR ?1 = '' ORDER BY id DESC LIMIT ?2
"""
HISTORY_PRUNE: Final = """
DELETE FROM history WHERE hand = ?1 AND planned <= ?3
AND id <= (SELECT id FROM history WHERE hand = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
"""
HISTORY_BOUND: Final = "DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?"
