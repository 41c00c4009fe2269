-- What each row must be for its readers, by the beginnings of the columns' names (memory/readable.py). The first two columns
-- say where a row lies and which one it is. A text is read as bytes: SQLite takes any for one.

-- name: key
SELECT CAST(space AS BLOB), CAST(key AS BLOB), CAST(key AS BLOB) AS text_key, CAST(labels AS BLOB) AS labels_,
    version AS count_, created AS time_, changed AS time_, expires AS time_
FROM keys;

-- name: counter
SELECT CAST(space AS BLOB), CAST(what AS BLOB), CAST(what AS BLOB) AS text_, last AS count_ FROM counters;

-- name: entity
SELECT CAST(space AS BLOB), number, CAST(type AS BLOB) AS text_, CAST(name AS BLOB) AS text_, CAST(folded AS BLOB) AS text_,
    CAST(labels AS BLOB) AS labels_, number AS count_, created AS time_, changed AS time_
FROM entities;

-- name: name
SELECT CAST(space AS BLOB), CAST(name AS BLOB), CAST(name AS BLOB) AS text_, CAST(folded AS BLOB) AS text_,
    CAST(type AS BLOB) AS text_
FROM names;

-- name: relation
SELECT CAST(space AS BLOB), number, CAST(kind AS BLOB) AS text_, number AS count_, since AS time_, until AS time_,
    created AS time_, changed AS time_
FROM relations;

-- name: evidence
SELECT CAST(r.space AS BLOB), r.number, CAST(e.said AS BLOB) AS text_, CAST(e.labels AS BLOB) AS labels_, e.at AS time_,
    e.confidence AS share_
FROM evidence e JOIN relations r ON r.id = e.relation;

-- name: single
SELECT CAST(space AS BLOB), CAST(kind AS BLOB), CAST(kind AS BLOB) AS text_ FROM singles;

-- name: session
-- Its messages' ids, up to (id + 1) * 2^32, must be numbers that SQLite has.
SELECT CAST(space AS BLOB), id, CAST(space AS BLOB) AS text_, (id + 1) * 2 AS within_, created AS time_ FROM sessions;

-- name: branch
SELECT CAST(s.space AS BLOB), CAST(b.name AS BLOB), CAST(b.name AS BLOB) AS text_, CAST(b.parent AS BLOB) AS text_,
    CAST(b.labels AS BLOB) AS labels_, b.created AS time_
FROM branches b JOIN sessions s ON s.id = b.session;

-- name: message
SELECT CAST(s.space AS BLOB), m.seq, CAST(m.branch AS BLOB) AS text_, CAST(m.role AS BLOB) AS text_,
    CAST(m.text AS BLOB) AS text_, CAST(m.extra AS BLOB) AS table_, CAST(m.labels AS BLOB) AS labels_, m.seq AS count_,
    m.at AS time_
FROM messages m JOIN sessions s ON s.id = m.session;

-- name: summary
SELECT CAST(s.space AS BLOB), y.first, CAST(y.branch AS BLOB) AS text_, CAST(y.text AS BLOB) AS text_,
    CAST(y.labels AS BLOB) AS labels_, y.first AS count_, y.last AS count_, y.at AS time_
FROM summaries y JOIN sessions s ON s.id = y.session;

-- name: space
SELECT CAST(name AS BLOB), id, CAST(name AS BLOB) AS text_, CAST(languages AS BLOB) AS labels_, id AS within_,
    fragments AS within_, chunks AS within_, indexed AS within_
FROM spaces;

-- name: fragment
SELECT CAST(spaces.name AS BLOB), f.id % 4294967296, CAST(f.kind AS BLOB) AS text_, CAST(f.language AS BLOB) AS text_,
    CAST(f.text AS BLOB) AS text_, CAST(f.labels AS BLOB) AS labels_, CAST(f.metadata AS BLOB) AS table_,
    f.importance AS share_, f.time AS time_, f.used AS time_, f.created AS time_, f.changed AS time_
FROM fragments f LEFT JOIN spaces ON spaces.id = f.id / 4294967296;

-- name: origin
SELECT CAST(spaces.name AS BLOB), o.fragment % 4294967296, CAST(o.source AS BLOB) AS text_, CAST(o.run AS BLOB) AS text_,
    o.time AS time_, o.call + 1 AS count_
FROM origins o LEFT JOIN spaces ON spaces.id = o.fragment / 4294967296;

-- name: chunk
SELECT CAST(spaces.name AS BLOB), c.fragment % 4294967296, c.start AS within_, c.finish AS within_, c.terms AS within_
FROM chunks c LEFT JOIN spaces ON spaces.id = c.fragment / 4294967296;

-- name: model
SELECT x'', CAST(name AS BLOB), CAST(name AS BLOB) AS text_, dimension AS within_ FROM models;
