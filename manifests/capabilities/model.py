"""Kind `model`: a route, or one model of one provider (pure).

    default, cheap                              a route: the operator's name for a list of models
    anthropic/claude-sonnet-4-5                 PROVIDER/MODEL: that one and no other
    openrouter/meta-llama/llama-3-70b           a model's own name may have slashes, and colons: ollama/llama3:8b

The name of a route or provider is lower-case letters, digits and single `-` between them, at most 64. Each part of a
model's name is letters, digits and `. _ @ + : ~ -`, but not dots alone; it is case-sensitive, as it is to providers. The
whole is at most 256 characters. There are no other spellings, so the normal form is the text itself.

Patterns match as those of paths: `*` within a part, `**` for any number of parts. So `anthropic/*` is every model of a
provider whose model names have no slash, and `openrouter/**` every model of one whose names have. `*` or `**` alone
covers every model and every route.
"""

import re
from typing import Final

from manifests.capabilities import path
from manifests.capabilities.glob import fault
from manifests.capabilities.namespace import SPACES
from manifests.errors import PatternInvalid, ResourceInvalid

EXAMPLES: tuple[str, ...] = ("default", "anthropic/*", "openrouter/**", "*")
LONGEST: Final = 256
LONGEST_WORD: Final = 64
_WORD: Final = r"(?a)[a-z0-9]+(?:-[a-z0-9]+)*"
_WORD_PATTERN: Final = r"(?a)[a-z0-9*]+(?:-[a-z0-9*]+)*"
_PART: Final = r"(?a)[A-Za-z0-9._@+:~-]+"
_PART_PATTERN: Final = r"(?a)[A-Za-z0-9._@+:~*-]+"
_FORMS: Final = "a route's name, such as default, or PROVIDER/MODEL, such as anthropic/claude-sonnet-4-5"
_INSTEAD: Final = 'write "default", "anthropic/*", or "openrouter/**" where the names of models have slashes'


def normalise(text: str) -> str:
    """Return the text itself. Raises ResourceInvalid if it names neither a route nor a model."""
    if len(text) > LONGEST:
        raise ResourceInvalid(f"it is longer than {LONGEST} characters")
    word, *parts = text.split("/")
    if not re.fullmatch(_WORD, word) or len(word) > LONGEST_WORD:
        raise ResourceInvalid(f"a model is {_FORMS}")
    if word in SPACES:
        raise ResourceInvalid(f"{word} is neither a route nor a provider: it is a space of memories")
    for part in parts:
        if not re.fullmatch(_PART, part) or not part.strip("."):
            raise ResourceInvalid("a part of its model's name is not letters, digits and . _ @ + : ~ -")
    return text


def split(resource: str) -> tuple[str, str]:
    """Return provider and model of a resource in normal form; ("", name) for a route."""
    word, slash, name = resource.partition("/")
    return (word, name) if slash else ("", word)


def check_pattern(pattern: str) -> None:
    """Raise PatternInvalid if the pattern can match no route and no model."""
    word, *parts = pattern.split("/")
    is_good = len(pattern) <= LONGEST and re.fullmatch(_WORD_PATTERN, word) is not None and word not in SPACES
    if not is_good or not all(re.fullmatch(_PART_PATTERN, part) and part.strip(".") for part in parts):
        raise PatternInvalid(f'"{pattern}" is not a pattern of {_FORMS}', _INSTEAD)
    if why := fault((word, *parts)):
        raise PatternInvalid(f'"{pattern}" is not a pattern of models: {why}', _INSTEAD)


def covers(pattern: str, resource: str) -> bool:
    """Whether the pattern covers the model or route, which is in normal form. Never raises."""
    return path.covers(pattern, resource)


def includes(wide: str, narrow: str) -> bool:
    """Whether `wide` covers all that `narrow` covers. Never raises. Sound; complete except for `**` next to `*`."""
    return path.includes(wide, narrow)
