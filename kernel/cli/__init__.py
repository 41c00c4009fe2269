"""The command line `maniple`: one file per command, joined by one table; it reaches the kernel over the bus."""
