"""Pipelines of Hands: the checker of NAME.pipeline.toml, which checks the whole file before anything runs (pure)."""
