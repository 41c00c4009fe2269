"""The confinement of runs: its layers, what a machine supports, and the resulting plan (pure)."""
