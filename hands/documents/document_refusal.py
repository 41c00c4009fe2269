"""Why a document could not be read: this Hand's reason codes (pure).

Separate so that the readers need not import the runtime. The codes are part of the Hand's contract; README.md lists them.
"""

import struct
import zipfile
import zlib
from typing import Final

CODES: Final[dict[str, str]] = {
    "unknown type": "It is none of PDF, DOCX, XLSX and HTML.",
    "broken": "It is not what its beginning says, or breaks off.",
    "encrypted": "It can only be read with a password.",
    "bomb": "It would unpack to far more than it is, or to itself.",
    "too large": "It is larger than what is read here, or needs more memory.",
    "too long": "It took more processor time than a document may.",
    "not found": "It has no table of that name.",
    "arguments": "An argument has a value that makes no sense.",
}


SPOILED: Final[tuple[type[Exception], ...]] = (
    LookupError, ValueError, TypeError, AttributeError, ArithmeticError, EOFError, NotImplementedError, AssertionError,
    OSError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
"""What the libraries raise for malformed bytes, besides their own errors."""


_NO_MEMORY: Final = (("XMLSyntaxError", 2), ("ParseError", 1))
"""XML_ERR_NO_MEMORY of libxml2 (xmlerror.h), and XML_ERROR_NO_MEMORY of expat (expat.h): by an error's class, its code."""


def lacks_memory(error: Exception) -> bool:
    """Whether a parser had no memory left, which its library reports as an error of the document."""
    return (type(error).__name__, getattr(error, "code", None)) in _NO_MEMORY


class DocumentRefused(Exception):
    """Ends the call in Failed with this code and text. code: a key of CODES."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
