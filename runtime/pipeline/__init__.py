"""What runs a pipeline: a machine that decides (pure), and the Hand that acts on it."""
