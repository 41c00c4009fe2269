"""A clock that a test moves (pure)."""

NOW = 1_700_000_000_000_000


class Clock:
    """Answers the same time, in microseconds, until it is set to another."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> int:
        return self.time
