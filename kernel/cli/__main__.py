"""What the launcher runs: the command line, from the tree that this file stands in."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from kernel.cli.main import main

    main()
