"""How many tokens a text has, about (pure): for what no provider counts, and for reserving before a call.

Every provider's tokens differ, and few publish how they cut. What all share: common short words are one, longer ones some,
digits and signs few letters each, and scripts without spaces about one a character. This rule is meant to be rather too high
than too low: on English prose about 1.1 times what byte-pair encodings give, on code and JSON about the same or above.
"""

import re
from typing import Final

import msgspec

from runtime.models.messages import Image, Message, Request, Text, Thinking, Tool, ToolCall, ToolResult

WORD: Final = 5
"""Letters of a word that are one token, and so of each further token of it."""

IMAGE: Final = 1_600
"""Tokens of a picture, whatever its size: what the larger providers take for one at their full resolution."""

MESSAGE: Final = 4
"""What frames each message."""

_PIECES: Final = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]|\n+")


def of_text(text: str) -> int:
    """Tokens of a text, about."""
    total = 0
    for piece in _PIECES.findall(text):
        if piece[0].isascii():
            total += -(-len(piece) // (3 if piece[0].isdigit() else WORD))
        else:
            total += 1 if ord(piece[0]) < 0x3000 else 2
    return total


def of_request(request: Request) -> int:
    """Tokens of all that is sent, about."""
    total = of_text(request.system) + sum(map(of_message, request.messages))
    total += sum(map(of_tool, request.tools))
    return total + (_of_value(request.schema) if request.schema else 0)


def of_tool(tool: Tool) -> int:
    """Tokens of a tool's description, about."""
    return MESSAGE + of_text(tool.name) + of_text(tool.description) + _of_value(tool.parameters)


def of_message(message: Message) -> int:
    """Tokens of a message, about."""
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
