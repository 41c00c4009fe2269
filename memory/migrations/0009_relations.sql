-- What contradicts a relation is told in the order of numbers, a hundred at most, and what says the same is looked for by its
-- ends: neither goes through all that its source has of that kind.
DROP INDEX relations_out;
CREATE INDEX relations_out ON relations (source, kind, number);
CREATE INDEX relations_same ON relations (source, kind, target, number);
