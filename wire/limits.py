"""Every limit of the bus in one place (pure): sizes in bytes, times in milliseconds unless a name says otherwise.

The kernel enforces each of them on what it receives; the runtime keeps within them on what it sends, so that a
well-behaved Hand gets its error at home instead of losing its link.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

HEADER_MAX: Final = 8 * KIB
"""Largest header accepted, in bytes. Checked before a byte of it is decoded."""

BODY_MAX: Final = 1 * MIB
"""Largest body of one message, in bytes. Larger content travels as chunks."""

NAMES_MAX: Final = 64
"""Most arguments of one of the kernel's own methods."""

ARGUMENTS_MAX: Final = 64 * KIB
"""Most bytes that the kernel reads of a Hand's arguments, and of a run's result. What it only passes on does not count."""

CHUNK_SIZE: Final = 256 * KIB
"""Size of a chunk, in bytes, where the provider may choose it."""

METHOD_MAX: Final = 128
RESOURCE_MAX: Final = 1 * KIB
LABEL_MAX: Final = 64
LABELS_MAX: Final = 64
WHY_MAX: Final = 1 * KIB

WINDOW: Final = 8
"""Chunks that may be under way in one direction of one call before the receiver gives more credit."""

GIVEN_BACK: Final = WINDOW // 2
"""Chunks that a run consumes before it gives credit back for them. So a short stream needs no such message."""

OWED: Final = GIVEN_BACK - 1
"""Consumed chunks for which a run may still owe credit. Two processes of one run may differ by this many."""

GIVEN_BACK_AFTER: Final = 1_000
"""Milliseconds after which a run gives credit back for fewer, so that a slow reader is seen to read."""

EVENT_WINDOW: Final = 64
"""Events the kernel keeps for one subscriber that has no credit left; older ones are dropped and counted."""

CHAIN_MAX: Final = 16
"""Calls above a call: a chain of parents is at most this deep."""

DEADLINE_DEFAULT: Final = 60_000
DEADLINE_MAX: Final = 7 * 24 * 3_600_000

PROTOCOL: Final = 1
"""Version of the bus protocol, sent in Hello."""
