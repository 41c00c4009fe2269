-- name: next_chunk
UPDATE spaces SET chunks = chunks + 1 WHERE id = :space RETURNING chunks;

-- name: add_chunk
INSERT INTO chunks (id, fragment, start, finish, terms) VALUES (:id, :fragment, :start, :finish, :terms);

-- name: add_words
INSERT INTO words (rowid, terms) VALUES (:id, :words);

-- name: chunks_of
SELECT id, terms FROM chunks WHERE fragment = :fragment;

-- name: drop_chunk
DELETE FROM chunks WHERE id = :id;

-- name: drop_words
DELETE FROM words WHERE rowid = :id;

-- name: count
UPDATE spaces SET indexed = indexed + :chunks, terms = terms + :terms WHERE id = :space;

-- name: set_languages
UPDATE spaces SET languages = :languages WHERE id = :space;
