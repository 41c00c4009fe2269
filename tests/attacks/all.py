"""All attacks of this folder, by file name (pure but for the imports)."""

from importlib import import_module
from pathlib import Path
from typing import Final

from tests.attacks.attack import Attack

_FOLDER: Final = Path(__file__).parent
_NAMES: Final = [
    path.stem for path in sorted(_FOLDER.glob("*.py")) if "\nATTACK = " in path.read_text(encoding="utf-8")
]

ATTACKS: Final[dict[str, Attack]] = {name: import_module(f"tests.attacks.{name}").ATTACK for name in _NAMES}
