"""Recognises a document by its content, not its name, and refuses dangerous archives (pure: bytes in, a media type out).

Office files are zip archives of XML, so two old attacks are stopped here before a library sees a byte. *Bombs*: the sizes
that an archive declares are summed before anything is unpacked (Python's zipfile reads no more than is declared), also if
parts overlap; archives within archives are never opened. *Entities* (CVE-2003-1564, "billion laughs", and external ones):
OOXML forbids document type declarations (ECMA-376 part 2, 8.1.4: "shall not contain"), so a part named as XML that has one
is refused, in whichever encoding. A library finds parts by relations and not by names, so what a declaration could declare
is refused in every part; a picture (SVG) may have a declaration that declares nothing. *Encodings* that would hide a
declaration, such as UTF-7 and UTF-32, are refused: OOXML's parts are UTF-8 or UTF-16 (8.1.4), and the others allowed here
are those in which ASCII stands for itself. The only compression allowed is deflate (8.5).
"""

import io
import re
import zipfile
import zlib
from typing import Final

from document_refusal import DocumentRefused

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML: Final = "text/html"

PARTS_MOST: Final = 5_000
UNPACKED_MOST: Final = 128 * 1024 * 1024
RATIO_MOST: Final = 200
RATIO_FROM: Final = 4 * 1024 * 1024
"""A part larger than this, in bytes, may not be packed more tightly than RATIO_MOST to one; small sheets of zeroes may."""

_TYPES: Final = "[Content_Types].xml"
"""The part that gives the type of every other part; the main part may have any name."""

_FRONT: Final = 2048
_DECLARATION_MOST: Final = 64 * 1024
_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be")
_XML_NAMES: Final = (".xml", ".rels", ".vml")
_DOCUMENT_TYPE: Final = tuple("<!DOCTYPE".encode(encoding) for encoding in _ENCODINGS)
_DECLARED: Final = tuple(text.encode(encoding) for text in ("<!ENTITY", "<!ATTLIST") for encoding in _ENCODINGS)
_ENCODING: Final = re.compile(rb"""\bencoding\s*=\s*["']([^"']*)""")
_AS_ASCII: Final = re.compile(rb"(?i)utf-?8|utf-?16(?:le|be)?|us-ascii|ascii|iso-8859-\d{1,2}|windows-125\d")
_OTHERS: Final = (b"\0\0\0<", b"<\0\0\0", b"\0\0<\0", b"\0<\0\0", b"\0\0\xfe\xff", b"\xff\xfe\0\0", b"\x4c\x6f\xa7\x94")
"""How XML begins in UTF-32 and in EBCDIC (XML 1.0, appendix F.1)."""

_HTML_MARKS: Final = (b"<!doctype html", b"<html", b"<head", b"<body", b"<table", b"<title", b"<div", b"<p>", b"<h1")


def kind_of(raw: bytes) -> str:
    """Returns PDF, DOCX, XLSX or HTML. Raises DocumentRefused for anything else, and for a bomb."""
    front = raw[:_FRONT].lower()
    if b"%pdf-" in front[:1024]:
        return PDF
    if raw.startswith(b"PK\x03\x04"):
        return _office(raw)
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise DocumentRefused("encrypted", "It is an encrypted Office file, or one of a format before 2007.")
    if b"\0" not in raw[:_FRONT] and any(mark in front for mark in _HTML_MARKS):
        return HTML
    raise DocumentRefused("unknown type", "It is not a PDF, DOCX, XLSX or HTML file; files.read has its bytes.")


def _office(raw: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            _check_sizes(archive)
            names = set(archive.namelist())
            for one in archive.infolist():
                content = archive.read(one)
                _check_encoding(content)
                _check_declarations(content, is_xml=one.filename.lower().endswith(_XML_NAMES))
            types = archive.read(_TYPES) if _TYPES in names else b""
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError, zlib.error) as error:
        raise DocumentRefused("broken", f"It is not a whole archive: {error}.") from None
    except RuntimeError:  # zipfile raises it for a part with a password
        raise DocumentRefused("encrypted", "It has a password.") from None
    for part, kind in (("word/document.xml", DOCX), ("xl/workbook.xml", XLSX)):
        if part in names or f"{kind}.main+xml".encode() in types:
            return kind
    raise DocumentRefused("unknown type", "It is an archive, but neither DOCX nor XLSX.")


def _check_sizes(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    if len(parts) > PARTS_MOST:
        raise DocumentRefused("bomb", f"It has {len(parts)} parts, and {PARTS_MOST} at most are read.")
    if any(part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for part in parts):
        raise DocumentRefused("broken", "A part of it is compressed in a way that documents do not use.")
    unpacked = sum(part.file_size for part in parts)
    if unpacked > UNPACKED_MOST:
        raise DocumentRefused("bomb", f"It would unpack to {unpacked} bytes, and {UNPACKED_MOST} at most are read.")
    for part in parts:
        if part.file_size > RATIO_FROM and part.file_size > RATIO_MOST * max(part.compress_size, 1):
            times = part.file_size // max(part.compress_size, 1)
            raise DocumentRefused("bomb", f"{part.filename[:80]!r} in it would unpack to {times} times its size.")
    if len({part.header_offset for part in parts}) < len(parts) or len({part.filename for part in parts}) < len(parts):
        raise DocumentRefused("bomb", "Parts of it share their bytes or their names.")


def _check_encoding(part: bytes) -> None:
    """Raises DocumentRefused for a part in an encoding that would hide a declaration. Looks at its beginning only."""
    front = part[:_DECLARATION_MOST].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff")
    declaration, end, _ = front.partition(b"?>") if front.startswith(b"<?xml") else (b"", b"?>", b"")
    found = _ENCODING.search(declaration)
    if part.startswith(_OTHERS) or not end or (found and not _AS_ASCII.fullmatch(found[1])):
        raise DocumentRefused("broken", "A part of it is in an encoding that documents do not use.")


def _check_declarations(part: bytes, *, is_xml: bool) -> None:
    if any(mark in part for mark in (*_DECLARED, *(_DOCUMENT_TYPE if is_xml else ()))):
        raise DocumentRefused("bomb", "A part of it declares a document type or entities, which no part may.")
