"""A kernel that kills itself at one instant of an upgrade, which MORTAL_AT names: kernel.main, but for that.

unsynced    the install is appended, and maybe not on disk      installed   it is on disk, and nothing came of it yet
discard     a folder that nothing needs is about to be moved    discarded   it was moved, and not removed
half        a run was begun instead of another, on disk, and its work is not in the log
begun       it is, on disk; the other has not ended
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from kernel import main as kernel_main
from kernel.launcher import Launcher
from kernel.record.resuming import Resuming
from kernel.record.upgrading import Upgrading
from wire.results import Results

main = kernel_main.main
AT = os.environ.get("MORTAL_AT", "")


def dies(kind: type, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
    """Let it die when this method is called so."""
    real: Callable[..., Any] = getattr(kind, name)

    def instead(this: Any, *given: Any) -> Any:
        if when(this, *given):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(this, *given)

    setattr(kind, name, instead)


def synced(this: Any, *_: object) -> bool:
    """Bring all that was appended to disk; the log's own thread does."""
    this._kernel.log.flush()
    time.sleep(0.2)
    return True


def written(*_: object) -> bool:
    """Let what was appended come to disk, and nothing that was put off."""
    time.sleep(0.2)
    return True


def upgrades(this: Any, *_: object) -> bool:
    """Whether something is kept."""
    return bool(this._kernel.state.kept) and (AT == "unsynced" or synced(this))


match AT:
    case "unsynced" | "installed":
        dies(Upgrading, "on_upgrade", upgrades)
    case "discard":
        dies(Launcher, "discard")
    case "discarded":
        dies(Launcher, "_enqueue", lambda _, order: isinstance(order, str) and order.startswith("steady"))
    case "half":
        dies(Results, "replace", written)
    case "begun":
        dies(Resuming, "give_up", synced)
