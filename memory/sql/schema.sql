-- What all migrations make together. Read here; change by a new migration (memory/schema.py).

-- Values by key. Times are microseconds since 1970. A deleted key leaves no row; new ones begin beyond its version.
CREATE TABLE keys (
    space   TEXT NOT NULL,          -- the namespace within this file: '' for the owner's own, else a session's key
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,          -- msgpack, as the bus brought it
    labels  TEXT NOT NULL,          -- a JSON array
    version INTEGER NOT NULL,       -- counts up at each change
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    expires INTEGER,                -- NULL: never
    PRIMARY KEY (space, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_expiring ON keys (expires) WHERE expires IS NOT NULL;

-- Numbers that callers see: counted in each space, so that they show nothing of another one, and never given again.
-- what: 'entity', 'relation', or 'key': the greatest version of the keys that are gone.
CREATE TABLE counters (
    space TEXT NOT NULL,
    what  TEXT NOT NULL,
    last  INTEGER NOT NULL,
    PRIMARY KEY (space, what)
) STRICT, WITHOUT ROWID;

-- Entities: people and things. One that was merged into another keeps its row, which leads to that one, and has no names
-- and relations.
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

-- Relations: what holds between two entities, from `since` until before `until`; NULL: without a beginning, without an end.
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

CREATE INDEX relations_out ON relations (source, kind, number);
CREATE INDEX relations_same ON relations (source, kind, target, number);
CREATE INDEX relations_in ON relations (target, kind);

-- Evidence: who said that a relation holds. A relation has at least one row.
CREATE TABLE evidence (
    relation   INTEGER NOT NULL REFERENCES relations (id) ON DELETE CASCADE,
    said       TEXT NOT NULL,       -- where it is from
    confidence REAL NOT NULL,       -- 0 to 1
    labels     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (relation, said)
) STRICT, WITHOUT ROWID;

-- Kinds of relation of which an entity has one at a time as a source, such as `lives in`: two are a contradiction.
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

-- Branches of conversations. One begins after `forked` messages of its parent, and counts on from there.
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

-- Messages of conversations. A row is never changed, and is deleted only with its conversation.
CREATE TABLE messages (
    id      INTEGER PRIMARY KEY,    -- (its conversation's id + 1) * 2^32 - its number there, in the order in which they came
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

-- Summaries of messages `first` to `last` of a branch. The messages stay.
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

-- The index of the messages' words. Its rows have the messages' ids, so those of one conversation lie together, the newest
-- first.
CREATE VIRTUAL TABLE messages_words USING fts5 (
    text, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER messages_said AFTER INSERT ON messages BEGIN
    INSERT INTO messages_words (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN
    INSERT INTO messages_words (messages_words, rowid, text) VALUES ('delete', old.id, old.text);
END;
-- Fragments: texts that are found again, by word, meaning, time and mark. Ids are a space's number * 2^32 + what counts up
-- within the space, so that a space's rows lie together, and nothing outside it shows how many others there are.
CREATE TABLE spaces (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE, -- '' for the owner's own, else a session's key
    fragments INTEGER NOT NULL,     -- the last fragment's number
    chunks    INTEGER NOT NULL,     -- the last chunk's number
    indexed   INTEGER NOT NULL,     -- chunks in the index of words
    terms     INTEGER NOT NULL,     -- terms in them together
    languages TEXT NOT NULL         -- a JSON array: those of its texts
) STRICT;

CREATE TABLE fragments (
    id         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    time       INTEGER NOT NULL,    -- when what it tells of was
    importance REAL NOT NULL,       -- 0 to 1
    labels     TEXT NOT NULL,       -- a JSON array
    metadata   TEXT NOT NULL,       -- a JSON object
    language   TEXT NOT NULL,
    sameness   BLOB NOT NULL,       -- equal in what says the same: memory/sameness.py
    state      TEXT NOT NULL CHECK (state IN ('live', 'superseded', 'archived')),
    successor  INTEGER,             -- what superseded it
    seen       INTEGER NOT NULL,    -- how often it was stored
    uses       INTEGER NOT NULL,    -- how often it was recalled and used
    used       INTEGER NOT NULL,    -- when last; before that, when it was stored
    counted    INTEGER NOT NULL,    -- of seen - 1 and uses together, what consolidation has counted
    created    INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    text       TEXT NOT NULL        -- last, so that the others are read without it
) STRICT;

CREATE UNIQUE INDEX fragments_same ON fragments (sameness) WHERE state = 'live';
CREATE INDEX fragments_successor ON fragments (successor) WHERE successor IS NOT NULL;

CREATE INDEX fragments_kind ON fragments (kind);
CREATE INDEX fragments_time ON fragments (id / 4294967296, time);

-- Where a fragment came from; more than one place where the same was stored again.
CREATE TABLE origins (
    fragment INTEGER NOT NULL REFERENCES fragments (id) ON DELETE CASCADE,
    source   TEXT NOT NULL,
    run      TEXT NOT NULL,         -- '' for none
    entry    INTEGER NOT NULL,      -- its number in the log; -1 for none
    time     INTEGER NOT NULL,
    call     INTEGER NOT NULL DEFAULT 0, -- the kernel's number of the call that first said so; 0 for none
    PRIMARY KEY (fragment, source, run, entry)
) STRICT, WITHOUT ROWID;

CREATE INDEX origins_source ON origins (source, fragment);

-- The pieces of live fragments, which are what the indexes hold.
CREATE TABLE chunks (
    id       INTEGER PRIMARY KEY,
    fragment INTEGER NOT NULL REFERENCES fragments (id),
    start    INTEGER NOT NULL,      -- characters of the fragment's text
    finish   INTEGER NOT NULL,
    terms    INTEGER NOT NULL       -- its length in the index of words
) STRICT;

CREATE INDEX chunks_of ON chunks (fragment);

-- The index of words: a row is a chunk. Each term begins with its space's number, so that no space's words count in another.
CREATE VIRTUAL TABLE words USING fts5 (terms, content = '', contentless_delete = 1, tokenize = 'ascii');
CREATE VIRTUAL TABLE words_found USING fts5vocab (words, instance);
CREATE VIRTUAL TABLE words_known USING fts5vocab (words, row);

-- Models that make vectors of texts. At most one is current: the one that new texts wait for.
CREATE TABLE models (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE, -- with its version: vectors of different models are never compared
    dimension INTEGER NOT NULL,
    current   INTEGER NOT NULL
) STRICT;

CREATE TABLE unembedded (
    model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    chunk INTEGER NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    PRIMARY KEY (model, chunk)
) STRICT, WITHOUT ROWID;

CREATE INDEX unembedded_of ON unembedded (chunk);

CREATE TABLE vectors (
    model  INTEGER NOT NULL REFERENCES models (id),
    chunk  INTEGER NOT NULL REFERENCES chunks (id),
    vector BLOB NOT NULL            -- its numbers as little-endian 32-bit floats, of length 1 together
) STRICT;

CREATE UNIQUE INDEX vectors_of ON vectors (model, chunk);
CREATE INDEX vectors_by_chunk ON vectors (chunk);

-- The vectors' signs, packed by 1,024 chunks, which is what a recall reads of all of them.
CREATE TABLE blocks (
    model  INTEGER NOT NULL REFERENCES models (id),
    block  INTEGER NOT NULL,        -- a chunk's id / 1,024
    chunks BLOB NOT NULL,           -- for each vector its chunk's id % 1,024, as 16 bits
    signs  BLOB NOT NULL            -- for each vector a bit for each of its numbers, filled up to a multiple of 64
) STRICT;

CREATE UNIQUE INDEX blocks_of ON blocks (model, block);
