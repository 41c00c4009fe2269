-- name: keys_total
SELECT count(*), coalesce(sum(length(value)), 0) FROM keys WHERE space = :space AND (expires IS NULL OR expires > :now);

-- name: keys_erase
DELETE FROM keys WHERE space = :space;

-- name: versions_erase
DELETE FROM counters WHERE space = :space AND what = 'key';

-- name: keys_all
SELECT space, key, value, labels FROM keys;

-- name: entities_erase
DELETE FROM entities WHERE space = :space;

-- name: graph_erase
DELETE FROM counters WHERE space = :space AND what IN ('entity', 'relation');

-- name: singles_erase
DELETE FROM singles WHERE space = :space;

-- name: without_name
SELECT space, number FROM entities e WHERE merged IS NULL
    AND NOT EXISTS (SELECT 1 FROM names n WHERE n.entity = e.id AND n.folded = e.folded) LIMIT 100;

-- name: without_evidence
SELECT space, number FROM relations r WHERE NOT EXISTS (SELECT 1 FROM evidence e WHERE e.relation = r.id) LIMIT 100;

-- name: between_spaces
SELECT r.space, r.number FROM relations r JOIN entities e ON e.id IN (r.source, r.target) WHERE e.space <> r.space LIMIT 100;

-- name: counters_behind
SELECT space, 'entity', max(number) FROM entities GROUP BY space
    HAVING max(number) > coalesce((SELECT last FROM counters c WHERE c.space = entities.space AND c.what = 'entity'), 0)
UNION ALL
SELECT space, 'relation', max(number) FROM relations GROUP BY space
    HAVING max(number) > coalesce((SELECT last FROM counters c WHERE c.space = relations.space AND c.what = 'relation'), 0);

-- name: catch_up
INSERT INTO counters (space, what, last) VALUES (:space, :what, :last)
ON CONFLICT (space, what) DO UPDATE SET last = excluded.last;

-- name: properties_all
SELECT space, 'entity ' || number, properties FROM entities UNION ALL SELECT space, 'relation ' || number, properties FROM relations;

-- name: session_erase
DELETE FROM sessions WHERE space = :space;

-- name: said_bytes
SELECT coalesce(sum(octet_length(text)), 0) FROM messages WHERE session = (SELECT id FROM sessions WHERE space = :space);

-- name: index_bytes
SELECT coalesce(sum(octet_length(block)), 0) FROM messages_words_data;

-- name: words_later
INSERT INTO messages_words (messages_words, rank) VALUES ('secure-delete', 0);

-- name: words_now
INSERT INTO messages_words (messages_words) VALUES ('optimize');

-- name: words_at_once
INSERT INTO messages_words (messages_words, rank) VALUES ('secure-delete', 1);

-- name: holes
SELECT s.space, b.name, b.forked, b.last, count(m.id), coalesce(min(m.seq), b.last + 1), coalesce(max(m.seq), b.forked)
FROM branches b JOIN sessions s ON s.id = b.session
    LEFT JOIN messages m ON m.session = b.session AND m.branch = b.name
GROUP BY b.session, b.name
HAVING count(m.id) <> b.last - b.forked OR (b.last > b.forked AND (min(m.seq) <> b.forked + 1 OR max(m.seq) <> b.last));

-- name: strays
SELECT s.space, m.branch, count(*) FROM messages m JOIN sessions s ON s.id = m.session
WHERE NOT EXISTS (SELECT 1 FROM branches b WHERE b.session = m.session AND b.name = m.branch) GROUP BY s.space, m.branch;

-- name: misplaced
SELECT s.space, count(*) FROM messages m JOIN sessions s ON s.id = m.session
WHERE m.id NOT BETWEEN m.session * 4294967296 AND m.session * 4294967296 + 4294967295 GROUP BY s.space;

-- name: keys_labels
SELECT DISTINCT labels FROM keys;

-- name: graph_labels
SELECT labels FROM entities UNION SELECT labels FROM evidence;

-- name: sessions_labels
SELECT labels FROM messages UNION SELECT labels FROM branches UNION SELECT labels FROM summaries;

-- name: words_check
INSERT INTO messages_words (messages_words, rank) VALUES ('integrity-check', 1);

-- name: words_rebuild
INSERT INTO messages_words (messages_words) VALUES ('rebuild');

-- name: fragments_total
SELECT count(*) FILTER (WHERE state = 'live'), coalesce(sum(length(text)) FILTER (WHERE state = 'live'), 0),
    count(*) FILTER (WHERE state <> 'live'),
    CASE WHEN EXISTS (SELECT 1 FROM models WHERE current)
        THEN (SELECT count(*) FROM models JOIN unembedded ON model = models.id WHERE current AND chunk BETWEEN :first AND :last)
        ELSE (SELECT count(*) FROM chunks WHERE id BETWEEN :first AND :last) END
FROM fragments WHERE id BETWEEN :first AND :last;

-- name: fragments_labels
SELECT DISTINCT labels FROM fragments;

-- name: unembedded_erase
DELETE FROM unembedded WHERE chunk BETWEEN :first AND :last;

-- name: vectors_erase
DELETE FROM vectors WHERE chunk BETWEEN :first AND :last;

-- name: blocks_erase
DELETE FROM blocks WHERE block BETWEEN :first / 1024 AND :last / 1024;

-- name: words_erase
DELETE FROM words WHERE rowid BETWEEN :first AND :last;

-- name: chunks_erase
DELETE FROM chunks WHERE id BETWEEN :first AND :last;

-- name: fragments_erase
DELETE FROM fragments WHERE id BETWEEN :first AND :last;

-- name: space_erase
DELETE FROM spaces WHERE id = :first / 4294967296;
