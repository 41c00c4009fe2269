"""The formats of Maniple: what crosses the bus, what is signed, what the log holds; pure, without any I/O."""
