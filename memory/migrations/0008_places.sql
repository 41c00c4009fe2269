-- A message's id begins with its conversation's, and counts down: what the index has of one conversation lies together, the
-- newest first, in the order in which it is found soonest. A search in one goes past nothing of the others.
DROP TRIGGER messages_said;
DROP TRIGGER messages_gone;
DROP TABLE messages_words;
DROP VIEW searched;

CREATE TEMP TABLE moved (old INTEGER PRIMARY KEY, new INTEGER NOT NULL);
INSERT INTO moved
SELECT id, (session + 1) * 4294967296 - row_number() OVER (PARTITION BY session ORDER BY id) FROM messages;
UPDATE messages SET id = -(SELECT new FROM moved WHERE old = id);
UPDATE messages SET id = -id;
DROP TABLE moved;

CREATE VIRTUAL TABLE messages_words USING fts5 (
    text, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);

INSERT INTO messages_words (messages_words) VALUES ('rebuild');

CREATE TRIGGER messages_said AFTER INSERT ON messages BEGIN
    INSERT INTO messages_words (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN
    INSERT INTO messages_words (messages_words, rowid, text) VALUES ('delete', old.id, old.text);
END;
