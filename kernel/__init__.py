"""The kernel: one loop that starts Hands as processes, carries and checks each call between them, and writes the log."""
