"""What a library cannot read, or has no memory for, is told as that and is no fault of the Hand."""

import io

import pytest
from lxml import etree
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from runtime import Failure
from tests.hands.doubles import hand_module

main = hand_module("documents", "main")
READERS = {name: hand_module("documents", f"reading_{name}") for name in ("pdf", "docx", "xlsx", "html")}


def test_a_pdf_packed_in_a_way_that_needs_a_program_is_told_as_one_that_cannot_be_read() -> None:
    writer = PdfWriter()
    content = DecodedStreamObject()
    content.set_data(b"BT ET")
    content[NameObject("/Filter")] = NameObject("/JBIG2Decode")
    page = writer.add_blank_page(600, 800)
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): DictionaryObject()})
    page[NameObject("/Contents")] = writer._add_object(content)
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(READERS["pdf"].BROKEN):
        list(READERS["pdf"].text(out.getvalue()))


@pytest.mark.parametrize("name", ["docx", "xlsx", "html"])
def test_a_parser_that_has_no_memory_left_is_told_as_that_and_not_as_a_broken_document(name: str) -> None:
    error = etree.XMLSyntaxError("unknown error", 2, 0, 0)  # as lxml raises it, which takes 500 MB to bring about
    with pytest.raises(Failure) as raised, main._as_failures("r/a.pdf") as reading:
        reading.broken = READERS[name].BROKEN
        raise error
    assert (raised.value.code, str(raised.value)[:8]) == ("too large", "r/a.pdf:")
