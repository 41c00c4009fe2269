-- name: get
SELECT value, labels, version, created, changed, expires FROM keys
WHERE space = :space AND key = :key AND (expires IS NULL OR expires > :now);

-- name: put
INSERT INTO keys (space, key, value, labels, version, created, changed, expires)
VALUES (:space, :key, :value, :labels, 1 + coalesce((SELECT last FROM counters WHERE space = :space AND what = 'key'), 0),
    :now, :now, :expires)
ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, labels = excluded.labels, version = version + 1,
    changed = excluded.changed, expires = excluded.expires
RETURNING version;

-- name: drop
DELETE FROM keys WHERE space = :space AND key = :key RETURNING version;

-- name: retire
INSERT INTO counters (space, what, last) VALUES (:space, 'key', :version)
ON CONFLICT (space, what) DO UPDATE SET last = max(last, excluded.last);

-- name: list
SELECT key, version, changed, expires, length(value), labels FROM keys
WHERE space = :space AND key >= :prefix AND (:end = '' OR key < :end) AND key > :after
    AND (expires IS NULL OR expires > :now)
ORDER BY key LIMIT :most;

-- name: retire_expired
INSERT INTO counters (space, what, last)
SELECT space, 'key', max(version) FROM keys WHERE expires <= :now GROUP BY space
ON CONFLICT (space, what) DO UPDATE SET last = max(last, excluded.last);

-- name: expire
DELETE FROM keys WHERE expires <= :now;

-- name: expire_one
DELETE FROM keys WHERE space = :space AND key = :key AND expires <= :now RETURNING version;
