"""The Hand `skills` (acts): returns the skills that are sealed with it, each by its own method.

It has no grant and no state: it returns the bytes that were hashed against its seal. A file is named by its path in the
skill's folder, and is one of those; no path is ever opened.
"""

from typing import Final

from manifests.skills import front_matter
from manifests.skills.folder import PREFIX
from manifests.skills.reading import FILE, folders
from runtime.agent.skills import missing_file
from runtime.errors import Failure, HandBroken
from runtime.hand import Hand
from runtime.serving import Call

_PIECE: Final = 256 * 1024


class Skills(Hand):
    """Provides skills.NAME for each skill."""

    async def start(self) -> None:
        """Groups the files by skill."""
        self._skills = folders(self.files)

    async def on_call(self, call: Call, arguments: dict[str, object]) -> object:
        """A skill's text, with the names of its files; or, streamed, one of these, or all in sequence."""
        params = self._check_arguments(call.method, arguments)
        files = self._skills.get(call.method.removeprefix(PREFIX))
        if files is None:
            raise HandBroken(f"{self.name} does not provide {call.method}")
        file = str(params.get("file") or FILE).removeprefix("./")
        others = [path for path in files if path != FILE]
        if params.get("all"):
            for path in others:
                await _send(call, files[path])
            return {"files": others, "sizes": [len(files[path]) for path in others]}
        if file == FILE:
            _, body = front_matter.split(files[FILE].decode())
            return {"files": others, "text": body}
        if file not in files:
            raise Failure("arguments", missing_file(file, others))
        await _send(call, files[file])
        return {"size": len(files[file])}


async def _send(call: Call, content: bytes) -> None:
    for start in range(0, len(content), _PIECE):
        await call.send(content[start : start + _PIECE])
