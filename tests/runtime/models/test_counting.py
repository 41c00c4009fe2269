"""Tokens are estimated rather too high: a request that is longer than was counted does not fit, or costs more."""

import base64
import hashlib

import pytest

from runtime.models import counting

_RANDOM = b"".join(hashlib.sha256(bytes([one])).digest() for one in range(30))

TEXTS = {
    "prose": "Hands run as confined processes under a small kernel, which carries every message between them. " * 20,
    "code": "    def find(self, name: str) -> Kept | None:\n        return self._kept.get(name)\n" * 20,
    "names": "getSomeVeryLongMethodNameForUserAndThenReturn " * 40,
    "JSON": '{"id": 7, "name": "Item", "tags": ["x", "y"], "ok": true}\n' * 30,
    "a table": f"{'item':<40}|{'7':>30}|\n" * 40,
    "base64": base64.b64encode(_RANDOM).decode(),
    "hex": _RANDOM.hex(),
    "capitals": "THE KERNEL CARRIES EVERY MESSAGE BETWEEN CONFINED PROCESSES. " * 20,
    "spaces": " " * 20_000,
    "white space": " \t\n" * 1_000,
    "German": "Donaudampfschifffahrtsgesellschaft Grundstücksverkehrsgenehmigungszuständigkeit " * 20,
    "Hindi": "स्वायत्त एजेंट सीमित प्रक्रियाओं के रूप में चलते हैं। " * 20,
    "Chinese": "人工智能操作系统在受限进程中运行自主代理。" * 20,
    "signs": "∑∫√≈≠≤≥∞∂∇" * 60,
}
TOKENS = {
    "prose": 341,
    "code": 480,
    "names": 441,
    "JSON": 780,
    "a table": 280,
    "base64": 931,
    "hex": 1_084,
    "capitals": 301,
    "spaces": 157,
    "white space": 1_000,
    "German": 522,
    "Hindi": 1_021,
    "Chinese": 420,
    "signs": 1_200,
}
"""What byte-pair encodings have: the larger number of cl100k_base and o200k_base."""


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_has_hardly_more_tokens_than_are_counted(kind: str) -> None:
    assert counting.of_text(TEXTS[kind]) >= 0.8 * TOKENS[kind]


@pytest.mark.parametrize("kind", ["prose", "code", "JSON", "names", "a table"])
def test_what_is_read_most_is_not_counted_twice(kind: str) -> None:
    assert counting.of_text(TEXTS[kind]) <= 1.6 * TOKENS[kind]
