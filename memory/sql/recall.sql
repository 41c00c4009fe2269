-- name: postings
SELECT count(*) FROM (SELECT 1 FROM words_found WHERE term = :term LIMIT :most);

-- name: chunks_with
SELECT doc FROM words_known WHERE term = :term;

-- name: by_words
-- Okapi BM25 of each chunk that has one of the terms, and the weight of those that it has.
WITH asked AS MATERIALIZED (SELECT value ->> 0 AS term, value ->> 1 AS idf FROM json_each(:terms)),
    posting AS (SELECT doc, idf, count(*) AS tf FROM asked CROSS JOIN words_found USING (term) GROUP BY term, doc)
SELECT chunks.id, chunks.fragment, sum(idf * tf * (:k1 + 1) / (tf + :k1 * (1 - :b + :b * chunks.terms / :average))) AS score,
    sum(idf) AS matched
FROM posting CROSS JOIN chunks ON chunks.id = posting.doc
GROUP BY chunks.id ORDER BY score DESC, chunks.id DESC LIMIT :most;

-- name: candidates
SELECT id, time, importance FROM fragments WHERE id IN (SELECT value FROM json_each(:ids));

-- name: spans
SELECT id, start, finish FROM chunks WHERE id IN (SELECT value FROM json_each(:ids));
