"""The command line `maniple`: one file per command, listed in commands.py. It calls the kernel as the operator."""
