"""The script that the launcher starts: runs the command line of the source tree that holds this file.

Ctrl-C ends the process silently with 130 from the first line on. Until main.py installs its own handling, a handler on
the built-in module `_signal` does it: the module `signal` would have to be read from disk first.

It ends without taking the interpreter apart, which a short command would notice: it has closed what it opened.
"""

import _signal  # type: ignore[import-not-found]  # built into the interpreter, without a type stub
import os
import sys

if __name__ == "__main__":
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # leave SIG_IGN as the parent set it
        _signal.signal(_signal.SIGINT, lambda *_: os._exit(130))
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from kernel.cli.main import main

    try:
        main()
    except SystemExit as ended:
        try:
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the caller closed it
        os._exit(int(ended.code or 0))
