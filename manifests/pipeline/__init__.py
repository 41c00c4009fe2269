"""Pipelines of Hands: what a NAME.pipeline.toml may say, checked as a whole before anything runs (pure)."""
