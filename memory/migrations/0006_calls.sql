-- The kernel's number of the call by which an origin was first told, 0 for none: what the log knows of, whatever the caller said.
ALTER TABLE origins ADD COLUMN call INTEGER NOT NULL DEFAULT 0;
