-- name: next
SELECT id, text, kind, importance, labels, metadata, language, seen, uses, used, counted FROM fragments
WHERE state = 'live' AND id > :after ORDER BY id LIMIT :most;

-- name: one
SELECT id, text, kind, importance, labels, metadata, language, seen, uses, used, counted FROM fragments
WHERE state = 'live' AND id = :id;

-- name: archive
UPDATE fragments SET state = 'archived', successor = :successor, changed = :now WHERE id = :id;

-- name: absorb
UPDATE fragments SET labels = :labels, importance = max(importance, :importance), seen = seen + :seen, uses = uses + :uses,
    used = max(used, :used), time = max(time, (SELECT time FROM fragments WHERE id = :gone)), changed = :now
WHERE id = :id;

-- name: copy_origins
INSERT INTO origins (fragment, source, run, entry, time, call)
SELECT :kept, source, run, entry, time, call FROM origins WHERE fragment = :id ON CONFLICT DO NOTHING;

-- name: promote
UPDATE fragments SET importance = :importance, counted = :counted WHERE id = :id;
