"""Skills: reading and scanning of folders of instructions in the public Agent Skills format (pure)."""
