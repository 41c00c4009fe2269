"""Turns a provider's refusal, its status, headers and body, into a ModelFailed (pure).

Providers agree on little: OpenAI reports an empty account by 429, Google a wrong key by 400, Anthropic lack of credit by 400,
and an error may come in the middle of a stream whose status was 200. So the error's name decides first, then its words, then
the status. Sources: the error pages of both providers, and the SDKs' `_exceptions.py`.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Final

from runtime.models.drivers.hiding import hide_key
from runtime.models.failures import ModelFailed, code_of_status, set_address

WORDS: Final = 300
"""Characters of a provider's message that are passed on."""

WRONG_KEY: Final = "its key is wrong, expired or not allowed this"
"""Replaces a provider's message on a refused key, which may contain it."""

NO_RIGHT: Final = "its key may not use this model"
"""The text for a 403 without a message."""

_NAMED: Final = {
    "api_error": "server",
    "authentication_error": "key",
    "billing_error": "funds",
    "billing_hard_limit_reached": "funds",
    "content_filter": "refused",
    "content_policy_violation": "refused",
    "context_length_exceeded": "too_long",
    "engine_overloaded": "overloaded",
    "engine_overloaded_error": "overloaded",
    "exceeded_current_quota_error": "funds",
    "expired_api_key": "key",
    "insufficient_quota": "funds",
    "internal_server_error": "server",
    "invalid_api_key": "key",
    "invalid_authentication_error": "key",
    "model_not_found": "unknown_model",
    "not_found_error": "unknown_model",
    "overloaded_error": "overloaded",
    "permission_error": "forbidden",
    "rate_limit_error": "limited",
    "rate_limit_exceeded": "limited",
    "rate_limit_reached_error": "limited",
    "request_too_large": "too_long",
    "server_error": "server",
    "service_unavailable": "overloaded",
    "slow_down": "overloaded",
    "string_above_max_length": "too_long",
    "timeout_error": "slow",
}
_WORDED: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("funds", re.compile(r"credit balance|insufficient (?:balance|funds|credit)|payment required|out of credits")),
    (
        "key",
        re.compile(r"(?:invalid|incorrect|expired|no|missing) (?:x-)?api[ -_]?key|api[ _-]key (?:not valid|expired)"),
    ),
    (
        "too_long",
        re.compile(
            r"context (?:length|window|size)|maximum context|prompt is too long|too many (?:input )?tokens"
            r"|input (?:is )?too long|exceeds? (?:the )?(?:max|limit|available context).{0,40}token"
        ),
    ),
    (
        "unknown_model",
        re.compile(r"model.{0,120}(?:not found|does not exist|not exist|unknown)|(?:unknown|no such|invalid) model"),
    ),
    (
        "unfit",
        re.compile(
            r"(?:does not|doesn.t|do not|not) support.{0,40}(?:tool|function|image|vision|json_schema|response_format)"
            r"|(?:tool|function|image|vision|response_format).{0,40}(?:not supported|unsupported)"
            r"|invalid schema|schemas?.{0,40}(?:too complex|not supported|unsupported)"
        ),
    ),
    ("refused", re.compile(r"content (?:policy|filter|management)|usage polic(?:y|ies)|safety system")),
)
_DOUBTFUL: Final = frozenset({"request", "forbidden", "limited", "server"})
"""Codes of a status that words in the body may refine."""


def parse_refusal(
    provider: str, status: int, body: object, *, key: str = "", headers: Mapping[str, str] | None = None, now: float = 0
) -> ModelFailed:
    """Return the failure that a provider answered with. status: 200 in the middle of a stream. now: Unix seconds."""
    names, said = _names_and_words(body)
    code = _code(status, names, said.lower())
    after = retry_after(headers or {}, now)
    if 300 <= status < 400:
        return ModelFailed(
            "unconfigured",
            f"{provider} answers {status}, a redirect, which is not followed: if its address is another, "
            f"{set_address(provider)}",
            provider=provider,
        )
    name = f" ({names[0]})" if names else ""
    how = f"answered {status}{name}" if status >= 400 else f"broke off its answer with an error{name}"
    text = WRONG_KEY if code == "key" else printable(said, key) or (NO_RIGHT if code == "forbidden" else "")
    return ModelFailed(code, f"{provider} {how}{': ' if text else ''}{text}", after=after, provider=provider)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait by `retry-after-ms` or `Retry-After` (RFC 9110 §10.2.3: seconds or a date), else None."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        try:
            seconds = float(said) / unit
        except ValueError:
            continue
        if isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def printable(text: str, key: str = "") -> str:
    """Return a provider's text in one printable line of at most WORDS characters, without the key."""
    text = hide_key(text, key)[: 10 * WORDS]
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line if len(line) <= WORDS else f"{line[:WORDS]}…"


def _code(status: int, names: list[str], said: str) -> str:
    for name in names:
        if name in _NAMED:
            return _NAMED[name]
    code = _code_of_number(status, names)
    if code in _DOUBTFUL and status < 500:
        for better, pattern in _WORDED:
            if pattern.search(said) and (code != "limited" or better == "funds"):
                return better
    return code


def _code_of_number(status: int, names: list[str]) -> str:
    """Return the code for the status; within a stream, for a status among the error's names, else `server`."""
    if status >= 400:
        return code_of_status(status)
    for name in names:
        if re.fullmatch(r"[45]\d\d", name):
            return code_of_status(int(name))
    return "server"


def _names_and_words(body: object) -> tuple[list[str], str]:
    """Return an error's names, most exact first, and its message, of {"error": {…}}, {"error": "…"}, [{…}] or a text."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict | str):
        body = body["error"]
    if isinstance(body, str):
        return [], "" if body.lstrip().startswith("<") else body
    if not isinstance(body, dict):
        return [], ""
    names = [printable(str(body[name])) for name in ("code", "type", "status") if isinstance(body.get(name), str | int)]
    said = next(
        (body[name] for name in ("message", "detail", "error_description") if isinstance(body.get(name), str)), ""
    )
    return [name[:60].lower() for name in names], said
