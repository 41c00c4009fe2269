-- name: structure
PRAGMA quick_check;

-- name: index_structure
INSERT INTO words (words) VALUES ('integrity-check');

-- name: unchunked
SELECT id FROM fragments WHERE state = 'live' AND id NOT IN (SELECT fragment FROM chunks);

-- name: chunked_in_vain
SELECT DISTINCT fragment FROM chunks WHERE fragment NOT IN (SELECT id FROM fragments WHERE state = 'live');

-- name: misplaced
SELECT DISTINCT fragment FROM chunks WHERE id / 4294967296 <> fragment / 4294967296;

-- name: lengths
SELECT id, fragment, terms FROM chunks ORDER BY id;

-- name: places
SELECT doc FROM words_found;

-- name: miscounted_spaces
SELECT spaces.id, count(chunks.id), coalesce(sum(chunks.terms), 0) FROM spaces
    LEFT JOIN chunks ON chunks.id > spaces.id * 4294967296 AND chunks.id < (spaces.id + 1) * 4294967296
GROUP BY spaces.id HAVING count(chunks.id) <> spaces.indexed OR coalesce(sum(chunks.terms), 0) <> spaces.terms;

-- name: spaces_behind
SELECT spaces.id, max(spaces.fragments, coalesce((SELECT max(id) % 4294967296 FROM fragments
        WHERE id BETWEEN spaces.id * 4294967296 AND (spaces.id + 1) * 4294967296 - 1), 0)) AS fragments_last,
    max(spaces.chunks, coalesce((SELECT max(id) % 4294967296 FROM chunks
        WHERE id BETWEEN spaces.id * 4294967296 AND (spaces.id + 1) * 4294967296 - 1), 0)) AS chunks_last
FROM spaces WHERE fragments_last <> spaces.fragments OR chunks_last <> spaces.chunks;

-- name: catch_up
UPDATE spaces SET fragments = :fragments, chunks = :chunks WHERE id = :id;

-- name: malformed
SELECT chunk FROM vectors JOIN models ON models.id = model WHERE length(vector) <> 4 * dimension;

-- name: drop_malformed
DELETE FROM vectors WHERE rowid IN
    (SELECT vectors.rowid FROM vectors JOIN models ON models.id = model WHERE length(vector) <> 4 * dimension);

-- name: vectors_of
SELECT chunk, vector FROM vectors WHERE model = :model AND length(vector) = :size;

-- name: drop_far_blocks
DELETE FROM blocks WHERE block NOT BETWEEN 0 AND 9007199254740991;

-- name: far_blocks
SELECT block FROM blocks WHERE block NOT BETWEEN 0 AND 9007199254740991;

-- name: recount
UPDATE spaces SET indexed = :indexed, terms = :terms WHERE id = :id;

-- name: neither_embedded_nor_waiting
SELECT chunks.id FROM chunks, models
WHERE models.current
    AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.model = models.id AND vectors.chunk = chunks.id)
    AND NOT EXISTS (SELECT 1 FROM unembedded WHERE unembedded.model = models.id AND unembedded.chunk = chunks.id);

-- name: vectors_of_none
SELECT DISTINCT chunk FROM vectors WHERE chunk NOT IN (SELECT id FROM chunks);

-- name: await
INSERT INTO unembedded (model, chunk) SELECT id, :chunk FROM models WHERE current ON CONFLICT DO NOTHING;

-- name: models
SELECT id, dimension FROM models;

-- name: block_numbers
SELECT DISTINCT chunk / 1024 AS block FROM vectors WHERE model = :model
UNION SELECT block FROM blocks WHERE model = :model ORDER BY block;

-- name: vectors_in
SELECT chunk, vector FROM vectors WHERE model = :model AND chunk >= :first AND chunk < :first + 1024 ORDER BY chunk;

-- name: empty_words
INSERT INTO words (words) VALUES ('delete-all');

-- name: optimise
INSERT INTO words (words) VALUES ('optimize');

-- name: all_live
SELECT id, text, language FROM fragments WHERE state = 'live' AND id > :after ORDER BY id LIMIT :most;

-- name: drop_words
DELETE FROM words WHERE rowid = :id;
