"""Whether what came back from a page answers the one that was shown (pure).

RFC 6749, section 10.12: whoever is shown a page is given a `state`, which its answer repeats, and which nobody else can know.
"""

import hmac
from typing import Final
from urllib.parse import parse_qs

FIELDS_MOST: Final = 32


def state_of(address: str) -> str:
    """The one `state` in an address's query, "" for an address with none, or several."""
    query = address.partition("?")[2].partition("#")[0]
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=FIELDS_MOST).get("state", ())
    except ValueError:
        return ""
    return given[0] if len(given) == 1 else ""


def answers(address: str, state: str) -> bool:
    """Whether it has this very state; nothing answers a page without one."""
    return bool(state) and hmac.compare_digest(
        state_of(address).encode("utf-8", "replace"), state.encode("utf-8", "replace")
    )
