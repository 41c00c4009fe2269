-- Versions of keys are never given twice in a space: `counters` keeps, as 'key', the greatest one that a key had which is gone,
-- and a new key begins beyond it. What was deleted before is not known any more. No key was set 2^32 times, so in a file that
-- is there already new keys begin behind that.
INSERT INTO counters (space, what, last)
SELECT space, 'key', 4294967296
FROM (SELECT space FROM keys UNION SELECT space FROM counters UNION SELECT space FROM sessions UNION SELECT name FROM spaces)
WHERE true;
