"""Checks that an OAuth redirect belongs to the login that was started (pure).

RFC 6749, section 10.12: the login's page gets a secret `state`, which its redirect repeats.
"""

import hmac
from typing import Final
from urllib.parse import parse_qs

FIELDS_MOST: Final = 32


def state_of(address: str) -> str:
    """Return the one `state` in a URL's query, "" if it has none or several."""
    query = address.partition("?")[2].partition("#")[0]
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=FIELDS_MOST).get("state", ())
    except ValueError:
        return ""
    return given[0] if len(given) == 1 else ""


def has_state(address: str, state: str) -> bool:
    """Whether a URL has this state, compared in constant time; False for an empty state."""
    return bool(state) and hmac.compare_digest(
        state_of(address).encode("utf-8", "replace"), state.encode("utf-8", "replace")
    )
