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
