-- name: session
SELECT id FROM sessions WHERE space = :space;

-- name: begin
INSERT INTO sessions (space, created) VALUES (:space, :now) RETURNING id;

-- name: end
DELETE FROM sessions WHERE id = :session;

-- name: branch
SELECT name, parent, forked, last, labels, created FROM branches WHERE session = :session AND name = :name;

-- name: branches
SELECT name, parent, forked, last, labels, created FROM branches WHERE session = :session ORDER BY number;

-- name: make_branch
INSERT INTO branches (session, name, parent, forked, last, labels, created, number)
VALUES (:session, :name, :parent, :forked, :forked, :labels, :now,
    (SELECT count(*) FROM branches WHERE session = :session));

-- name: advance
UPDATE branches SET last = :last WHERE session = :session AND name = :name;

-- name: add_message
INSERT INTO messages (id, session, branch, seq, role, text, extra, labels, at)
VALUES (
    coalesce(
        (SELECT min(id) FROM messages WHERE id BETWEEN :session * 4294967296 AND :session * 4294967296 + 4294967295),
        (:session + 1) * 4294967296
    ) - 1,
    :session, :branch, :seq, :role, :text, :extra, :labels, :now);

-- name: read
SELECT seq, branch, role, text, extra, labels, at FROM messages
WHERE session = :session AND branch = :branch AND seq > :after AND seq <= :until ORDER BY seq LIMIT :most;

-- name: sizes
SELECT seq, octet_length(text) + octet_length(extra) FROM messages
WHERE session = :session AND branch = :branch AND seq > :after AND seq <= :until ORDER BY seq DESC LIMIT :most;

-- name: labels_between
SELECT DISTINCT labels FROM messages WHERE session = :session AND branch = :branch AND seq > :after AND seq <= :until;

-- name: search
SELECT m.seq, m.branch, m.role, m.text, m.extra, m.labels, m.at
FROM messages_words w JOIN messages m ON m.id = w.rowid
WHERE messages_words MATCH :query AND w.rowid BETWEEN :session * 4294967296 AND :session * 4294967296 + 4294967295
ORDER BY w.rowid LIMIT :most;

-- name: scan
SELECT seq, branch, role, text, extra, labels, at FROM messages
WHERE id BETWEEN :session * 4294967296 AND :session * 4294967296 + 4294967295
    AND NOT EXISTS (SELECT 1 FROM json_each(:terms) t WHERE instr(text, t.value) = 0)
ORDER BY id LIMIT :most;

-- name: summarise
INSERT INTO summaries (session, branch, first, last, text, labels, at)
VALUES (:session, :branch, :first, :last, :text, :labels, :now);

-- name: ranges
SELECT id, first, last FROM summaries WHERE session = :session AND branch = :branch AND last <= :until ORDER BY id;

-- name: summary
SELECT branch, first, last, text, labels, at FROM summaries WHERE id = :id;

-- name: last_summary
SELECT coalesce(max(id), 0) FROM summaries WHERE session = :session;

-- name: summaries
SELECT branch, first, last, text, labels, at, id FROM summaries
WHERE session = :session AND id > :after AND id <= :until ORDER BY id;

-- name: keys
SELECT s.space, s.created, (SELECT max(at) FROM messages m WHERE m.session = s.id), (SELECT count(*) FROM messages m WHERE m.session = s.id),
    (SELECT json_group_array(json(labels)) FROM (SELECT labels FROM branches WHERE session = s.id
        UNION SELECT labels FROM messages WHERE session = s.id))
FROM sessions s WHERE s.space > :after ORDER BY s.space LIMIT :most;

-- name: totals
SELECT (SELECT count(*) FROM messages m JOIN sessions s ON s.id = m.session WHERE s.space = :space),
    (SELECT count(*) FROM branches b JOIN sessions s ON s.id = b.session WHERE s.space = :space);
