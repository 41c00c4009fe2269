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

-- Where a fragment came from; more than one place where the same was stored again.
CREATE TABLE origins (
    fragment INTEGER NOT NULL REFERENCES fragments (id) ON DELETE CASCADE,
    source   TEXT NOT NULL,
    run      TEXT NOT NULL,         -- '' for none
    entry    INTEGER NOT NULL,      -- its number in the log; -1 for none
    time     INTEGER NOT NULL,
    PRIMARY KEY (fragment, source, run, entry)
) STRICT, WITHOUT ROWID;

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
