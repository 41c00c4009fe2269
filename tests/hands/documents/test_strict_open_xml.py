"""Office files that were saved as "Strict Open XML" are read as all others are."""

import asyncio
import re
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.hands.documents.test_documents import Given, archive, docx, xlsx
from tests.hands.doubles import FakeCall, hand_module, seated

strict = hand_module("documents", "document_strict")


def made_strict(raw: bytes) -> bytes:
    with zipfile.ZipFile(BytesIO(raw)) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    for name, part in parts.items():
        if name != "[Content_Types].xml":  # and what belongs to the package is the same in both kinds
            named = re.sub(
                rb"http://schemas\.openxmlformats\.org/(?!package)(\w+)/2006/", rb"http://purl.oclc.org/ooxml/\1/", part
            )
            parts[name] = named.replace(b"extended-properties", b"extendedProperties")
    return archive(parts)


@pytest.mark.parametrize(
    ("raw", "words"), [(docx(), "Words, Wörter\na\tb\n"), (xlsx(), "day\tamount\n")], ids=["docx", "xlsx"]
)
def test_what_is_strict_reads_as_what_is_not(raw: bytes, words: str, tmp_path: Path) -> None:
    hand = seated(Given, "documents", tmp_path, {})
    told = []
    for hand.raw in (raw, made_strict(raw)):
        text, tables = (asyncio.run(ask(FakeCall("r/a"))) for ask in (hand.text, hand.tables))
        told.append((text, tables))
    assert told[0] == told[1]
    assert words in str(told[1][0]["text"])


def test_what_is_not_strict_stays_as_it_is() -> None:
    assert strict.as_transitional(raw := docx()) is raw
