-- name: count
INSERT INTO counters (space, what, last) VALUES (:space, :what, 1)
ON CONFLICT (space, what) DO UPDATE SET last = last + 1 RETURNING last;

-- name: by_name
SELECT entity, type FROM names WHERE space = :space AND folded = :folded AND (:type = '' OR type = :type) ORDER BY type;

-- name: by_number
SELECT coalesce(merged, id) FROM entities WHERE space = :space AND number = :number;

-- name: entity
SELECT e.id, e.number, e.type, e.name, e.properties, e.labels, e.created, e.changed,
    (SELECT json_group_array(n.name) FROM names n WHERE n.entity = e.id AND n.folded <> e.folded)
FROM entities e WHERE e.id = :id;

-- name: list
SELECT id FROM entities
WHERE space = :space AND merged IS NULL AND (:type = '' OR type = :type)
    AND folded >= :prefix AND (:end = '' OR folded < :end) AND (folded, number) > (:after, :number)
ORDER BY folded, number LIMIT :most;

-- name: folded_of
SELECT folded FROM entities WHERE space = :space AND number = :number;

-- name: add
INSERT INTO entities (space, number, type, name, folded, properties, labels, created, changed)
VALUES (:space, :number, :type, :name, :folded, :properties, :labels, :now, :now) RETURNING id;

-- name: change
UPDATE entities SET properties = :properties, labels = :labels, changed = :now WHERE id = :id;

-- name: add_name
INSERT INTO names (space, folded, type, name, entity) VALUES (:space, :folded, :type, :name, :entity);

-- name: forget
DELETE FROM entities WHERE id = :id;

-- name: relation
SELECT r.id, r.number, r.source, r.kind, r.target, r.since, r.until, r.properties, r.created, r.changed
FROM relations r WHERE r.id = :id;

-- name: relation_by_number
SELECT id FROM relations WHERE space = :space AND number = :number;

-- name: same_relation
SELECT id FROM relations
WHERE source = :source AND kind = :kind AND target = :target AND id <> :id
    AND (:until IS NULL OR since IS NULL OR since < :until) AND (until IS NULL OR :since IS NULL OR :since < until)
ORDER BY number LIMIT 1;

-- name: same_as
SELECT o.id FROM relations r
    JOIN relations o ON o.source = r.source AND o.kind = r.kind AND o.target = r.target AND o.id <> r.id
WHERE r.id = :id AND (r.until IS NULL OR o.since IS NULL OR o.since < r.until)
    AND (o.until IS NULL OR r.since IS NULL OR r.since < o.until)
ORDER BY o.number LIMIT 1;

-- name: relate
INSERT INTO relations (space, number, source, kind, target, since, until, properties, created, changed)
VALUES (:space, :number, :source, :kind, :target, :since, :until, :properties, :now, :now) RETURNING id;

-- name: alter
UPDATE relations SET since = :since, until = :until, properties = :properties, changed = :now WHERE id = :id;

-- name: unrelate
DELETE FROM relations WHERE id = :id;

-- name: put_evidence
INSERT INTO evidence (relation, said, confidence, labels, at) VALUES (:relation, :said, :confidence, :labels, :now)
ON CONFLICT (relation, said) DO UPDATE SET confidence = excluded.confidence, labels = :labels, at = excluded.at;

-- name: said_labels
SELECT labels FROM evidence WHERE relation = :relation AND said = :said;

-- name: evidence
SELECT said, confidence, labels, at FROM evidence WHERE relation = :relation ORDER BY at, said LIMIT :most;

-- name: weights
SELECT confidence, labels FROM evidence WHERE relation = :relation;

-- name: labels_of
SELECT labels FROM evidence WHERE relation = :relation
UNION ALL SELECT e.labels FROM relations r JOIN entities e ON e.id IN (r.source, r.target) WHERE r.id = :relation;

-- name: make_single
INSERT INTO singles (space, kind) VALUES (:space, :kind) ON CONFLICT DO NOTHING;

-- name: contradicting
SELECT o.number FROM relations r JOIN singles s ON s.space = r.space AND s.kind = r.kind
    JOIN relations o ON o.source = r.source AND o.kind = r.kind AND o.target <> r.target
WHERE r.id = :id AND (r.until IS NULL OR o.since IS NULL OR o.since < r.until)
    AND (o.until IS NULL OR r.since IS NULL OR r.since < o.until)
ORDER BY o.number LIMIT 100;

-- name: contradictions
SELECT r.id, o.id FROM relations r -- in the order of the answer, so that no more is read than is told
    CROSS JOIN relations o ON o.source = r.source AND o.kind = r.kind AND o.target <> r.target AND r.number < o.number
WHERE r.space = :space AND r.number >= :after AND EXISTS (SELECT 1 FROM singles s WHERE s.space = r.space AND s.kind = r.kind)
    AND (r.until IS NULL OR o.since IS NULL OR o.since < r.until)
    AND (o.until IS NULL OR r.since IS NULL OR r.since < o.until)
    AND (r.number, o.number) > (:after, :other)
ORDER BY r.number, o.number LIMIT :most;

-- name: out
SELECT id, target FROM relations
WHERE source = :entity AND (:kind = '' OR kind = :kind)
    AND (:at IS NULL OR ((since IS NULL OR since <= :at) AND (until IS NULL OR until > :at)))
ORDER BY number LIMIT :most;

-- name: in
SELECT id, source FROM relations
WHERE target = :entity AND (:kind = '' OR kind = :kind)
    AND (:at IS NULL OR ((since IS NULL OR since <= :at) AND (until IS NULL OR until > :at)))
ORDER BY number LIMIT :most;

-- name: fits
SELECT 1 FROM entities WHERE id = :id AND (:type = '' OR type = :type)
    AND (:folded = '' OR EXISTS (SELECT 1 FROM names n WHERE n.entity = :id AND n.folded = :folded));

-- name: of_type
SELECT id FROM entities WHERE space = :space AND merged IS NULL AND (:type = '' OR type = :type) ORDER BY number LIMIT :most;

-- name: names_of
SELECT folded, type, name FROM names WHERE entity = :entity;

-- name: unname
DELETE FROM names WHERE entity = :entity;

-- name: relations_of
SELECT id FROM relations WHERE source = :entity OR target = :entity ORDER BY number;

-- name: move_source
UPDATE relations SET source = :keep, changed = :now WHERE source = :gone;

-- name: move_target
UPDATE relations SET target = :keep, changed = :now WHERE target = :gone;

-- name: widen_period
UPDATE relations SET
    since = CASE WHEN since IS NULL OR :since IS NULL THEN NULL ELSE min(since, :since) END,
    until = CASE WHEN until IS NULL OR :until IS NULL THEN NULL ELSE max(until, :until) END,
    changed = :now
WHERE id = :id;

-- name: merged_into
UPDATE entities SET merged = :keep, changed = :now, properties = x'80', labels = '[]' WHERE id = :gone OR merged = :gone;

-- name: totals
SELECT (SELECT count(*) FROM entities WHERE space = :space AND merged IS NULL),
    (SELECT count(*) FROM relations WHERE space = :space);
