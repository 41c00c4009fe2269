"""What most tests of a running kernel ask it through."""

from collections.abc import Iterator

import pytest

from kernel.cli.client import Client
from tests.living import Kernel


@pytest.fixture
def client(kernel: Kernel) -> Iterator[Client]:
    """A link to the kernel that the file's own fixture `kernel` runs."""
    with kernel.client() as client:
        yield client
