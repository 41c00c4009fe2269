"""Attacks on the confinement of runs, one file each, and the arena where they take place."""
