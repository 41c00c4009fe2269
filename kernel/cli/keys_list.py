"""`maniple keys list` (acts)."""

import time

from msgspec import Struct

from kernel.cli import logbook, screen
from kernel.cli.frame import Session, command
from manifests.grants import as_text
from manifests.trust import EVERYTHING, TrustedKey
from wire.entries import time_text


class KeyReply(Struct, frozen=True):
    """The reply of kernel.key-add, key-rotate and key-revoke: the key that was added or revoked."""

    key: TrustedKey


@command()
def keys_list(session: Session) -> None:
    """List the trusted keys, the Hands that each may seal, and the most these may be granted; and the log's own key.

    They are read from the log, so the kernel need not run. With --json each is a verifier key that others can use.
    """
    trusted = logbook.trusted_keys(session.home).keys
    log = logbook.public_key(session.home)
    now = time.time_ns() // 1000
    session.result(
        {"keys": [row_of(key, now) for key in trusted], "log": log.text()},
        lambda: "\n".join([_drawn(trusted, now), "", f"The log is signed by {log.text()}"]).strip(),
    )


def row_of(key: TrustedKey, now: int) -> dict[str, object]:
    """The JSON row of a key, for all commands about keys. now: microseconds since the epoch."""
    return {
        "id": key.id,
        "name": key.name,
        "key": key.verify_key.text(),
        "hands": key.hands,
        "most": key.most,
        "state": _state(key, now),
        "expires": time_text(key.expires) if key.expires else None,
    }


def _state(key: TrustedKey, now: int) -> str:
    if key.revoked is not None:
        return "revoked"
    return "expired" if key.expires is not None and now >= key.expires else "trusted"


def _drawn(trusted: tuple[TrustedKey, ...], now: int) -> str:
    if not trusted:
        return ""
    return screen.table(
        ("ID", "NAME", "STATE", "SEALS", "MOST", "UNTIL"),
        (
            (
                key.id,
                key.name,
                _state(key, now),
                ", ".join(key.hands) or "nothing",
                "everything" if key.most == EVERYTHING else "; ".join(map(as_text, key.most)),
                screen.moment(time_text(key.expires)) if key.expires else "",
            )
            for key in trusted
        ),
    )
