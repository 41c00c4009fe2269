"""Build the stock of a kind of guest: `python -m tests.machines KIND FOLDER`."""

import sys
from pathlib import Path

from tests.machines.kinds import KINDS
from tests.machines.stock import build

if __name__ == "__main__":
    name, folder = sys.argv[1:]
    build(KINDS[name], Path(folder, name))
