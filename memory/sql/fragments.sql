-- name: space
SELECT id, fragments, chunks, indexed, terms, languages FROM spaces WHERE name = :name;

-- name: space_of
SELECT id, fragments, chunks, indexed, terms, languages FROM spaces WHERE id = :id;

-- name: make_space
INSERT INTO spaces (name, fragments, chunks, indexed, terms, languages) VALUES (:name, 0, 0, 0, 0, '[]');

-- name: next_fragment
UPDATE spaces SET fragments = fragments + 1 WHERE id = :space RETURNING fragments;

-- name: labels
SELECT DISTINCT labels FROM fragments WHERE id > :first AND id <= :last;

-- name: same
SELECT id FROM fragments WHERE sameness = :sameness AND state = 'live';

-- name: insert
INSERT INTO fragments (id, text, kind, time, importance, labels, metadata, language, sameness, state, successor,
    seen, uses, used, counted, created, changed)
VALUES (:id, :text, :kind, :time, :importance, :labels, :metadata, :language, :sameness, 'live', NULL, 1, 0, :now, 0, :now, :now);

-- name: merge
UPDATE fragments SET importance = max(importance, :importance), time = max(time, :time), labels = :labels,
    seen = seen + 1, changed = :now
WHERE id = :id;

-- name: change
UPDATE fragments SET text = :text, kind = :kind, time = :time, importance = :importance, labels = :labels,
    metadata = :metadata, language = :language, sameness = :sameness, changed = :now
WHERE id = :id;

-- name: supersede
UPDATE fragments SET state = 'superseded', changed = :now WHERE id = :id;

-- name: succeed
UPDATE fragments SET successor = :successor WHERE id = :id;

-- name: orphan
UPDATE fragments SET successor = NULL WHERE successor = :id;

-- name: delete
DELETE FROM fragments WHERE id = :id;

-- name: used
UPDATE fragments SET uses = uses + 1, used = :now WHERE id = :id;

-- name: origin
INSERT INTO origins (fragment, source, run, entry, time, call) VALUES (:fragment, :source, :run, :entry, :time, :call)
ON CONFLICT DO NOTHING;

-- name: origins
SELECT fragment, source, run, entry, time, call FROM (
    SELECT *, row_number() OVER (PARTITION BY fragment ORDER BY time DESC, source DESC, run DESC, entry DESC) AS nth
    FROM origins WHERE fragment IN (SELECT value FROM json_each(:fragments))
)
WHERE :most < 0 OR nth <= :most ORDER BY fragment, nth DESC;

-- name: get
SELECT id, text, kind, time, importance, labels, metadata, state, successor, seen, uses, used, created, changed
FROM fragments WHERE id = :id;

-- name: list
SELECT id, text, kind, time, importance, labels, metadata, state, successor, seen, uses, used, created, changed
FROM fragments AS fragment NOT INDEXED -- in order, and up to a page of them
WHERE id > :after AND id <= :last AND (:history OR state = 'live') AND $passes
ORDER BY id LIMIT :most;

-- name: passing
SELECT group_concat(fragment.id) FROM fragments AS fragment
WHERE fragment.id > :first AND fragment.id <= :last AND $passes;

-- What each filter asks for (memory/filters.py). The labels and pairs of a filter are first looked for
-- as they stand in the JSON, which is quick and finds all that have them, and may find others.

-- name: passes_kind
fragment.kind = :kind

-- name: passes_since
fragment.id / 4294967296 = :space AND fragment.time >= :since

-- name: passes_until
fragment.id / 4294967296 = :space AND fragment.time < :until

-- name: passes_source
fragment.id IN (SELECT fragment FROM origins WHERE source = :source AND fragment > :first AND fragment <= :last)

-- name: passes_labels
(instr(fragment.labels, '"*"') OR (instr(fragment.labels, :label) AND NOT EXISTS (SELECT 1 FROM json_each(:labels) AS asked
    WHERE asked.value NOT IN (SELECT value FROM json_each(fragment.labels)))))

-- name: passes_without
(fragment.labels = '[]' OR NOT instr(fragment.labels, '"*"') AND NOT EXISTS (SELECT 1 FROM json_each(:without) AS barred
    WHERE instr(fragment.labels, barred.value) AND barred.value ->> '$' IN (SELECT value FROM json_each(fragment.labels))))

-- name: passes_metadata
instr(fragment.metadata, :pair) AND :pairs = (SELECT count(*) FROM json_each(fragment.metadata) AS has
    WHERE (has.key, has.type, coalesce(has.value, 0)) IN (SELECT key, type, coalesce(value, 0) FROM json_each(:metadata)))
