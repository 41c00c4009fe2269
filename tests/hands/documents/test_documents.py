"""Documents of each kind are read as they are, and those that are traps are refused by name."""

import asyncio
import io
import time
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from docx import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.table import _Cell
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from tests.hands.doubles import FakeCall, hand_module, seated
from tests.spread import spread
from wire.codec import encode_body

main = hand_module("documents", "main")
kinds = hand_module("documents", "document_kinds")
DocumentRefused = hand_module("documents", "document_refusal").DocumentRefused
row_of = hand_module("documents", "document_table").row_of
READERS = {name: hand_module("documents", f"reading_{name}") for name in ("pdf", "docx", "xlsx", "html")}


def pdf(*lines: str, password: str = "", letters: DecodedStreamObject | None = None) -> bytes:
    """A page with these lines in a fixed-width font. letters: what its bytes mean, as a table of the font's own."""
    writer = PdfWriter()
    page = writer.add_blank_page(600, 800)
    font = DictionaryObject(
        {NameObject(key): NameObject(value) for key, value in
         (("/Type", "/Font"), ("/Subtype", "/Type1"), ("/BaseFont", "/Courier"))}
    )  # fmt: skip
    if letters is not None:
        font[NameObject("/ToUnicode")] = writer._add_object(letters)
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F"): font})})
    content = DecodedStreamObject()
    shown = "".join(f"BT /F 10 Tf 50 {750 - 14 * at} Td ({line}) Tj ET\n" for at, line in enumerate(lines))
    content.set_data(shown.encode())
    page[NameObject("/Contents")] = writer._add_object(content)
    writer.add_metadata({"/Title": "Letter"})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx() -> bytes:
    made = Document()
    made.core_properties.title = "Minutes"
    made.add_heading("First", 1)
    made.styles.add_style("Heading \u00b2", WD_STYLE_TYPE.PARAGRAPH)
    made.add_paragraph("Squared", "Heading \u00b2")
    made.add_paragraph("Words, Wörter")
    table = made.add_table(rows=2, cols=2)
    for at, text in enumerate(("a", "b", "c", "d")):
        table.cell(at // 2, at % 2).text = text
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def xlsx(*rows: tuple[object, ...]) -> bytes:
    book = openpyxl.Workbook()
    book.properties.title = "Numbers"
    sheet = book.active
    assert sheet is not None
    sheet.title = "Sales"
    for row in rows or (("day", "amount"), (date(2026, 6, 1), 1.5), (None, None), ("=1+1", True)):
        sheet.append(row)
    book.create_sheet("Empty")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


PAGE = b"""<!doctype html><html><head><title> A  page </title><style>p { x }</style></head><body><h1>Head</h1>
<p>one <b>two</b> three<!-- not --> four<script>alert(1)</script> five</p><noscript>no</noscript>
<table><tr><th>a</th><td>1<table><tr><td>in</td></tr></table></td></tr><tr><td>b</td></tr></table></body></html>"""


def rows(name: str, raw: bytes) -> dict[str, list[list[object]]]:
    return {table.name: [row_of(row) for row in table.rows] for table in READERS[name].tables(raw)}


def test_each_kind_is_known_by_its_bytes() -> None:
    made = {kinds.PDF: pdf("a"), kinds.DOCX: docx(), kinds.XLSX: xlsx(), kinds.HTML: PAGE}
    for kind, raw in made.items():
        assert kinds.kind_of(raw) == kind
    for raw in (b"", b"text", b"\x89PNG\0", b"GIF89a<html", b"\0<html>"):
        with pytest.raises(DocumentRefused) as refused:
            kinds.kind_of(raw) if raw != b"GIF89a<html" else kinds.kind_of(b"GIF89a\0<html")
        assert refused.value.code == "unknown type"


def test_text_and_tables_of_a_pdf() -> None:
    raw = pdf("Hello there", "day     amount", "Monday       3", "Tuesday     14", "The end")
    assert "Hello there" in "".join(READERS["pdf"].text(raw))
    assert READERS["pdf"].title(raw) == "Letter"
    assert rows("pdf", raw) == {"1.1": [["day", "amount"], ["Monday", "3"], ["Tuesday", "14"]]}


def test_half_a_letter_that_a_pdf_names_can_be_sent() -> None:
    halves = DecodedStreamObject()
    halves.set_data(
        b"begincmap 1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <41> <D800> endbfchar endcmap"
    )
    raw = pdf("A1     b", "A2     c", letters=halves)
    assert rows("pdf", raw) == {"1.1": [["?1", "b"], ["?2", "c"]]}


def test_text_and_tables_of_a_docx() -> None:
    assert "".join(READERS["docx"].text(docx())) == "# First\nSquared\nWords, Wörter\na\tb\nc\td\n"
    assert READERS["docx"].title(docx()) == "Minutes"
    assert rows("docx", docx()) == {"1": [["a", "b"], ["c", "d"]]}


def test_text_and_tables_of_an_xlsx() -> None:
    found = rows("xlsx", xlsx())
    assert found["Sales"][:2] == [["day", "amount"], ["2026-06-01T00:00:00", 1.5]]
    assert found["Sales"][3] == [None, True]  # nobody has calculated it
    assert found["Empty"] == []
    assert "day\tamount\n" in "".join(READERS["xlsx"].text(xlsx()))
    assert READERS["xlsx"].title(xlsx()) == "Numbers"


def test_text_and_tables_of_a_page() -> None:
    assert "".join(READERS["html"].text(PAGE)) == "Head\none two three four five\na 1\nin\nb\n"
    assert READERS["html"].title(PAGE) == "A page"
    assert rows("html", PAGE) == {"1": [["a", "1 in"], ["b"]], "2": [["in"]]}
    latin = '<html><meta charset="latin-1"><p>Ä</p></html>'.encode("latin-1")
    assert "".join(READERS["html"].text(latin)) == "Ä\n"


class Given(main.Documents):  # type: ignore[misc,name-defined]  # a Hand's class, which is loaded by its path
    """The Hand, with a document that nobody had to read for it."""

    raw = b""

    async def _document(self, call: object) -> bytes:
        return self.raw


def tables(folder: Path, raw: bytes, **arguments: object) -> list[dict[str, Any]]:
    """Of a reply, which is one that can be sent."""
    hand = seated(Given, "documents", folder, {})
    hand.raw = raw
    reply: dict[str, Any] = asyncio.run(hand.tables(FakeCall("r/a"), **arguments))
    encode_body(reply)
    return list(reply["tables"])


@pytest.mark.wide
def test_a_row_that_is_larger_than_a_reply_is_cut_and_what_has_no_room_is_left_to_the_next(tmp_path: Path) -> None:
    wide = ["語" * 2_000] * 256
    packed = xlsx(("first", 1), tuple(wide), tuple(wide), ("last", 2))
    with zipfile.ZipFile(io.BytesIO(packed)) as made:
        raw = archive({one: made.read(one) for one in made.namelist()}, zipfile.ZIP_STORED)

    rows: list[list[object]] = []
    for _ in range(9):
        (found,) = tables(tmp_path, raw, table="Sales", offset=len(rows))
        assert found["rows"]
        rows += found["rows"]
        if not found["more"]:
            break
    assert (rows[0], rows[3], len(rows)) == (["first", 1], ["last", 2], 4)
    assert rows[1] == rows[2] == ["語" * 500 + "…"] * 256


def test_a_table_is_found_by_the_beginning_of_a_name_that_is_too_long_to_be_told(tmp_path: Path) -> None:
    raw = with_part(xlsx(), "xl/workbook.xml", part_of(xlsx(), "xl/workbook.xml").replace(b"Sales", b"x" * 1_200_000))
    assert [one["name"] for one in tables(tmp_path, raw)] == ["x" * 300, "Empty"]
    (found,) = tables(tmp_path, raw, table="x" * 300)
    assert found["rows"]


# traps ---------------------------------------------------------------------------------------------------------------


def archive(parts: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as made:
        for name, raw in parts.items():
            made.writestr(name, raw)
    return out.getvalue()


def part_of(raw: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as made:
        return made.read(name)


def with_part(raw: bytes, name: str, part: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as old:
        return archive({one: old.read(one) for one in old.namelist()} | {name: part})


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">%s]><l>&j;</l>' % b"".join(
    b'<!ENTITY %c "%s">' % (ord("b") + at, b"&%c;" % (ord("a") + at) * 10) for at in range(9)
)
EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>'


def renamed(sheet: bytes) -> bytes:
    """A workbook whose sheet is found by what the other parts say of it, and not by its name."""
    with zipfile.ZipFile(io.BytesIO(xlsx())) as old:
        parts = {one: old.read(one).replace(b"sheet1.xml", b"sheet1.dat") for one in old.namelist()}
    del parts["xl/worksheets/sheet1.xml"]
    return archive(parts | {"xl/worksheets/sheet1.dat": sheet})


SHEET = b"""<?xml version="1.0"?><!DOCTYPE worksheet [%s]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="str"><v>%s</v>
</c></row></sheetData></worksheet>"""


def overlapping() -> bytes:
    """Two names for the same bytes, as in zip bombs that do not nest."""
    raw = bytearray(archive({"xl/workbook.xml": b"a" * 100, "xl/workbook.xmk": b"a" * 100}, zipfile.ZIP_STORED))
    first, second = raw.find(b"PK\x01\x02"), raw.rfind(b"PK\x01\x02")
    raw[second + 42 : second + 46] = raw[first + 42 : first + 46]
    return bytes(raw)


IN_UTF_7 = b'<?xml version="1.0"%s encoding="utf-7"?>' + LAUGHS.partition(b"?>")[2].replace(b"<!", b"+ADwAIQ-")
PARTS = {"word/document.xml": b"<a/>"}

# Each is made when its test runs: made here, they would be made by every process that collects tests.
TRAPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "zeroes": (lambda: archive({"word/document.xml": b"\0" * (40 << 20)}), "bomb"),
    "many parts": (lambda: archive({f"word/{at}.xml": b"" for at in range(5001)}, zipfile.ZIP_STORED), "bomb"),
    "together": (lambda: archive({f"xl/{at}.bin": bytes(4 << 20) for at in range(33)}), "bomb"),
    "overlapping": (overlapping, "bomb"),
    "laughs": (lambda: with_part(docx(), "word/document.xml", LAUGHS), "bomb"),
    "external": (lambda: with_part(xlsx(), "xl/workbook.xml", EXTERNAL), "bomb"),
    "utf-16": (lambda: with_part(docx(), "word/document.xml", LAUGHS.decode().encode("utf-16")), "bomb"),
    "utf-32": (lambda: with_part(docx(), "word/document.xml", LAUGHS.decode().encode("utf-32-be")), "broken"),
    "utf-7": (lambda: with_part(docx(), "word/document.xml", IN_UTF_7 % b""), "broken"),
    "utf-7, far": (lambda: with_part(docx(), "word/document.xml", IN_UTF_7 % (b" " * 70_000)), "broken"),
    "spoiled lzma": (lambda: archive(PARTS, zipfile.ZIP_LZMA).replace(b"\5\0]", b"\5\0\xff", 1), "broken"),
    "lzma": (lambda: archive(PARTS, zipfile.ZIP_LZMA), "broken"),
    "in relations": (lambda: with_part(docx(), "_rels/.rels", EXTERNAL), "bomb"),
    "of another name": (lambda: renamed(SHEET % (b'<!ENTITY a "ha">', b"&a;")), "bomb"),
    "of another name, utf-16": (
        lambda: renamed((SHEET % (b'<!ENTITY a "ha">', b"&a;")).decode().encode("utf-16")), "bomb"),
    "of another name, defaults": (lambda: renamed(SHEET % (b'<!ATTLIST v x CDATA "ha">', b"")), "bomb"),
    "cut": (lambda: docx()[:-200], "broken"),
    "other archive": (lambda: archive({"a.txt": b"a"}), "unknown type"),
    "old office": (lambda: b"\xd0\xcf\x11\xe0" + bytes(512), "encrypted"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_refused_before_it_is_unpacked(name: str) -> None:
    made, code = TRAPS[name]
    raw = made()
    began = time.monotonic()
    with pytest.raises(DocumentRefused) as refused:
        kinds.kind_of(raw)
    assert refused.value.code == code
    assert time.monotonic() - began < 10


def test_a_picture_in_a_document_may_name_its_document_type() -> None:
    svg = b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd"><svg/>'
    assert kinds.kind_of(with_part(docx(), "word/media/image1.svg", svg)) == kinds.DOCX


def test_a_pdf_with_a_password_is_told() -> None:
    with pytest.raises(DocumentRefused) as refused:
        list(READERS["pdf"].text(pdf("a", password="x")))
    assert refused.value.code == "encrypted"


def test_a_sheet_that_lies_about_its_size_is_read_as_it_is() -> None:
    raw = xlsx(("a", 1))
    with zipfile.ZipFile(io.BytesIO(raw)) as old:
        sheet = old.read("xl/worksheets/sheet1.xml")
    lying = sheet.replace(b'ref="A1:B1"', b'ref="A1:XFD1048576"')
    assert lying != sheet
    assert rows("xlsx", with_part(raw, "xl/worksheets/sheet1.xml", lying))["Sales"] == [["a", 1]]


def renumbered(number: bytes) -> bytes:
    """A sheet whose second row has this number."""
    raw = xlsx(("a", 1), ("b", 2))
    with zipfile.ZipFile(io.BytesIO(raw)) as old:
        sheet = old.read("xl/worksheets/sheet1.xml")
    far = sheet.replace(b'<row r="2"', b'<row r="' + number + b'"')
    assert far != sheet
    return with_part(raw, "xl/worksheets/sheet1.xml", far)


def all_text(raw: bytes) -> str:
    return "".join(READERS["xlsx"].text(raw))


def all_rows(raw: bytes) -> object:
    return rows("xlsx", raw)


@pytest.mark.wide
@pytest.mark.parametrize(
    ("number", "read"),
    spread(
        [
            (b"999999999999", all_text),
            (b"1048577", all_rows),
            (b"1e12", all_text),
            pytest.param(b"999999999999", all_rows, marks=pytest.mark.soak),
            pytest.param(b"1048577", all_text, marks=pytest.mark.soak),
            pytest.param(b"1e12", all_rows, marks=pytest.mark.soak),
        ],
        1,
    ),
)
def test_a_row_number_that_no_sheet_has_is_refused_in_little_time(
    number: bytes, read: Callable[[bytes], object]
) -> None:
    """As text or as a table, the rows come from the same place: each number is asked for in one way here, in both in soak."""
    began = time.process_time()
    with pytest.raises(DocumentRefused, match="'Sales' has a row beyond 1048576") as refused:
        read(renumbered(number))
    assert refused.value.code == "broken"
    assert time.process_time() - began < 10


@pytest.mark.wide
def test_the_last_row_of_a_sheet_is_read_in_little_time() -> None:
    began = time.process_time()
    assert "".join(READERS["xlsx"].text(renumbered(b"1048576"))) == "# Sales\na\t1\nb\t2\n# Empty\n"
    assert time.process_time() - began < 10


def test_a_page_that_is_nested_deeply_is_read_in_little_time() -> None:
    began = time.monotonic()
    list(READERS["html"].text(b"<html>" + b"<div><table><tr><td>" * 100_000 + b"x"))
    assert time.monotonic() - began < 20


def test_a_document_of_many_paragraphs_is_read_in_time_proportional_to_them() -> None:
    with zipfile.ZipFile(io.BytesIO(docx())) as archive_of:
        part = archive_of.read("word/document.xml")
    raw = with_part(docx(), "word/document.xml", part.replace(b"<w:sectPr", b"<w:p/>" * 20_000 + b"<w:sectPr", 1))
    began = time.process_time()
    assert "".join(READERS["docx"].text(raw)).startswith("# First\nSquared\nWords")
    assert time.process_time() - began < 5


def test_merged_cells_come_once_for_each_place_that_they_cover() -> None:
    made = Document()
    table = made.add_table(rows=4, cols=4)
    for at in range(16):
        table.cell(at // 4, at % 4).text = str(at)
    for first, last, text in (((0, 0), (2, 0), "down"), ((0, 1), (0, 2), "across"), ((1, 2), (2, 3), "both")):
        table.cell(*first).merge(table.cell(*last)).text = text
    out = io.BytesIO()
    made.save(out)
    expected = [list(map(_text_of, row.cells)) for row in table.rows]
    assert expected[2] == ["down", "9", "both", "both"]
    assert rows("docx", out.getvalue()) == {"1": expected}


def _text_of(cell: _Cell) -> str:
    return cell.text


def test_a_cell_that_is_merged_down_a_long_table_or_far_across_is_read_in_little_time() -> None:
    begins, goes_on, across = (
        b"<w:tr><w:tc><w:tcPr>%s</w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc></w:tr>" % properties
        for properties in (b'<w:vMerge w:val="restart"/>', b"<w:vMerge/>", b'<w:gridSpan w:val="2000000000"/>')
    )
    table = b"<w:tbl><w:tblGrid><w:gridCol/></w:tblGrid>" + begins + goes_on * 2_000 + across + b"</w:tbl>"
    part = part_of(docx(), "word/document.xml").replace(b"<w:sectPr", table + b"<w:sectPr", 1)
    began = time.process_time()
    found = rows("docx", with_part(docx(), "word/document.xml", part))["2"]
    assert found == [["x"]] * 2_001 + [["x"] * 256]
    assert time.process_time() - began < 10


@pytest.mark.parametrize("name", ["pdf", "docx", "xlsx"])
def test_a_document_cut_or_spoiled_anywhere_raises_only_what_its_reader_names(name: str) -> None:
    raw = {"pdf": pdf("Hello", "a    b", "c    d"), "docx": docx(), "xlsx": xlsx()}[name]
    for at in range(0, len(raw), max(len(raw) // 60, 1)):
        for spoiled in (raw[:at], raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :]):
            try:
                kinds.kind_of(spoiled)
                list(READERS[name].text(spoiled))
                rows(name, spoiled)
            except (DocumentRefused, *READERS[name].BROKEN):
                continue
