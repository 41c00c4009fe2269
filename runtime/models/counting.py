"""Estimates how many tokens a text has (pure): for reserving before a call, and where no provider counts them.

Tokenisers differ, and few are published. In all of them a common short word is one token and a longer one several; tokens of
digits and signs have few characters; scripts without spaces take about one token a character. The estimate is meant to be too
high rather than too low: on English prose about 1.1 times what byte-pair encodings give, on code and JSON the same or more.
"""

import re
from typing import Final

import msgspec

from runtime.models.messages import Image, Message, Request, Text, Thinking, Tool, ToolCall, ToolResult

WORD: Final = 5
"""Letters of a word that make one token."""

IMAGE: Final = 1_600
"""Tokens of a picture of any size: what the larger providers count for one at their full resolution."""

MESSAGE: Final = 4
"""Tokens that frame a message, a tool, a call or a result."""

_PIECES: Final = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]|\n+")


def of_text(text: str) -> int:
    """Return the tokens of a text."""
    total = 0
    for piece in _PIECES.findall(text):
        if piece[0].isascii():
            total += -(-len(piece) // (3 if piece[0].isdigit() else WORD))
        else:
            total += 1 if ord(piece[0]) < 0x3000 else 2
    return total


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
