"""Maniple needs no root: an ordinary user makes a home, starts Hands, is refused, proves the log and leaves nothing."""

from pathlib import Path
from typing import Final

from tests.ordinary_user import run_as_user, user_folder

WITHIN: Final = 120
"""Seconds that it may take."""


def test_an_ordinary_user_has_all_of_it(tmp_path: Path) -> None:
    with user_folder() as place:
        run_as_user(["tests.system.ordinary_home", str(place)], place, tmp_path, within=WITHIN)
