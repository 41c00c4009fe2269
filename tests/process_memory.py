"""Reads the memory of another process, which only its user or root may (acts)."""

import os
from collections.abc import Iterator
from mmap import PAGESIZE


def memory_of(pid: int, mode: str) -> Iterator[bytes]:
    """What each mapping of a process holds whose permissions begin with `mode`, without pages that nobody can read."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, permissions, *_ = line.split()
            if permissions.startswith(mode) and "[v" not in line:
                first, end = (int(one, 16) for one in span.split("-"))
                try:
                    yield os.pread(memory.fileno(), end - first, first)
                except OSError:  # glibc 2.42 makes guard pages of a stack within its mapping
                    yield b"".join(_page(memory.fileno(), place) for place in range(first, end, PAGESIZE))


def _page(memory: int, place: int) -> bytes:
    try:
        return os.pread(memory, PAGESIZE, place)
    except OSError:
        return b""
