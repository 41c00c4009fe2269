"""The formats of Maniple: messages of the bus, signatures, the log and its files (pure: no I/O)."""
