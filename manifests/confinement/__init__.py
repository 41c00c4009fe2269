"""What a run is walled in by: its layers, what each machine can give, and the plan that follows (pure)."""
