-- The terms of a message that is erased leave the index of words with it, and not when its segments are merged one day.
INSERT INTO messages_words (messages_words, rank) VALUES ('secure-delete', 1);
