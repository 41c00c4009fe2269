-- name: bounded
SELECT count(*) FROM (SELECT 1 FROM words_found WHERE term = :term LIMIT :most);

-- name: standing
SELECT doc, cnt FROM words_known WHERE term = :term;

-- name: places
SELECT group_concat(doc) FROM (SELECT doc FROM words_found WHERE term = :term LIMIT :most);

-- name: chunks
SELECT id, fragment, terms FROM chunks WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id;

-- name: fragments_of
SELECT id, fragment FROM chunks WHERE id IN (SELECT value FROM json_each(:ids));

-- name: chunks_of
SELECT group_concat(id) FROM chunks WHERE fragment IN (SELECT value FROM json_each(:ids));

-- name: all_chunks
SELECT group_concat(fragment), group_concat(id) FROM chunks WHERE fragment > :first AND fragment <= :last;

-- name: candidates
SELECT id, time, importance FROM fragments WHERE id IN (SELECT value FROM json_each(:ids));

-- name: spans
SELECT id, start, finish FROM chunks WHERE id IN (SELECT value FROM json_each(:ids));
