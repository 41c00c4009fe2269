-- name: bounded
SELECT count(*) FROM (SELECT 1 FROM words_found WHERE term = :term LIMIT :most);

-- name: standing
SELECT doc, cnt FROM words_known WHERE term = :term;

-- name: places
SELECT group_concat(doc) FROM words_found WHERE term = :term;

-- name: chunks
SELECT id, fragment, terms FROM chunks WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id;

-- name: candidates
SELECT id, time, importance FROM fragments WHERE id IN (SELECT value FROM json_each(:ids));

-- name: spans
SELECT id, start, finish FROM chunks WHERE id IN (SELECT value FROM json_each(:ids));
