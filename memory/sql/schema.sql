-- What all migrations make together. Read here; change by a new migration (memory/schema.py).

-- Values by key. Times are microseconds since 1970. A deleted key leaves no row: its version begins again at 1.
CREATE TABLE keys (
    space   TEXT NOT NULL,          -- the namespace within this file: '' for the owner's own, else a session's key
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,          -- msgpack, as the bus brought it
    labels  TEXT NOT NULL,          -- a JSON array
    version INTEGER NOT NULL,       -- counts from 1 at each change
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    expires INTEGER,                -- NULL: never
    PRIMARY KEY (space, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_expiring ON keys (expires) WHERE expires IS NOT NULL;

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

-- Conversations: at most one in a space.
CREATE TABLE sessions (
    id      INTEGER PRIMARY KEY,
    space   TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

-- Ways that a conversation took. One begins where its parent had `forked` messages, and counts on from there.
CREATE TABLE branches (
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    parent  TEXT,                   -- NULL: the first one
    forked  INTEGER NOT NULL,
    last    INTEGER NOT NULL,       -- the number of its last message
    labels  TEXT NOT NULL,          -- of who named it, a JSON array
    created INTEGER NOT NULL,
    number  INTEGER NOT NULL,       -- in which order they were made
    PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;

-- What was said. A row is never changed, and goes only with its conversation.
CREATE TABLE messages (
    id      INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    branch  TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    role    TEXT NOT NULL,
    text    TEXT NOT NULL,
    extra   TEXT NOT NULL,          -- a JSON object
    labels  TEXT NOT NULL,          -- a JSON array
    at      INTEGER NOT NULL,
    UNIQUE (session, branch, seq)
) STRICT;

-- What messages `first` to `last` on a branch come to, in fewer words. They stay.
CREATE TABLE summaries (
    id      INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    branch  TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    text    TEXT NOT NULL,
    labels  TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

CREATE INDEX summaries_covering ON summaries (session, branch, first);

-- The words of what was said, each beside the conversation that it stands in, so that no other one is looked at.
CREATE VIEW searched AS SELECT id, 's' || session AS place, text FROM messages;

CREATE VIRTUAL TABLE messages_words USING fts5 (
    place, text, content = 'searched', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER messages_said AFTER INSERT ON messages BEGIN
    INSERT INTO messages_words (rowid, place, text) VALUES (new.id, 's' || new.session, new.text);
END;

CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN
    INSERT INTO messages_words (messages_words, rowid, place, text) VALUES ('delete', old.id, 's' || old.session, old.text);
END;
