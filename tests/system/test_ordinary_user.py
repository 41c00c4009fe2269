"""Maniple needs no root: an ordinary user makes a home, starts Hands, is refused, proves the log and leaves nothing."""

from pathlib import Path
from typing import Final

from tests.ordinary_user import place_of_users, said

WITHIN: Final = 120
"""Seconds that it may take."""


def test_an_ordinary_user_has_all_of_it(tmp_path: Path) -> None:
    with place_of_users() as place:
        said(["tests.system.ordinary_home", str(place)], place, tmp_path, within=WITHIN)
