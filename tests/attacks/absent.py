"""Whether the system of this machine was built with a call at all (acts: asks it, with arguments that lead nowhere)."""

import errno

from tests.kernel.filtered import call


def absent(name: str) -> str:
    """Why an attack by this call cannot succeed here, "" when it can."""
    try:
        call(name, -1, -1, -1, -1)
    except OSError as error:
        return f"this Linux was built without {name}" if error.errno == errno.ENOSYS else ""
    return ""
