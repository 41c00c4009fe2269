"""What holds for every test: property tests make the same cases each time, and new ones only in `./just soak`.

And as root each process of pytest's mounts for itself: what a test mounts is seen by what it starts, and changes nothing
for tests that run beside it and count mounts.
"""

import os

import pytest
from hypothesis import settings

from kernel.process import confine, mounts

settings.register_profile("test", derandomize=True, database=None, deadline=None)
settings.register_profile("soak", deadline=None, max_examples=5000)
settings.load_profile("test")


@pytest.fixture(scope="session", autouse=True)
def own_mounts() -> None:
    """A mount namespace of this process's own, where root can make one; where not, no test can mount either."""
    if os.geteuid() == 0:
        try:
            confine.unshare(confine.NEWNS)
            mounts.keep_private()
        except OSError:
            pass
