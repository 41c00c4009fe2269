-- Values by key. Times are microseconds since 1970. A deleted key leaves no row: its version begins again at 1.
CREATE TABLE keys (
    space   TEXT NOT NULL,          -- the namespace within this file: '' for the owner's own, else a session's key
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,          -- msgpack, as the bus brought it
    labels  TEXT NOT NULL,          -- a JSON array
    version INTEGER NOT NULL,       -- counts from 1 at each change
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    expires INTEGER,                -- NULL: never
    PRIMARY KEY (space, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_expiring ON keys (expires) WHERE expires IS NOT NULL;
