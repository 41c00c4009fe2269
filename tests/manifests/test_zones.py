"""Zones are those of the pinned package, wherever this runs; a kernel that starts carries neither them nor a cron library."""

import os
import subprocess
import sys
from datetime import datetime

import pytest

from manifests import zones
from manifests.errors import ValueInvalid
from tests.living import ROOT


def test_every_zone_of_the_package_can_be_read() -> None:
    assert len(zones.names()) > 500
    for name in zones.names():
        assert datetime(2026, 7, 1, tzinfo=zones.zone(name)).utcoffset() is not None


@pytest.mark.parametrize("path", ["", "/nowhere"])
def test_the_systems_zones_are_not_asked(path: str) -> None:
    told = _python("from manifests.zones import zone; print(zone('Europe/Berlin'))", PYTHONTZPATH=path)
    assert "Europe/Berlin" in told


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("europe/berlin", 'did you mean "Europe/Berlin"?'),
        ("Kolkata", 'did you mean "Asia/Kolkata"?'),
        ("New York", 'did you mean "America/New_York"?'),
        ("../../etc/passwd", 'write an IANA name, such as "Europe/Berlin"'),
        ("", 'write an IANA name, such as "Europe/Berlin"'),
    ],
)
def test_what_is_no_zone_is_refused_with_the_nearest(text: str, instead: str) -> None:
    with pytest.raises(ValueInvalid) as refused:
        zones.check(text)
    assert refused.value.instead == instead


def test_a_kernel_that_starts_imports_neither_zones_nor_a_cron_library() -> None:
    told = _python("import sys, kernel.main; print(*sorted({'cronsim', 'zoneinfo', 'tzdata'} & set(sys.modules)))")
    assert told.strip() == ""


def _python(code: str, **variables: str) -> str:
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    return done.stdout
