"""`maniple up` (acts)."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from wire.errors import ManipleError

if TYPE_CHECKING:
    from kernel.cli.client import Client
    from kernel.cli.findings import Finding


_AFTER_START: Final = 10_000
"""The last entries of the log, among which those of a start are looked for."""


@command()
@click.option(
    "--foreground",
    is_flag=True,
    help="Run the kernel in this process, until `maniple down`, Ctrl-C, SIGTERM, or the end of its terminal.",
)
def up(session: Session, foreground: bool) -> None:
    """Start the kernel, and return when it answers. A kernel that already runs on this home goes on as it is; one that
    another command is starting is waited for.

    The kernel runs in a session of its own, and writes its messages to run/kernel.log in the home. Services marked as
    wanted start with it.

    If this machine lacks something that every Hand needs, or disk space, that is reported; the kernel runs all the same. If
    bundled Hands were installed by another version of Maniple, they are named, with the command that upgrades them.

    With --foreground this process becomes the kernel, as service supervisors expect.

    If a kernel already runs, ends with 1 if it has the code of another version of Maniple, and always with --foreground.
    """
    from kernel.cli import home_parts, homes, machine, orphans, screen, starting
    from kernel.cli.serving import find_kernel, open_run_folder
    from kernel.home import Home

    homes.require_home(session.home)
    home = Home(session.home)
    home_parts.check_parts(session.home, "maniple up")
    os.makedirs(home.at("run"), mode=0o700, exist_ok=True)
    folder = open_run_folder(session.home)
    pid = find_kernel(folder, session.home)
    is_running = pid >= 0
    if is_running and foreground:
        raise Ended(f"a kernel already runs on {session.home} (process {pid}): see it with `maniple status`")
    if foreground:
        ready = os.dup(2)  # the kernel closes this copy when it is ready, and keeps stderr
        os.set_inheritable(ready, True)
        if os.getsid(0) == os.getpid():  # a terminal's session has others in it
            starting.prefer(os.getpid())
        command = starting.kernel_command(session.home, ready)
        os.execv(command[0], command)
    began = 0.0 if is_running else time.time()
    if not is_running:
        try:
            pid = starting.start(session.home)
        except Ended:
            if (pid := starting.wait_for_other(session.home, folder)) < 0:
                raise
            is_running, began = True, 0.0
    os.close(folder)
    if is_running and not starting.has_this_code(session.log()):
        old = f"the kernel that runs on {session.home} (process {pid}) has other code than this version of Maniple"
        raise Ended(f"{old}: `maniple down`, then `maniple up`")
    how = "already runs" if is_running else "runs"
    session.result(
        {"pid": pid, "home": session.home, "started": not is_running}, lambda: f"The kernel {how}, process {pid}."
    )
    with suppress(ManipleError, OSError), session.client() as client:
        with suppress(OSError):  # the next start tries it again
            orphans.remove_orphans(client, began)
        _say_outdated(session, client)
    if not is_running and (lost := count_lost(session.log())):
        session.say(f"{screen.count(lost, 'unfinished run')} could not be resumed: `maniple runs` says why")
    if lacks := warning(machine.inspect(session.home)):
        session.say(lacks)


def _say_outdated(session: Session, client: "Client") -> None:
    """Name the installed Hands that another version of Maniple bundled."""
    from kernel.cli import bundled, installed, screen

    installed_names = {row.name for row in installed.list_hands(client)}
    if outdated := [name for name in bundled.outdated(session.home) if name in installed_names]:
        names = screen.listed(outdated)
        session.say(
            f"Of another version of Maniple, and may fail with this one: {names}. "
            "To upgrade: `maniple install --bundled`"
        )


def warning(findings: "Sequence[Finding]") -> str:
    """What to say of a machine that lacks what every Hand needs, or of one with hardly any room; "" for any other."""
    from kernel.cli import machine

    if lacking := machine.lacking([one for one in findings if one.what != "disk space"]):
        return f"No Hand can run here: this machine lacks {lacking}. `maniple doctor` says how to mend that."
    full = [one.found for one in findings if one.what == "disk space" and one.state == "missing"]
    return (
        f"The disk is nearly full, {full[0]}: what has an effect is refused when the log cannot grow." if full else ""
    )


def count_lost(folder: Path) -> int:
    """The number of runs that the newest start of a kernel found unfinished and could not resume. folder: the log's."""
    from kernel.cli import history, logbook

    count = 0
    for line in reversed(logbook.last_lines(folder, _AFTER_START)[0]):
        if b'"kind":"run.end"' in line or b'"kind":"kernel.start"' in line:
            entry = logbook.read(line)
            if entry.kind == "kernel.start":
                break
            count += entry.kind == "run.end" and entry.why.startswith(history.NOT_RESUMED)
    return count
