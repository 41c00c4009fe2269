"""What a Hand may read outside its own folders, by `outside_read` and consent, is never anything of the home."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.puppet import puppet
from tests.living import Kernel, Source, install, make_home
from tests.system.fates import call, table
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


def test_something_else_may(kernel: Kernel) -> None:
    met = _met(kernel, "/proc/sys/kernel", "modest")
    assert isinstance(met["value"], dict)
    assert "hostname" in str(met["value"]["got"])
