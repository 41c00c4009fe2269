"""What a provider's refusal means: from its status, headers and body to a ModelFailed (pure).

Providers agree on little: OpenAI tells an empty account by 429, Google a wrong key by 400, Anthropic a want of money by 400,
and an error may come in the middle of a stream whose status was 200. So the error's own name is looked at first, then what
is said in words, then the status. Sources: the error pages of both providers, and the SDKs' `_exceptions.py`.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Final

from runtime.models.drivers.hiding import hidden
from runtime.models.failures import ModelFailed, code_of_status, set_address

WORDS: Final = 300
"""Characters of what a provider said that are told on."""

WRONG_KEY: Final = "its key is wrong, expired or not allowed this"
"""What is told of a key instead of what a provider said: that may hold it."""

NO_RIGHT: Final = "its key may not use this model"
"""What is told where a provider says no more than 403."""

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
_SAID: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
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
        ),
    ),
    ("refused", re.compile(r"content (?:policy|filter|management)|usage polic(?:y|ies)|safety system")),
)
_DOUBTFUL: Final = frozenset({"request", "forbidden", "limited", "server"})
"""Statuses' codes that words in the body may say better."""


def refusal(
    provider: str, status: int, body: object, *, key: str = "", headers: Mapping[str, str] | None = None, now: float = 0
) -> ModelFailed:
    """The failure that a provider answered with. status: 200 for one in the middle of a stream. now: Unix seconds."""
    names, said = _names_and_words(body)
    code = _code(status, names, said.lower())
    after = retry_after(headers or {}, now)
    if 300 <= status < 400:
        return ModelFailed(
            "unconfigured",
            f"{provider} answers {status}, which leads to another address; nothing is sent there: if you mean that "
            f"one, {set_address(provider)}",
            provider=provider,
        )
    name = f" ({names[0]})" if names else ""
    how = f"answered {status}{name}" if status >= 400 else f"broke off its answer with an error{name}"
    told = WRONG_KEY if code == "key" else plain(said, key) or (NO_RIGHT if code == "forbidden" else "")
    return ModelFailed(code, f"{provider} {how}{': ' if told else ''}{told}", after=after, provider=provider)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, by `retry-after-ms` or `Retry-After` (RFC 9110 §10.2.3: seconds, or a date). None for neither."""
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


def plain(text: str, key: str = "") -> str:
    """What a provider said, fit to be told: one line, not long, without the key."""
    text = hidden(text, key)[: 10 * WORDS]
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= WORDS else f"{line[:WORDS]}…"


def _code(status: int, names: list[str], said: str) -> str:
    for name in names:
        if name in _NAMED:
            return _NAMED[name]
    code = _of_number(status, names)
    if code in _DOUBTFUL and status < 500:
        for better, pattern in _SAID:
            if pattern.search(said) and (code != "limited" or better == "funds"):
                return better
    return code


def _of_number(status: int, names: list[str]) -> str:
    """By the status; of an error within a stream, by the status that it names as its code, if it does."""
    if status >= 400:
        return code_of_status(status)
    for name in names:
        if re.fullmatch(r"[45]\d\d", name):
            return code_of_status(int(name))
    return "server"


def _names_and_words(body: object) -> tuple[list[str], str]:
    """Its names, the most exact first, and its words. Bodies: {"error": {…}} or {"error": "…"}, a list of one, a text."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict | str):
        body = body["error"]
    if isinstance(body, str):
        return [], "" if body.lstrip().startswith("<") else body
    if not isinstance(body, dict):
        return [], ""
    names = [plain(str(body[name]), "") for name in ("code", "type", "status") if isinstance(body.get(name), str | int)]
    said = next(
        (body[name] for name in ("message", "detail", "error_description") if isinstance(body.get(name), str)), ""
    )
    return [name[:60].lower() for name in names], said
