"""More methods than one message can tell of: whoever asks hears of each, and once."""

from pathlib import Path
from typing import Final

import pytest

from kernel.cli import call
from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from wire import limits

HANDS, METHODS = 11, 14
CHOICES: Final = ", ".join(f'"{number:03}{"x" * 70}"' for number in range(100))

LOOKER = Source(
    """
[hand]
name = "looker"
version = "1.0.0"
description = "Counts what it may call."
entry = "main:Looker"
kind = "task"
autonomy = "full"

[capabilities]
""",
    """
from runtime import Hand


class Looker(Hand):
    async def run(self) -> object:
        much = [row for row in await self.kernel.describe() if row["method"].startswith("much-")]
        return [len(much), len(await self.kernel.describe(hand="much-b"))]
""",
)


def _much(name: str) -> Source:
    toml = f'[hand]\nname = "{name}"\nversion = "1.0.0"\ndescription = "Offers much."\nentry = "main:Much"\n'
    toml += 'kind = "service"\nautonomy = "full"\n'
    main = "from runtime import Hand\n\n\nclass Much(Hand):\n"
    for number in range(METHODS):
        toml += f'[provides."{name}.m{number}"]\nsummary = "One of many"\nresource = "none"\neffect = "read"\n'
        toml += f'params = {{ text = "string" }}\nschemas = {{ text = {{ enum = [{CHOICES}] }} }}\n'
        main += f"    async def m{number}(self, call, text: str) -> object:\n        return text\n\n"
    return Source(toml, main)


@pytest.mark.wide
def test_more_methods_than_one_message_holds_are_told_of_in_several(tmp_path: Path) -> None:
    assert HANDS * METHODS * len(CHOICES) > limits.BODY_MAX
    names = [f"much-{chr(ord('a') + number)}" for number in range(HANDS)]
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for name in names:
            install(kernel, _much(name))
        wishes = "".join(f'"{name}.*" = ["*"]\n' for name in names)
        install(kernel, Source(LOOKER.toml + wishes, LOOKER.main))
        with kernel.client() as client:
            assert fates.ran(client, "looker")["value"] == [HANDS * METHODS, METHODS]
            told = [row.method for row in call.fetch_methods(client) if row.method.startswith("much-")]
            assert told == sorted(f"{name}.m{number}" for name in names for number in range(METHODS))
