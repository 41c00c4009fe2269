"""HAND.toml, capabilities, seals and trust: everything that is decided about a Hand before it runs (pure)."""
