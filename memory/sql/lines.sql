-- name: keys
SELECT key, value, labels, version, created, changed, expires FROM keys
WHERE space = :space AND (expires IS NULL OR expires > :now) ORDER BY key;

-- name: put_key
INSERT INTO keys (space, key, value, labels, version, created, changed, expires)
VALUES (:space, :key, :value, :labels, :version, :created, :changed, :expires);

-- name: entities
SELECT id FROM entities WHERE space = :space AND merged IS NULL ORDER BY number;

-- name: names
SELECT type, name FROM names WHERE entity = :entity AND NOT (type = :type AND folded = :folded) ORDER BY type, folded;

-- name: merged
SELECT number, type, name, created, changed FROM entities WHERE merged = :entity ORDER BY number;

-- name: put_entity
INSERT INTO entities (space, number, type, name, folded, properties, labels, created, changed, merged)
VALUES (:space, :number, :type, :name, :folded, :properties, :labels, :created, :changed, :merged) RETURNING id;

-- name: relations
SELECT id FROM relations WHERE space = :space ORDER BY number;

-- name: put_relation
INSERT INTO relations (space, number, source, kind, target, since, until, properties, created, changed)
VALUES (:space, :number, :source, :kind, :target, :since, :until, :properties, :created, :changed) RETURNING id;

-- name: put_evidence
INSERT INTO evidence (relation, said, confidence, labels, at) VALUES (:relation, :said, :confidence, :labels, :at);

-- name: singles
SELECT kind FROM singles WHERE space = :space ORDER BY kind;

-- name: counters
SELECT what, max(last) FROM (
    SELECT what, last FROM counters WHERE space = :space
    UNION ALL SELECT 'key', version FROM keys WHERE space = :space AND expires <= :now
) GROUP BY what ORDER BY what;

-- name: put_counter
INSERT INTO counters (space, what, last) VALUES (:space, :what, :last)
ON CONFLICT (space, what) DO UPDATE SET last = max(last, excluded.last);

-- name: fragments
SELECT id, text, kind, time, importance, labels, metadata, state, successor, seen, uses, used, created, changed, counted
FROM fragments WHERE id > :first AND id <= :last ORDER BY id;

-- name: put_fragment
INSERT INTO fragments (id, text, kind, time, importance, labels, metadata, language, sameness, state, successor,
    seen, uses, used, counted, created, changed)
VALUES (:id, :text, :kind, :time, :importance, :labels, :metadata, :language, :sameness, :state, :successor,
    :seen, :uses, :used, :counted, :created, :changed);

-- name: put_origin
INSERT INTO origins (fragment, source, run, entry, time, call) VALUES (:fragment, :source, :run, :entry, :time, :call);

-- name: count_fragments
UPDATE spaces SET fragments = max(fragments, :last) WHERE id = :space;
