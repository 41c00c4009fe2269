"""What is large is read without looks for garbage (acts).

Python looks at all that a process holds after each few hundred lists and tables that are made. While a body of a million is
read that is most of the time, none of them is garbage, and in a process that answers many callers all others wait.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """No such looks within, in any thread. For what is over soon, and does not wait."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
