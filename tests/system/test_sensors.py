"""A confined run measures the machine, not its own namespaces: machine and monitoring with a real kernel."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.living import ROOT, Kernel, install, make_home


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("sensors") / "home")) as kernel:
        for name in ("files", "web", "machine", "monitoring"):
            install(kernel, ROOT / "hands" / name)
        yield kernel


def test_a_disk_that_is_written_outside_is_not_read_only_because_a_run_may_not_write(kernel: Kernel) -> None:
    with kernel.client() as client:
        stats: Any = client.call("machine.stats").value
    root = next(disk for disk in stats["disks"] if disk["mount"] == "/")
    assert not root["readonly"] or os.statvfs("/").f_flag & os.ST_RDONLY


def test_the_interfaces_are_the_machines(kernel: Kernel) -> None:
    expected = {folder.name for folder in Path("/sys/class/net").iterdir() if folder.is_dir()}
    with kernel.client() as client:
        stats: Any = client.call("machine.stats").value
    assert {row["name"] for row in stats["network"]} == expected
    assert all(isinstance(row["up"], bool) for row in stats["network"])
    carried = sum(row["received_bytes"] for row in stats["network"])
    assert carried == pytest.approx(_received(), rel=0.5)


def test_monitoring_measures_how_full_the_disk_is(kernel: Kernel) -> None:
    with kernel.client() as client:
        told: Any = client.call("monitoring.check", "machine").value
    assert 0 < told["metrics"]["disk_percent:/"] <= 100


def _received() -> int:
    return sum(int(file.read_text()) for file in Path("/sys/class/net").glob("*/statistics/rx_bytes"))
