"""A document of pictures alone is told of as that: it has no text to be read."""

import asyncio
from pathlib import Path

import pytest

from tests.hands.documents.test_documents import Given, pdf
from tests.hands.doubles import FakeCall, seated


@pytest.mark.parametrize(("raw", "offset", "is_told"), [(pdf(), 0, True), (pdf("a"), 0, False), (pdf("a"), 9, False)])
def test_a_pdf_that_has_no_text_is_told_to_be_perhaps_a_scan(
    tmp_path: Path, raw: bytes, offset: int, is_told: bool
) -> None:
    hand = seated(Given, "documents", tmp_path, {})
    hand.raw = raw
    reply = asyncio.run(hand.text(FakeCall("r/a"), offset=offset))
    assert ("may be a scan" in reply.get("note", "")) is is_told
