"""Office files of the strict kind as the libraries know them (pure: bytes in, bytes out; ECMA-376 part 4, annex A).

Programs save a document as "Strict Open XML" too: the same parts, under names of their elements and relations that neither
python-docx nor openpyxl has, which find nothing in it, and openpyxl says nothing of that. So those names are written as in
the other kind, transitional, which has all that strict has.
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
"""Parts of which one has such names, if any has."""

_XML: Final = (".xml", ".rels", ".vml")


def as_transitional(raw: bytes) -> bytes:
    """An archive that document_kinds let pass, itself where nothing in it is strict."""
    with zipfile.ZipFile(io.BytesIO(raw)) as old:
        names = set(old.namelist())
        if not any(_STRICT in old.read(name) for name in _TELLING if name in names):
            return raw
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as new:
            for one in old.infolist():
                part = old.read(one)
                is_xml = one.filename.lower().endswith(_XML)
                new.writestr(one.filename, _NAME.sub(_named, part) if is_xml else part)
    return out.getvalue()


def _named(found: re.Match[bytes]) -> bytes:
    return b"http://schemas.openxmlformats.org/%s/2006/%s" % (found[1], _OTHERS.get(found[2], found[2]))
