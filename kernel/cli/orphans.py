"""Secrets of Hands that are not there any more (acts): a removal that was killed, or whose kernel died, leaves them in keys/.

They go with the next `maniple remove`, and when the kernel starts. What is there is read before it is asked which Hands are:
of a Hand that comes meanwhile nothing is taken away.
"""

import os
import re
from contextlib import suppress
from typing import Final

from kernel.cli import installed
from kernel.cli.client import Client

_NAME: Final = re.compile(r"(h-[0-9a-z]{16})\.(?:secrets(?:\.new)?|token(?:\.new){0,2})")


def sweep(client: Client) -> set[str]:
    """Take them away; the ids of the Hands whose they were."""
    folder = os.path.join(client.home, "keys")
    found = [match for match in map(_NAME.fullmatch, os.listdir(folder)) if match]
    if not found:
        return set()
    here = installed.ids(client)
    gone = [match for match in found if match[1] not in here]
    for match in gone:
        with suppress(FileNotFoundError):  # another command was quicker
            os.unlink(os.path.join(folder, match[0]))
    return {match[1] for match in gone}
