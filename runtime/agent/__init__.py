"""How a Hand thinks: a machine that decides turn by turn (pure), and the Hand that acts on it."""
