"""What a Hand may read outside its own folders, by `outside_read` and consent, is never anything of the home."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.attacks.puppet import puppet
from tests.living import Kernel, Source, install, make_home
from tests.system.fates import call, runs, table, until
from wire.codec import Value

READ = """
import os

def attack(hand, given):
    try:
        with open(given["key"]) as file:
            return file.read()
    except OSError:
        return os.listdir(given["path"])
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("outside") / "home")) as kernel:
        yield kernel


def _met(kernel: Kernel, path: Path | str, name: str) -> dict[str, Value]:
    """What a run that may read this path besides comes to."""
    source = puppet(name, (), {})
    install(kernel, Source(f'{source.toml}\n[confinement]\noutside_read = ["{path}"]\n', source.main))
    given = {"key": f"{kernel.home}/keys/operator.key", "path": str(path)}
    return table(call(kernel, "kernel.start", name, {"inputs": {"code": READ, "given": given}, "wait": True}))


@pytest.mark.parametrize("below", ["keys", "keys/operator.key", "log", "", "scratch", "..", "../.."])
def test_nothing_of_the_home_or_above_it_may_be_read(kernel: Kernel, below: str) -> None:
    met = _met(kernel, (kernel.home / below).resolve(), f"below-{len(below)}-{below.count('.')}")
    assert (met["outcome"], met["value"]) == ("refused", None), met
    assert "the home" in str(met["text"]), met


@pytest.mark.parametrize("to", ["keys", "..", "/"])
def test_nor_may_what_leads_there(kernel: Kernel, to: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(kernel.home / to)
    met = _met(kernel, link, f"link-{len(to)}-{to.count('.')}")
    assert met["outcome"] in ("refused", "failed"), met  # failed: the link itself lies where it cannot look
    assert met["value"] is None


def test_nor_may_the_root_by_another_name(kernel: Kernel) -> None:
    met = _met(kernel, "/proc/self/root", "magic")
    assert (met["outcome"], met["value"]) == ("refused", None), met
    assert "the home" in str(met["text"]), met


LOOK: Final = """
import asyncio
import os

def seen(given):
    found = []
    for path in (given["path"], os.path.join(given["path"], "link")):
        try:
            found.append(sorted(os.listdir(path)))
        except OSError as error:
            found.append(type(error).__name__)
    return found

async def attack(hand, given):
    before = seen(given)
    await hand.progress(1, 2)
    while not (hand.scratch / "now").exists():
        await asyncio.sleep(0.01)
    return [before, seen(given)]
"""


def _watching(kernel: Kernel, folder: Path, name: str) -> str:
    """A run that may read this folder, has looked at it, and looks again when it is told to."""
    folder.mkdir()
    (folder / "file").write_text("as was agreed")
    (folder / "link").symlink_to(kernel.home)
    folder.chmod(0o755)
    source = puppet(name, (), {})
    install(kernel, Source(f'{source.toml}\n[confinement]\noutside_read = ["{folder}"]\n', source.main))
    started = call(kernel, "kernel.start", name, {"inputs": {"code": LOOK, "given": {"path": str(folder)}}})
    run = str(table(started)["run"])
    until(lambda: runs(kernel, name)[0]["progress"], "it has looked")
    return run


def _looks_again(kernel: Kernel, run: str) -> Value:
    (kernel.home / "scratch" / run / "now").touch()
    return table(table(call(kernel, "kernel.wait", "", {"run": run}, seconds=20))["value"])["got"]


AGREED: Final = [["file", "link"], "PermissionError"]


def test_what_a_folder_becomes_while_a_run_lives_is_not_what_it_may_read(kernel: Kernel, open_place: Path) -> None:
    """Neither a link to the home in its place, nor in it; what it was allowed goes with the folder's own name."""
    folder = open_place / "agreed"
    run = _watching(kernel, folder, "swapped")
    folder.rename(open_place / "moved")
    folder.symlink_to(kernel.home)
    assert _looks_again(kernel, run) == [AGREED, ["PermissionError", "FileNotFoundError"]]
    again = table(call(kernel, "kernel.start", "swapped", {
        "inputs": {"code": LOOK, "given": {"path": str(folder)}}, "wait": True,
    }))  # fmt: skip
    assert again["outcome"] in ("refused", "failed"), again
    assert again["value"] is None


def test_another_folder_in_its_place_is_read_by_the_next_run_only(kernel: Kernel, open_place: Path) -> None:
    folder = open_place / "agreed"
    run = _watching(kernel, folder, "replaced")
    folder.rename(open_place / "moved")
    folder.mkdir(mode=0o755)
    assert _looks_again(kernel, run) == [AGREED, ["PermissionError", "FileNotFoundError"]]


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(prefix="maniple-outside-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield Path(place)


def test_what_is_not_there_is_told_with_what_to_do(kernel: Kernel, open_place: Path) -> None:
    met = _met(kernel, open_place / "gone", "missing")
    assert (met["outcome"], met["value"]) == ("refused", None), met
    gone = f"{open_place}/gone"
    assert f"outside_read names {gone}, which no run sees: `namei -l {gone}` shows why" in str(met["text"])


def test_something_else_may(kernel: Kernel) -> None:
    met = _met(kernel, "/proc/sys/kernel", "modest")
    assert isinstance(met["value"], dict)
    assert "hostname" in str(met["value"]["got"])
