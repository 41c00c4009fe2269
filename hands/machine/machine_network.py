"""The counters of this machine's network interfaces, from /sys (acts).

A run has a network namespace of its own, and /proc/net shows that one, which has nothing but an idle loopback. /sys shows
the namespace that it was mounted in: the machine's.
"""

import os
from typing import Final

from machine_rates import sendable

INTERFACES: Final = "/sys/class/net"

_UP: Final = 1  # IFF_UP of netdevice(7)
_CARRYING: Final = ("up", "unknown")  # "unknown" is the state of a loopback or a tunnel, which has no carrier to lose


def interfaces() -> list[dict[str, object]]:
    """One row per interface, by name; one that vanishes meanwhile is left out. Raises OSError if there is no such list."""
    rows: list[dict[str, object]] = []
    for name in sorted(os.listdir(INTERFACES)):
        try:
            rows.append(_row(name))
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone, or no interface: the file `bonding_masters`
    return rows


def _row(name: str) -> dict[str, object]:
    def count(counter: str) -> int:
        return int(_read(name, f"statistics/{counter}"))

    return {
        "name": sendable(name),
        "up": bool(int(_read(name, "flags"), 16) & _UP) and _read(name, "operstate") in _CARRYING,
        "received_bytes": count("rx_bytes"),
        "sent_bytes": count("tx_bytes"),
        "errors": count("rx_errors") + count("tx_errors"),
        "drops": count("rx_dropped") + count("tx_dropped"),
    }


def _read(name: str, file: str) -> str:
    with open(f"{INTERFACES}/{name}/{file}", encoding="ascii") as opened:
        return opened.read().strip()
