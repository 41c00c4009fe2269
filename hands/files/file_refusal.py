"""Why a file operation was refused: this Hand's reason codes, and the code for each errno (pure).

Separate so that the modules that touch the disk need not import the runtime; `files_desk` turns FileRefused into Failed.
The codes are part of the Hand's contract; README.md lists them.
"""

import errno
from typing import Final

CODES: Final[dict[str, str]] = {
    "not found": "There is nothing of that name.",
    "not a file": "The name stands for a folder, fifo, socket or device.",
    "not a folder": "Something was to be listed that is not a folder.",
    "symbolic link": "The name, or a part of the way to it, is a symbolic link; links are never followed.",
    "conflict": "The file is not, or no longer, what `expect` says.",
    "no match": "The text that was to be changed does not stand in the file as it was said to.",
    "exists": "The name is taken: `expect` was `absent`, or something was to be moved or restored to it.",
    "permission": "The owner of the file, or a read-only disk, does not allow it.",
    "unknown root": "The operator granted no root of that name, or its folder was gone or closed when this Hand started.",
    "reserved name": "Names that begin with `.maniple-` belong to this Hand.",
    "name too long": "A part of the path is longer than the filesystem allows.",
    "too large": "The file is, or would be, larger than the Hand's limit `file_size`, or than can be changed in place.",
    "disk full": "The disk or the quota is full; the old file is untouched.",
    "other filesystem": "The file lies on another filesystem than its root, so the root's bin cannot hold it.",
    "busy": "Another process holds the folder's lock, too many files are open, or no thread is left; try again.",
    "arguments": "An argument has a value that makes no sense.",
    "disk error": "The disk reported something else; the text says what.",
}

_BY_ERRNO: Final[dict[int, str]] = {
    errno.ENOENT: "not found",
    errno.ENOTDIR: "not found",
    errno.ELOOP: "symbolic link",
    errno.EISDIR: "not a file",
    errno.ENXIO: "not a file",
    errno.EEXIST: "exists",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EROFS: "permission",
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk full",
    errno.EFBIG: "too large",
    errno.ENAMETOOLONG: "name too long",
    errno.EXDEV: "other filesystem",
    errno.EMFILE: "busy",
    errno.ENFILE: "busy",
    errno.EAGAIN: "busy",
}


class FileRefused(Exception):
    """Ends the call in Failed with this code and text. code: a key of CODES."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def from_os(error: OSError, resource: str) -> FileRefused:
    """The refusal for an OSError about a resource."""
    code = _BY_ERRNO.get(error.errno or 0, "disk error")
    why = CODES[code] if code != "disk error" else f"{error.strerror or error}."
    return FileRefused(code, f"{resource}: {why[0].lower()}{why[1:]}")
