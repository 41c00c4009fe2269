"""`maniple logs --follow` goes on where it was when the kernel has moved aside what a Hand printed, and says what is gone."""

from pathlib import Path

import pytest

from kernel.cli import logs
from kernel.descriptors import close_all
from kernel.home import Home
from kernel.output import open_longer
from kernel.process.trimming import trim
from manifests.printed import GONE
from tests.living import make_home

LINES = [b"%03d %s\n" % (number, b"x" * 95) for number in range(100)]
"""Of 100 bytes each."""


class Printing:
    """What a Hand prints, and one who follows it."""

    def __init__(self, home: Path) -> None:
        self.home, self.log = Home(str(home)), home / "output" / "echo.log"
        self.log.touch(0o600)
        self.follower = logs._follow(str(self.log), 0)

    def prints(self, lines: list[bytes]) -> None:
        with self.log.open("ab") as file:
            file.write(b"".join(lines))

    def moved(self, kept: int) -> None:
        """The kernel keeps so many lines of it, and moves them aside."""
        file_size = 2 * kept * len(LINES[0])
        files = list(open_longer(self.home, "echo", file_size).values())
        trim(file_size, *files)
        close_all(files)
        assert not self.log.stat().st_size

    def hears(self, count: int) -> list[bytes]:
        return [next(self.follower) for _ in range(count)]


@pytest.fixture
def printing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Printing:
    monkeypatch.setattr(logs, "POLL_S", 0.01)
    return Printing(make_home(tmp_path / "home"))


def test_what_was_moved_aside_before_it_was_shown_is_shown(printing: Printing) -> None:
    for _ in range(2):  # the second time, something is gone already that was shown
        printing.prints(LINES[:10])
        assert printing.hears(10) == LINES[:10]
        printing.prints(LINES[10:50])
        printing.moved(40)
        printing.prints(LINES[50:])
        assert printing.hears(90) == LINES[10:]


def test_how_much_of_it_is_gone_is_shown_where_it_was(printing: Printing) -> None:
    printing.prints(LINES[:10])
    assert printing.hears(10) == LINES[:10]
    printing.prints(LINES[10:50])
    printing.moved(20)
    printing.prints(LINES[50:])
    first, *rest = printing.hears(71)
    assert (GONE.encode() in first, b'"bytes":3000' in first, rest) == (True, True, LINES[30:])


def test_a_file_that_somebody_emptied_is_followed_from_its_beginning(printing: Printing) -> None:
    printing.prints(LINES[:10])
    assert printing.hears(10) == LINES[:10]
    printing.log.write_bytes(b"")
    printing.prints(LINES[:1])
    assert printing.hears(1) == LINES[:1]
