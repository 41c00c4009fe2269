"""The ways in which a provider can fail, in one table, and the error that names a row of it (pure).

A driver raises ModelFailed and nothing else: each exception of an SDK, each error status and each broken stream becomes one.
Its text says what happened at which provider, without a key, a body or a header of the request. Cancellation is never a
ModelFailed. The codes are also those of the call's Failed, so a Hand may decide by them.

Retries, failover and the breaker go by `KINDS` alone; but after text was shown, nothing is tried again, whatever it says.
"""

from typing import Final

from msgspec import Struct

from wire.errors import ManipleError


class Kind(Struct, frozen=True, kw_only=True):
    """again: the same model may answer the same request later. elsewhere: another provider's model may answer it.

    against: it counts against the provider in its breaker. words: when you get this one.
    """

    again: bool
    elsewhere: bool
    against: bool
    words: str


def _kind(words: str, *, again: bool = False, elsewhere: bool = True, against: bool = False) -> Kind:
    return Kind(again=again, elsewhere=elsewhere, against=against, words=words)


KINDS: Final[dict[str, Kind]] = {
    "limited": _kind("too many requests or tokens for now (429)", again=True),
    "overloaded": _kind("the provider has no room for now (503, 529)", again=True, against=True),
    "server": _kind("the provider's own error (other 5xx)", again=True, against=True),
    "unreachable": _kind("no connection: name, address, TLS", again=True, against=True),
    "slow": _kind("no first byte in time", again=True, against=True),
    "silent": _kind("the stream stood still for too long", again=True, against=True),
    "cut": _kind("the stream ended before the answer did", again=True, against=True),
    "malformed": _kind("the answer breaks the protocol: wrong JSON, wrong order", again=True, against=True),
    "endless": _kind("the answer is larger than an answer may be, and would be again", against=True),
    "key": _kind("the key is wrong, expired or not allowed this (401)", against=True),
    "forbidden": _kind("the key may not use this model (403): it may use others of the same provider"),
    "funds": _kind("the account has no money or quota left (402, 429 that says so)", against=True),
    "unknown_model": _kind("the provider has no such model (404), or answered with another one"),
    "too_long": _kind("the request is longer than the model's window"),
    "unfit": _kind("the model cannot do what the request needs: tools, images, a schema"),
    "schema": _kind("the answer does not fit the schema, after a second try"),
    "refused": _kind("the provider's rules forbid the request, before any answer", elsewhere=False),
    "request": _kind("the provider says that the request itself is wrong (other 4xx)", elsewhere=False),
    "unconfigured": _kind("what the call needs is not set up; the text says how to"),
    "paused": _kind("the breaker of the provider is open after failures; the text says until when"),
    "over_most": _kind("the call could cost more than its `most`, or than budgets leave; another model may be cheaper"),
}


class ModelFailed(ManipleError):
    """You get this one when a provider did not answer, or not to the end. code: a row of KINDS; text: one sentence.

    after: seconds that the provider asked to wait (Retry-After), None if it did not. provider: the one that failed.
    """

    def __init__(self, code: str, text: str, *, after: float | None = None, provider: str = "") -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.after = after
        self.provider = provider

    @property
    def kind(self) -> Kind:
        """The row of its code."""
        return KINDS[self.code]


def code_of_status(status: int) -> str:
    """Return the code for an HTTP error status; drivers use it only if the body says nothing more exact."""
    if status in _STATUSES:
        return _STATUSES[status]
    return "server" if status >= 500 else "request"


LARGER_WINDOW: Final = "`maniple models list` shows models with larger windows"
"""What helps a request that is longer than its model's window."""


def set_address(provider: str) -> str:
    """Return the command that sets a provider's address."""
    return f'`maniple settings model \'addresses={{"{provider}": "http://127.0.0.1:8080/v1"}}\'`'


_STATUSES: Final = {
    401: "key", 402: "funds", 403: "forbidden", 404: "unknown_model", 408: "slow", 413: "too_long", 429: "limited",
    503: "overloaded", 504: "slow", 529: "overloaded",
}  # fmt: skip
