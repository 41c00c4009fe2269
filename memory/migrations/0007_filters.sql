-- What filters ask for, each within one space: an index's row ends in the id, which begins with the space's number.
CREATE INDEX fragments_kind ON fragments (kind);
CREATE INDEX fragments_time ON fragments (id / 4294967296, time);
CREATE INDEX origins_source ON origins (source, fragment);
