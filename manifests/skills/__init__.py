"""Skills: folders of instructions in the public Agent Skills format, read and looked through (pure)."""
