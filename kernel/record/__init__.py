"""What is written, and how it is found again: the log, its end after a crash, and the journal of bodies."""
