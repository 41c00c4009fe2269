"""Turns strict Office files into transitional ones (pure: bytes in, bytes out; ECMA-376 part 4, annex A).

Programs can also save a document as "Strict Open XML": the same parts, but element and relation names that neither
python-docx nor openpyxl knows. They then find nothing, and openpyxl does not even say so. So those names are replaced by the
transitional ones, which cover all of strict.
"""

import io
import re
import zipfile
from typing import Final

_STRICT: Final = b"http://purl.oclc.org/ooxml/"
_NAME: Final = re.compile(
    re.escape(_STRICT) + rb"(drawingml|officeDocument|presentationml|spreadsheetml|wordprocessingml)/([A-Za-z]+)"
)
_OTHERS: Final = {b"customProperties": b"custom-properties", b"extendedProperties": b"extended-properties"}
_TELLING: Final = ("_rels/.rels", "word/document.xml", "xl/workbook.xml")
"""If a file is strict, one of these parts has strict names."""

_XML: Final = (".xml", ".rels", ".vml")


def as_transitional(raw: bytes) -> bytes:
    """Converts an archive that document_kinds accepted; returns it unchanged if it is not strict."""
    with zipfile.ZipFile(io.BytesIO(raw)) as old:
        names = set(old.namelist())
        if not any(_STRICT in old.read(name) for name in _TELLING if name in names):
            return raw
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as new:
            for one in old.infolist():
                part = old.read(one)
                is_xml = one.filename.lower().endswith(_XML)
                new.writestr(one.filename, _NAME.sub(_transitional_name, part) if is_xml else part)
    return out.getvalue()


def _transitional_name(found: re.Match[bytes]) -> bytes:
    return b"http://schemas.openxmlformats.org/%s/2006/%s" % (found[1], _OTHERS.get(found[2], found[2]))
