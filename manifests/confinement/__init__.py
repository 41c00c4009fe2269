"""What a run's process may ask of the operating system, decided before there is a process (pure)."""
