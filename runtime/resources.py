"""The sealed files of a Hand as importlib.resources reads them: packages that others wrote find their data by it (pure).

Resource has what importlib.resources.abc.Traversable and TraversableResources ask for, without importing them: that module
is large, and every run would own it.
"""

import errno
import io
import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import IO


class Resource:
    """A file or folder of a Hand. files: path → bytes, of the whole Hand. path: of this one."""

    def __init__(self, files: Mapping[str, bytes], path: str) -> None:
        self._files, self._path = files, path

    @property
    def name(self) -> str:
        """The last part of its path."""
        return posixpath.basename(self._path)

    def files(self) -> "Resource":
        """The folder itself; importlib.resources asks a loader's reader for it."""
        return self

    def is_file(self) -> bool:
        """Whether it is a sealed file."""
        return self._path in self._files

    def is_dir(self) -> bool:
        """Whether a sealed file lies beneath it."""
        return any(self._beneath())

    def iterdir(self) -> Iterator["Resource"]:
        """What lies in the folder, by name."""
        return (self / name for name in sorted({path.partition("/")[0] for path in self._beneath()}))

    def joinpath(self, *parts: str | os.PathLike[str]) -> "Resource":
        """What lies there from here; nothing outside of the Hand can be reached."""
        return Resource(
            self._files, posixpath.normpath(posixpath.join(self._path, *(os.fspath(part) for part in parts)))
        )

    def __truediv__(self, part: str | os.PathLike[str]) -> "Resource":
        return self.joinpath(part)

    def read_bytes(self) -> bytes:
        """The file's bytes. Raises FileNotFoundError."""
        try:
            return self._files[self._path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "the Hand has no such file", self._path) from None

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """The file as text; UTF-8 without `encoding`. Raises FileNotFoundError."""
        return str(self.open(encoding=encoding, errors=errors).read())

    def open(
        self, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None,
    ) -> IO[str] | IO[bytes]:  # fmt: skip
        """The file to read from: as bytes if "b" is in `mode`. The parameters are those of `open`."""
        content = io.BytesIO(self.read_bytes())
        return content if "b" in mode else io.TextIOWrapper(content, encoding or "utf-8", errors, newline)

    def _beneath(self) -> Iterator[str]:
        """Paths of all files beneath it, from here."""
        return (path[len(self._path) + 1 :] for path in self._files if path.startswith(f"{self._path}/"))
