"""What the launcher runs: the command line, from the tree that this file stands in.

Ctrl-C ends it with 130 and without a word, from the first line on: until main.py hears it, a handler that needs nothing
but what the interpreter has in it does that. `_signal` is there already; the module `signal` would have to be read first.
"""

import _signal  # type: ignore[import-not-found]  # the interpreter's own, which no stub describes
import os
import sys

if __name__ == "__main__":
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # not where Ctrl-C is to be ignored
        _signal.signal(_signal.SIGINT, lambda *_: os._exit(130))
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from kernel.cli.main import main

    main()
