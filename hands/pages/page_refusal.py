"""Why a page, a feed or a search failed: this Hand's reason codes (pure)."""

from typing import Final

CODES: Final[dict[str, str]] = {
    "too many redirects": "It led from one address to the next and came to no end.",
    "status": "The server answered with an error; the text says which.",
    "unknown type": "It is not what was asked for: no page, no feed, no answer of such an engine.",
    "too large": "It needs more memory than a page may.",
    "too long": "It takes more processor time than a page may.",
    "engine": "The operator named no such engine, or named it wrongly.",
    "refused": "The caller may not fetch what this needs; the text says which grant it lacks.",
    "robots": "The site does not want programs to fetch it, or its rules have moved to where they cannot be had.",
    "arguments": "An argument has a value that makes no sense.",
}


class PageRefused(Exception):
    """Ends the call in Failed with this code and text. code: a key of CODES."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
