"""What is written, and how it is found again: the log, the tapes of runs, and what an earlier kernel left unfinished."""
