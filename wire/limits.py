"""All limits of the bus (pure): sizes in bytes, times in milliseconds unless a name says otherwise.

The kernel enforces each limit on what it receives. The runtime checks them on what it sends, so that a well-behaved Hand
gets an exception instead of losing its link.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

HEADER_MAX: Final = 8 * KIB
"""Largest header, in bytes. Checked before any of it is decoded."""

BODY_MAX: Final = 1 * MIB
"""Largest body of a message, in bytes. Larger content is sent as chunks."""

NAMES_MAX: Final = 64
"""Most arguments of a kernel method."""

ARGUMENTS_MAX: Final = 64 * KIB
"""Most bytes of a Hand's arguments, and of a run's result, that the kernel decodes. What it only passes on does not count."""

CHUNK_SIZE: Final = 256 * KIB
"""Size of a chunk, in bytes, if the sender may choose it."""

METHOD_MAX: Final = 128
RESOURCE_MAX: Final = 1 * KIB
LABEL_MAX: Final = 64
LABELS_MAX: Final = 64
WHY_MAX: Final = 1 * KIB

WINDOW: Final = 8
"""Chunks that may be in flight in one direction of a call before the receiver gives more credit."""

GIVEN_BACK: Final = WINDOW // 2
"""Chunks that a run consumes before it gives credit for them, so that a short stream needs no such message."""

OWED: Final = GIVEN_BACK - 1
"""Consumed chunks for which a run may still owe credit. Two processes of a run may differ by this many."""

GIVEN_BACK_AFTER: Final = 1_000
"""Milliseconds after which a run gives credit for fewer, so that a slow reader can be seen to read."""

EVENT_WINDOW: Final = 64
"""Events that the kernel keeps for a subscriber without credit. Older ones are dropped and counted."""

EVENT_BYTES: Final = 20 * MIB
"""Bytes of their bodies, too, beyond which the kernel drops the older ones."""

CHAIN_MAX: Final = 16
"""Most calls in a chain of parents above a call."""

DEADLINE_DEFAULT: Final = 60_000
DEADLINE_MAX: Final = 7 * 24 * 3_600_000

PROTOCOL: Final = 1
"""Version of the bus protocol, sent in Hello."""
