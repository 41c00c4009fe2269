"""A process that stores, changes and forgets fragments until it is killed, and says each that is on the disk (acts)."""

import random
import sys
import time
from pathlib import Path

from memory import vectors
from memory.arrays import np
from memory.fragments import Changes, New, add, forget, update
from memory.store import Store


def main(path: str, seed: int) -> None:
    """Write without end; each line is what is durable: `+ space number text`, `= space number text`, `- space number`."""
    rng = random.Random(seed)
    store = Store(Path(path), now=lambda: time.time_ns() // 1_000)
    model = vectors.register(store, "m/1", 64)
    live: list[tuple[str, int]] = []
    print("ready", flush=True)
    for step in range(1_000_000):
        what = rng.random()
        if what < 0.7 or not live:
            space, text = rng.choice(("", "s")), f"text {seed} {step} {rng.random()}"
            number = add(store, space, New(text=text, source="a")).number
            live.append((space, number))
            print("+", space or "-", number, text, flush=True)
        elif what < 0.8:
            space, number = rng.choice(live)
            text = f"changed {seed} {step}"
            update(store, space, number, Changes(text=text))
            print("=", space or "-", number, text, flush=True)
        elif what < 0.9:
            space, number = live.pop(rng.randrange(len(live)))
            print("?", space or "-", number, flush=True)  # may be gone from here on
            forget(store, space, number)
            print("-", space or "-", number, flush=True)
        elif waiting := vectors.waiting(store, model, 8):
            rows = np.random.default_rng(step).standard_normal((len(waiting), 64)).astype(np.float32)
            vectors.keep(store, model, [one.chunk for one in waiting], rows)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
