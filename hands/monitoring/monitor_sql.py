"""Every SQL statement of the history, named, and nothing else (pure).

Times are epoch milliseconds, hours are epoch / 3,600 s. A series is one metric of one subject, so a target with a new
subject starts a new series. `state` holds small JSON values: alarms, groups, silences.
"""

from typing import Final

APPLICATION_ID: Final = 0x4D4E4D4E
VERSION: Final = 1

SCHEMA: Final = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    subject TEXT NOT NULL,
    metric TEXT NOT NULL,
    first INTEGER NOT NULL,
    UNIQUE (target, subject, metric)
) STRICT;
CREATE TABLE value (
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (series, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX value_at ON value (at);
CREATE TABLE hour (
    series INTEGER NOT NULL,
    number INTEGER NOT NULL,
    count INTEGER NOT NULL,
    least REAL NOT NULL,
    most REAL NOT NULL,
    mean REAL NOT NULL,
    median REAL NOT NULL,
    mad REAL NOT NULL,
    PRIMARY KEY (series, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX hour_number ON hour (number);
CREATE TABLE change (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    target TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX change_at ON change (at);
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

SERIES_ADD: Final = "INSERT INTO series (target, subject, metric, first) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
SERIES_ALL: Final = "SELECT id, target, subject, metric, first FROM series"
SERIES_EMPTY: Final = """
DELETE FROM series WHERE first < ?
  AND NOT EXISTS (SELECT 1 FROM value WHERE value.series = series.id)
  AND NOT EXISTS (SELECT 1 FROM hour WHERE hour.series = series.id)
"""

VALUE_ADD: Final = (
    "INSERT INTO value (series, at, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
)
VALUE_WINDOW: Final = "SELECT at, value FROM value WHERE series = ? AND at >= ? AND at < ? ORDER BY at"
VALUE_FIRST: Final = "SELECT min(at) FROM value WHERE series = ?"
VALUE_LAST: Final = "SELECT at, value FROM value WHERE series = ? AND at <= ? ORDER BY at DESC LIMIT 1"
VALUE_DROP: Final = "DELETE FROM value WHERE at < ?"
VALUE_HOURS: Final = "SELECT DISTINCT at / ? AS number FROM value WHERE at >= ? AND at < ? ORDER BY number"
VALUE_OLDEST_QUARTER: Final = """
DELETE FROM value WHERE at <= (SELECT at FROM value ORDER BY at LIMIT 1 OFFSET (SELECT count(*) / 4 FROM value))
"""

HOUR_PUT: Final = """
INSERT OR REPLACE INTO hour (series, number, count, least, most, mean, median, mad) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
HOUR_WINDOW: Final = """
SELECT number, count, least, most, mean, median, mad FROM hour
WHERE series = ? AND number >= ? AND number < ? ORDER BY number
"""
HOUR_DROP: Final = "DELETE FROM hour WHERE number < ?"
HOUR_OLDEST_QUARTER: Final = """
DELETE FROM hour
WHERE number <= (SELECT number FROM hour ORDER BY number LIMIT 1 OFFSET (SELECT count(*) / 4 FROM hour))
"""

CHANGE_ADD: Final = "INSERT INTO change (at, target, subject, kind, level, text) VALUES (?, ?, ?, ?, ?, ?)"
CHANGE_WINDOW: Final = """
SELECT at, target, subject, kind, level, text FROM change WHERE at > ? AND at <= ? ORDER BY at DESC, id DESC LIMIT ?
"""
CHANGE_KINDS: Final = """
SELECT at, target, subject, kind, level, text FROM change WHERE kind IN ('fired', 'over')
ORDER BY at DESC, id DESC LIMIT ?
"""
CHANGE_DROP: Final = "DELETE FROM change WHERE at < ?"
CHANGE_BOUND: Final = "DELETE FROM change WHERE id <= (SELECT max(id) FROM change) - ?"

CHANGE_BYTES: Final = "SELECT total(length(target) + length(subject) + length(text) + 100) FROM change"
CHANGE_OLDEST_QUARTER: Final = """
DELETE FROM change WHERE id <= (SELECT id FROM change ORDER BY id LIMIT 1 OFFSET (SELECT count(*) / 4 FROM change))
"""

STATE_GET: Final = "SELECT value FROM state WHERE key = ?"
STATE_PUT: Final = "INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
STATE_PREFIX: Final = "SELECT key, value FROM state WHERE substr(key, 1, length(?)) = ?"
STATE_DROP: Final = "DELETE FROM state WHERE key = ?"
