"""HAND.toml, capabilities, seals, trust, and the kernel's other decisions: pure functions over values."""
