-- Numbers that are told to callers: counted in each space, so that they tell nothing of another one, and never given again.
CREATE TABLE counters (
    space TEXT NOT NULL,
    what  TEXT NOT NULL,
    last  INTEGER NOT NULL,
    PRIMARY KEY (space, what)
) STRICT, WITHOUT ROWID;

-- Who and what there is. One that was merged into another stays as a sign to it, without names and relations.
CREATE TABLE entities (
    id         INTEGER PRIMARY KEY,
    space      TEXT NOT NULL,
    number     INTEGER NOT NULL,
    type       TEXT NOT NULL,
    name       TEXT NOT NULL,       -- as it was written first
    folded     TEXT NOT NULL,       -- as it is compared: memory/names.py
    properties BLOB NOT NULL,       -- msgpack
    labels     TEXT NOT NULL,       -- a JSON array
    created    INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    merged     INTEGER REFERENCES entities (id) ON DELETE CASCADE,
    UNIQUE (space, number)
) STRICT;

CREATE INDEX entities_listed ON entities (space, folded, number) WHERE merged IS NULL;
CREATE INDEX entities_merged ON entities (merged) WHERE merged IS NOT NULL;

-- Names and aliases: within a type each stands for one entity.
CREATE TABLE names (
    space  TEXT NOT NULL,
    folded TEXT NOT NULL,
    type   TEXT NOT NULL,
    name   TEXT NOT NULL,
    entity INTEGER NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    PRIMARY KEY (space, folded, type)
) STRICT, WITHOUT ROWID;

CREATE INDEX names_entity ON names (entity);

-- What holds between two of them, from `since` until before `until`; NULL: without a beginning, without an end.
CREATE TABLE relations (
    id         INTEGER PRIMARY KEY,
    space      TEXT NOT NULL,
    number     INTEGER NOT NULL,
    source     INTEGER NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    target     INTEGER NOT NULL REFERENCES entities (id) ON DELETE CASCADE,
    since      INTEGER,
    until      INTEGER,
    properties BLOB NOT NULL,
    created    INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    UNIQUE (space, number)
) STRICT;

CREATE INDEX relations_out ON relations (source, kind);
CREATE INDEX relations_in ON relations (target, kind);

-- Who said so: a relation has at least one.
CREATE TABLE evidence (
    relation   INTEGER NOT NULL REFERENCES relations (id) ON DELETE CASCADE,
    said       TEXT NOT NULL,       -- where it is from
    confidence REAL NOT NULL,       -- 0 to 1
    labels     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (relation, said)
) STRICT, WITHOUT ROWID;

-- Kinds of relation of which a source has one at a time: two are a contradiction.
CREATE TABLE singles (
    space TEXT NOT NULL,
    kind  TEXT NOT NULL,
    PRIMARY KEY (space, kind)
) STRICT, WITHOUT ROWID;
