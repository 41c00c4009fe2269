-- name: model
SELECT id, dimension, current FROM models WHERE name = :name;

-- name: make_model
INSERT INTO models (name, dimension, current) VALUES (:name, :dimension, 0);

-- name: make_current
UPDATE models SET current = (name = :name);

-- name: redimension
UPDATE models SET dimension = :dimension
WHERE id = :id AND NOT EXISTS (SELECT 1 FROM vectors WHERE model = :id) RETURNING id;

-- name: await_all
INSERT INTO unembedded (model, chunk)
SELECT :model, id FROM chunks WHERE id NOT IN (SELECT chunk FROM vectors WHERE model = :model)
ON CONFLICT DO NOTHING;

-- name: await
INSERT INTO unembedded (model, chunk) SELECT id, :chunk FROM models WHERE current;

-- name: next
SELECT waiting.chunk, chunks.fragment, chunks.start, chunks.finish
FROM (
    SELECT chunk FROM unembedded
    WHERE model = :model AND chunk NOT IN (SELECT value FROM json_each(:but)) ORDER BY chunk DESC LIMIT :most
) AS waiting
    JOIN chunks ON chunks.id = waiting.chunk;

-- name: text
SELECT text, labels FROM fragments WHERE id = :id;

-- name: stop_waiting
DELETE FROM unembedded WHERE model = :model AND chunk = :chunk RETURNING chunk;

-- name: insert
INSERT INTO vectors (model, chunk, vector) VALUES (:model, :chunk, :vector);

-- name: block
SELECT chunks, signs FROM blocks WHERE model = :model AND block = :block;

-- name: put_block
INSERT INTO blocks (model, block, chunks, signs) VALUES (:model, :block, :chunks, :signs)
ON CONFLICT (model, block) DO UPDATE SET chunks = excluded.chunks, signs = excluded.signs;

-- name: drop_block
DELETE FROM blocks WHERE model = :model AND block = :block;

-- name: models_of
SELECT vectors.model, models.dimension FROM vectors JOIN models ON models.id = vectors.model WHERE chunk = :chunk;

-- name: drop
DELETE FROM vectors WHERE chunk = :chunk;

-- name: drop_waiting
DELETE FROM unembedded WHERE chunk = :chunk;

-- name: blocks
SELECT block, chunks, signs FROM blocks WHERE model = :model AND block >= :first AND block <= :last;

-- name: exact
SELECT vectors.chunk, vectors.vector FROM json_each(:ids) AS asked
    CROSS JOIN vectors ON vectors.model = :model AND vectors.chunk = asked.value;

-- name: others
SELECT id, dimension FROM models WHERE NOT current;

-- name: drop_model_vectors
DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors WHERE model = :model ORDER BY chunk LIMIT :most)
RETURNING chunk;

-- name: drop_model_blocks
DELETE FROM blocks WHERE model = :model AND NOT EXISTS (SELECT 1 FROM vectors WHERE model = :model);

-- name: drop_model
DELETE FROM models WHERE id = :model AND NOT EXISTS (SELECT 1 FROM vectors WHERE model = :model);

-- name: still_waiting
SELECT waiting.chunk, chunks.fragment, chunks.start, chunks.finish
FROM unembedded AS waiting JOIN chunks ON chunks.id = waiting.chunk
WHERE waiting.model = :model AND waiting.chunk IN (SELECT value FROM json_each(:ids));

-- name: any_waiting
SELECT EXISTS (SELECT 1 FROM unembedded JOIN models ON models.id = model WHERE current)
    OR (EXISTS (SELECT 1 FROM chunks) AND NOT EXISTS (SELECT 1 FROM models WHERE current));

-- name: any_chunk
SELECT EXISTS (SELECT 1 FROM chunks);
