"""The command line `maniple`: one file per command, joined by the table in commands.py; reaches the bus as operator."""
