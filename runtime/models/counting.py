"""Estimates how many tokens a text has (pure): for reserving before a call, and where no provider counts them.

Tokenisers differ, and few are published. In all of them a common word is one token and a long one several; random letters,
digits and signs have few characters a token; scripts without spaces take about one token a character, and more if few texts
have them; a space before a word is part of that word, and a run of white space is one token or several. The estimate is
meant to be too high rather than too low: on English prose about 1.2 times what byte-pair encodings give, on code and JSON
more. It is too low for random short words of small letters, which nothing tells from English ones.
"""

import re
from collections import Counter
from typing import Final

import msgspec

from runtime.models.messages import Image, Message, Request, Text, Thinking, Tool, ToolCall, ToolResult

WORD: Final = 5
LONG: Final = 15
"""Letters of a word that make one token, and those of the longest word for which that holds: two of its further ones do."""

IMAGE: Final = 1_600
"""Tokens of a picture of any size: what the larger providers count for one at their full resolution."""

MESSAGE: Final = 4
"""Tokens that frame a message, a tool, a call or a result."""

_PIECES: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[\r\n]+|\t+|  +| (?=[\t\r\n])|[^ \t\r\nA-Za-z0-9]")
_OUTSIDE_ASCII: Final = ((0x900, 1), (0x2000, 2), (0x2070, 1), (0xE000, 2), (0x110000, 3))
"""Tokens of a character outside of ASCII, each up to the first code point that takes another number."""


def of_text(text: str) -> int:
    """Return the tokens of a text."""
    return sum(times * _of_piece(piece) for piece, times in Counter(_PIECES.findall(text)).items())


def of_request(request: Request) -> int:
    """Return the tokens of a request: system prompt, messages, tools and schema."""
    total = of_text(request.system) + sum(map(of_message, request.messages))
    total += sum(map(of_tool, request.tools))
    return total + (_of_value(request.schema) if request.schema else 0)


def of_tool(tool: Tool) -> int:
    """Return the tokens of a tool: name, description and parameters."""
    return MESSAGE + of_text(tool.name) + of_text(tool.description) + _of_value(tool.parameters)


def of_message(message: Message) -> int:
    """Return the tokens of a message."""
    total = MESSAGE
    for part in message.parts:
        match part:
            case Text() | Thinking():
                total += of_text(part.text)
            case Image():
                total += IMAGE
            case ToolCall():
                total += MESSAGE + of_text(part.name) + _of_value(part.arguments) + of_text(part.malformed)
            case ToolResult():
                total += MESSAGE + sum(of_text(one.text) if isinstance(one, Text) else IMAGE for one in part.content)
    return total


def _of_value(value: object) -> int:
    return of_text(msgspec.json.encode(value).decode())


def _of_piece(piece: str) -> int:
    """Return the tokens of a match of _PIECES."""
    first, size = piece[0], len(piece)
    if not first.isascii():
        return next(tokens for end, tokens in _OUTSIDE_ASCII if ord(first) < end)
    if piece[-1].islower():
        return -(-min(size, LONG) // WORD) + (max(0, size - LONG) + 1) // 2
    if first.isupper():
        return -(-size // 2)
    if first == " ":
        return 1 + size // 64
    return -(-size // (3 if first.isdigit() else WORD))
